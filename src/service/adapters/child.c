/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/child.h"

#include <fcntl.h>
#include <gio/gunixinputstream.h>
#include <glib-unix.h>
#include <signal.h>
#include <unistd.h>

#include "shared/base/cleanup.h"
#include "shared/base/fd-util.h"
#include "shared/base/str-util.h"

/* A line longer than this is not one of ours. */
#define LINE_MAX_BYTES 4096
/* What is read of a pipe when the child is gone: more than a pipe holds. */
#define REST_MAX_PIECES 256

/* One of its pipes, line by line; what goes beyond the bound is read and dropped. */
typedef struct Lines {
	GInputStream *stream;
	GSource *source;
	char piece[4096]; /* as it came */
	char line[LINE_MAX_BYTES];
	size_t size;
	bool cut;
} Lines;

struct _BangerChild {
	GObject parent;

	GPtrArray *args;
	GSubprocessLauncher *launcher;
	int next_fd;
	GSubprocess *process;
	Lines report;
	Lines errors;
	BangerError failure;
	bool reports;
	BangerChildProgress progress;
	void *progress_data;
	char *done;
	bool broken;      /* its report is not one: what else it says does not count */
	GError *error;    /* from its report, or about it */
	char *last_words; /* the last line of its standard error */
	char *cause;      /* the first there that it calls an error itself */
	GCancellable *cancellable;
	gulong cancel_handler;
};

G_DEFINE_FINAL_TYPE(BangerChild, banger_child, G_TYPE_OBJECT)

static void
banger_child_finalize(GObject *object)
{
	BangerChild *self = BANGER_CHILD(object);

	g_ptr_array_unref(self->args);
	g_clear_object(&self->launcher);
	g_clear_object(&self->process);
	g_clear_object(&self->report.stream);
	g_clear_object(&self->errors.stream);
	g_clear_object(&self->cancellable);
	g_clear_error(&self->error);
	g_free(self->done);
	g_free(self->last_words);
	g_free(self->cause);
	G_OBJECT_CLASS(banger_child_parent_class)->finalize(object);
}

static void
banger_child_class_init(BangerChildClass *klass)
{
	G_OBJECT_CLASS(klass)->finalize = banger_child_finalize;
}

/* In the child: whatever it starts can be signalled with it. Programs that know no better get the descriptors that
 * they are used to. */
static void
prepare(gpointer data)
{
	(void)setsid();
	bn_fd_restore_limit();
}

static void
banger_child_init(BangerChild *self)
{
	char *const environment[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
				      (char *)"LC_ALL=C.UTF-8", NULL };

	self->args = g_ptr_array_new_with_free_func(g_free);
	self->launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDERR_PIPE);
	g_subprocess_launcher_set_environ(self->launcher, (char **)environment);
	g_subprocess_launcher_set_cwd(self->launcher, "/");
	g_subprocess_launcher_set_child_setup(self->launcher, prepare, NULL, NULL);
	self->next_fd = 3;
}

BangerChild *
banger_child_new(const char *program)
{
	BangerChild *self = g_object_new(BANGER_TYPE_CHILD, NULL);

	banger_child_add(self, program);
	return self;
}

void
banger_child_add(BangerChild *self, const char *argument)
{
	g_ptr_array_add(self->args, g_strdup(argument));
}

void
banger_child_add_fd(BangerChild *self, const char *option, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (option)
		banger_child_add(self, option);
	g_ptr_array_add(self->args, g_strdup_printf("%d", self->next_fd));
	g_subprocess_launcher_take_fd(self->launcher, copy, self->next_fd++);
}

void
banger_child_set_stdout(BangerChild *self, int fd)
{
	g_subprocess_launcher_take_stdout_fd(self->launcher, fd);
}

void
banger_child_set_environment(BangerChild *self, const char *name, const char *value)
{
	g_subprocess_launcher_setenv(self->launcher, name, value, /* overwrite= */ TRUE);
}

/* The keywords that the programs of ours report. */
static BangerError
parse_keyword(const char *keyword, BangerError otherwise)
{
	static const struct {
		const char *keyword;
		BangerError code;
	} table[] = {
		{ "NO_SPACE", BANGER_ERROR_NO_SPACE },
		/* Nothing that correcting an archive would mend. */
		{ "READ", BANGER_ERROR_FAILED },
		{ "WRITE", BANGER_ERROR_FAILED },
		{ "NO_MEMORY", BANGER_ERROR_FAILED },
		{ "INTERNAL", BANGER_ERROR_FAILED },
		{ "TOOL_MISSING", BANGER_ERROR_TOOL_MISSING },
		{ "INVALID_ARGUMENT", BANGER_ERROR_INVALID_ARGUMENT },
		{ "NOT_FOUND", BANGER_ERROR_NOT_FOUND },
		{ "CANCELLED", BANGER_ERROR_CANCELLED },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
		if (g_str_equal(table[i].keyword, keyword))
			return table[i].code;
	return otherwise;
}

static void
read_report_line(BangerChild *self, const char *line)
{
	g_auto(GStrv) words = g_strsplit(line, " ", 2);
	const char *rest = words[1] ? words[1] : "";

	if (g_str_equal(words[0], "progress")) {
		if (self->progress)
			self->progress(rest, self->progress_data);
	} else if (g_str_equal(words[0], "done")) {
		g_free(self->done);
		self->done = g_strdup(rest);
	} else if (g_str_equal(words[0], "error")) {
		g_auto(GStrv) reason = g_strsplit(rest, " ", 2);

		g_clear_error(&self->error);
		self->error = g_error_new_literal(
			BANGER_ERROR, (int)parse_keyword(reason[0] ? reason[0] : "", self->failure),
			reason[0] && reason[1] ? reason[1] : line);
	}
}

/* A foreign program's words on standard error: shown as they come. The last ones are kept, and what apt and mmdebstrap
 * say first of an error: what they say behind it follows from it. */
static void
read_words(BangerChild *self, char *line)
{
	if (!self->reports && self->progress)
		self->progress(line, self->progress_data);
	if (!self->cause && g_str_has_prefix(line, "E: "))
		self->cause = g_strdup(line);
	g_free(self->last_words);
	self->last_words = line;
}

/* Also what our own program says may repeat an archive's words. */
static char *
make_safe(const Lines *lines)
{
	g_autofree char *safe = bn_str_escape(lines->line, lines->size, LINE_MAX_BYTES);

	if (!lines->cut)
		return g_steal_pointer(&safe);
	return g_strdup_printf("%s… (cut: a line of more than %d bytes)", safe, LINE_MAX_BYTES);
}

/* Whoever says such a thing is not the program that was started any more: it is not waited for. */
static void
break_off(BangerChild *self)
{
	if (self->broken)
		return;
	self->broken = true;
	g_clear_error(&self->error);
	self->error = g_error_new(BANGER_ERROR, (int)self->failure,
				  "%s reports a line of more than %d bytes",
				  (char *)g_ptr_array_index(self->args, 0), LINE_MAX_BYTES);
	g_subprocess_force_exit(self->process);
}

static void
end_line(BangerChild *self, Lines *lines)
{
	g_autofree char *safe = make_safe(lines);

	if (lines == &self->errors)
		read_words(self, g_steal_pointer(&safe));
	else if (!self->broken)
		read_report_line(self, safe);
	lines->size = 0;
	lines->cut = false;
}

static void
take_piece(BangerChild *self, Lines *lines, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char c = lines->piece[i];

		if (c == '\n' || c == '\r') {
			if (lines->size > 0)
				end_line(self, lines);
		} else if (lines->size < sizeof(lines->line)) {
			lines->line[lines->size++] = c;
		} else if (!lines->cut) {
			lines->cut = true;
			if (lines == &self->report)
				break_off(self);
		}
	}
}

/* False where there is no more for now, or for ever. */
static bool
take_some(BangerChild *self, Lines *lines, bool *ret_ended)
{
	g_autoptr(GError) error = NULL;
	gssize n = g_pollable_input_stream_read_nonblocking(G_POLLABLE_INPUT_STREAM(lines->stream),
							    lines->piece, sizeof(lines->piece),
							    /* cancellable= */ NULL, &error);

	if (n > 0)
		take_piece(self, lines, (size_t)n);
	*ret_ended = n <= 0 && !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
	return n > 0;
}

static gboolean
on_readable(GObject *stream, gpointer data)
{
	BangerChild *self = data;
	bool ended;

	(void)take_some(self,
			stream == G_OBJECT(self->report.stream) ? &self->report : &self->errors,
			&ended);
	return ended ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void
read_lines(BangerChild *self, Lines *lines)
{
	lines->source = g_pollable_input_stream_create_source(
		G_POLLABLE_INPUT_STREAM(lines->stream), /* cancellable= */ NULL);
	g_source_set_callback(lines->source, G_SOURCE_FUNC(on_readable), self, NULL);
	g_source_attach(lines->source, g_main_context_get_thread_default());
}

/* The child has ended; whoever else still has the pipe is not waited for. */
static void
end_lines(BangerChild *self, Lines *lines)
{
	bool ended;

	if (!lines->source)
		return;
	for (int i = 0; i < REST_MAX_PIECES && take_some(self, lines, &ended); i++)
		;
	if (lines->size > 0)
		end_line(self, lines);
	g_source_destroy(lines->source);
	g_clear_pointer(&lines->source, g_source_unref);
}

static void
conclude(BangerChild *self, GTask *task)
{
	bool ok = g_subprocess_get_if_exited(self->process) &&
		  g_subprocess_get_exit_status(self->process) == 0;
	const char *program = g_ptr_array_index(self->args, 0);
	const char *why = self->cause ? self->cause : self->last_words;

	if (!why)
		why = "no reason given";
	if (self->cancellable)
		g_cancellable_disconnect(self->cancellable, self->cancel_handler);
	if (g_cancellable_is_cancelled(self->cancellable))
		g_task_return_new_error(task, BANGER_ERROR, BANGER_ERROR_CANCELLED, "cancelled");
	else if (self->error)
		g_task_return_error(task, g_steal_pointer(&self->error));
	else if (ok && (self->done || !self->reports))
		g_task_return_pointer(task, g_strdup(self->done ? self->done : ""), g_free);
	else if (g_subprocess_get_if_signaled(self->process))
		g_task_return_new_error(task, BANGER_ERROR, (int)self->failure,
					"%s was ended by signal %d", program,
					g_subprocess_get_term_sig(self->process));
	else
		g_task_return_new_error(task, BANGER_ERROR, (int)self->failure, "%s failed: %s",
					program, why);
}

static void
on_exit_status(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerChild *self = g_task_get_source_object(task);

	(void)g_subprocess_wait_finish(G_SUBPROCESS(source), result, /* error= */ NULL);
	end_lines(self, &self->report);
	end_lines(self, &self->errors);
	conclude(self, task);
}

/* With all that it has started. Programs of ours leave nothing that their caller does not remove; a foreign
 * one may have to. */
static void
on_cancelled(GCancellable *cancellable, BangerChild *self)
{
	const char *pid = g_subprocess_get_identifier(self->process);

	/* NULL: it has ended, and its number may be somebody else's. */
	if (pid)
		(void)kill((pid_t)-g_ascii_strtoll(pid, NULL, 10),
			   self->reports ? SIGKILL : SIGTERM);
}

/* The report's pipe; the child's end travels with its arguments. */
static int
add_report(BangerChild *self, GError **error)
{
	int pipe_fds[2];
	_cleanup_close_ int write_end = -1;

	if (!g_unix_open_pipe(pipe_fds, FD_CLOEXEC, error))
		return -1;
	write_end = pipe_fds[1];
	banger_child_add_fd(self, "--status", write_end);
	return pipe_fds[0];
}

void
banger_child_run_async(BangerChild *self, bool reports, BangerError failure,
		       BangerChildProgress progress, void *progress_data, GCancellable *cancellable,
		       GAsyncReadyCallback callback, void *data)
{
	g_autoptr(GTask) task = g_task_new(self, /* cancellable= */ NULL, callback, data);
	GError *error = NULL;
	int report = reports ? add_report(self, &error) : -1;

	self->reports = reports;
	self->failure = failure;
	self->progress = progress;
	self->progress_data = progress_data;
	g_ptr_array_add(self->args, NULL);
	if (!error)
		self->process = g_subprocess_launcher_spawnv(
			self->launcher, (const char *const *)self->args->pdata, &error);
	/* Our copies of the child's descriptors: it would never see their end otherwise. */
	g_subprocess_launcher_close(self->launcher);
	if (!self->process) {
		bn_closep(&report);
		g_task_return_new_error(task, BANGER_ERROR, BANGER_ERROR_TOOL_MISSING,
					"%s cannot be run: %s",
					(char *)g_ptr_array_index(self->args, 0), error->message);
		g_error_free(error);
		return;
	}
	if (reports) {
		self->report.stream = g_unix_input_stream_new(report, /* close_fd= */ TRUE);
		read_lines(self, &self->report);
	}
	self->errors.stream = g_object_ref(g_subprocess_get_stderr_pipe(self->process));
	read_lines(self, &self->errors);
	g_subprocess_wait_async(self->process, /* cancellable= */ NULL, on_exit_status,
				g_object_ref(task));
	if (cancellable) {
		self->cancellable = g_object_ref(cancellable);
		self->cancel_handler = g_cancellable_connect(cancellable, G_CALLBACK(on_cancelled),
							     g_object_ref(self), g_object_unref);
	}
}

char *
banger_child_run_finish(BangerChild *self, GAsyncResult *result, GError **error)
{
	return g_task_propagate_pointer(G_TASK(result), error);
}
