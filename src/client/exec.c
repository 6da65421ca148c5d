/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A command in a guest on this process's standard streams. */
#include <errno.h>
#include <gio/gunixfdlist.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/cli.h"
#include "client/interrupt.h"
#include "client/terminal.h"
#include "service/base/error.h"
#include "service/base/names.h"
#include "shared/base/cleanup.h"
#include "shared/base/fd-util.h"
#include "shared/base/io-util.h"
#include "shared/base/str-util.h"

/* This process runs one command at a time, so any number will do. */
#define TOKEN 1

/* What is typed at a guest that does not answer. */
#define CTRL_C     0x03
#define ESCAPE     0x1d
#define UNANSWERED 3

typedef struct Exec {
	Cli *cli;
	BangerDBusVM *vm;
	GMainLoop *loop;
	int near[3]; /* our ends: stdin, stdout, stderr */
	GSource *input;
	GSource *feed; /* waits until our end of stdin takes more */
	GSource *output[3];
	char pending[65536]; /* read from standard input, not yet taken */
	size_t pending_start, pending_size;
	bool tty;
	bool answered;
	bool is_unread;      /* the reader of our standard output or error has left */
	guint64 passed_on;   /* signals, a bit each */
	unsigned unanswered; /* Ctrl-C since anything came from the guest */
	guint32 rows, columns;
	guint pause; /* subscription */
	int output_errno; /* why our standard output or error could not be written, but for a reader that left */
	guint32 status, signal_number;
	GError *error;
} Exec;

static void
drop(GSource **source)
{
	if (*source)
		g_source_destroy(*source);
	g_clear_pointer(source, g_source_unref);
}

static void
watch(GSource **source, int fd, GIOCondition condition, GUnixFDSourceFunc callback, Exec *exec)
{
	if (*source)
		return;
	*source = g_unix_fd_source_new(fd, condition);
	g_source_set_callback(*source, G_SOURCE_FUNC(callback), exec, NULL);
	(void)g_source_attach(*source, NULL);
}

/* It is over when the answer is there and both outputs have been read to their end. */
static void
end_if_done(Exec *exec)
{
	if (exec->answered && (exec->error || (!exec->output[1] && !exec->output[2])))
		g_main_loop_quit(exec->loop);
}

/* Also while the terminal is raw. */
static void
tell(const char *text)
{
	(void)fprintf(stderr, terminal_is_raw() ? "\r\n%s\r\n" : "%s\n", text);
}

static void
give_up(Exec *exec)
{
	g_clear_error(&exec->error);
	exec->error = g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CANCELLED, _("interrupted"));
	exec->answered = true;
	end_if_done(exec);
}

/* A terminal that is the guest's echoes at least; where it does not, there must be a way out that no program in a guest
 * can want. False where it is taken. */
static bool
look_for_way_out(Exec *exec, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (exec->pending[i] == ESCAPE && exec->unanswered >= UNANSWERED)
			return false;
		if (exec->pending[i] == CTRL_C && ++exec->unanswered == UNANSWERED)
			tell(_("banger: the guest does not answer; Ctrl-] leaves it"));
	}
	return true;
}

static gboolean on_input(int fd, GIOCondition condition, gpointer data);

static gboolean
on_feed(int fd, GIOCondition condition, gpointer data)
{
	Exec *exec = data;
	ssize_t n = send(fd, exec->pending + exec->pending_start, exec->pending_size,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (n < 0) {
		/* It wants no more input; that is its business. */
		bn_closep(&exec->near[0]);
		drop(&exec->feed);
		return G_SOURCE_REMOVE;
	}
	exec->pending_start += (size_t)n;
	exec->pending_size -= (size_t)n;
	if (exec->pending_size > 0)
		return G_SOURCE_CONTINUE;
	watch(&exec->input, STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, on_input, exec);
	drop(&exec->feed);
	return G_SOURCE_REMOVE;
}

static gboolean
on_input(int fd, GIOCondition condition, gpointer data)
{
	Exec *exec = data;
	ssize_t n = read(fd, exec->pending, sizeof(exec->pending));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (n <= 0) {
		bn_closep(&exec->near[0]);
	} else if (exec->tty && !look_for_way_out(exec, (size_t)n)) {
		give_up(exec);
	} else if (exec->near[0] >= 0) {
		exec->pending_start = 0;
		exec->pending_size = (size_t)n;
		watch(&exec->feed, exec->near[0], G_IO_OUT, on_feed, exec);
	}
	drop(&exec->input);
	return G_SOURCE_REMOVE;
}

static gboolean
on_output(int fd, GIOCondition condition, gpointer data)
{
	Exec *exec = data;
	int which = fd == exec->near[1] ? 1 : 2;
	char buffer[65536];
	ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	exec->unanswered = 0;
	/* Our own standard streams block, which is what holds the sender back. Where nobody reads them any more, the
	 * command is told by our end closing. */
	if (n > 0) {
		int r = bn_io_write_all(which, buffer, (size_t)n);

		if (r >= 0)
			return G_SOURCE_CONTINUE;
		if (r == -EPIPE)
			exec->is_unread = true;
		else
			exec->output_errno = -r;
	}
	drop(&exec->output[which]);
	bn_closep(&exec->near[which]);
	end_if_done(exec);
	return G_SOURCE_REMOVE;
}

static void
on_answer(GObject *source, GAsyncResult *result, gpointer data)
{
	Exec *exec = data;

	(void)banger_dbus_vm_call_exec_finish(exec->vm, &exec->status, &exec->signal_number,
					      /* fds= */ NULL, result, &exec->error);
	exec->answered = true;
	end_if_done(exec);
}

static void
on_vanished(GDBusConnection *bus, gboolean remote, GError *error, gpointer data)
{
	Exec *exec = data;

	if (!exec->error)
		exec->error = g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CLOSED, "the bus is gone");
	exec->answered = true;
	end_if_done(exec);
}

static void
send_signal(Exec *exec, guint32 signal_number)
{
	banger_dbus_vm_call_signal_exec(exec->vm, TOKEN, signal_number, /* cancellable= */ NULL,
					NULL, NULL);
}

/* Once a signal is the command's affair; twice, ours: a guest that hangs passes nothing on. */
static void
on_interrupt(int signal_number, void *data)
{
	Exec *exec = data;
	guint64 bit = G_GUINT64_CONSTANT(1) << signal_number;

	if (exec->passed_on & bit)
		give_up(exec);
	else
		send_signal(exec, (guint32)signal_number);
	exec->passed_on |= bit;
}

static gboolean
on_hangup(gpointer data)
{
	on_interrupt(SIGHUP, data);
	return G_SOURCE_CONTINUE;
}

/* Whoever waits for the command waits for somebody to do something about that. */
static void
on_properties(GDBusConnection *bus, const char *sender, const char *path, const char *interface,
	      const char *signal_name, GVariant *parameters, gpointer data)
{
	g_autoptr(GVariant) changed = g_variant_get_child_value(parameters, 1);
	g_autofree char *safe = NULL, *text = NULL;
	const char *reason;

	if (!g_str_equal(cli_text(changed, "State"), "paused"))
		return;
	reason = cli_text(changed, "LastError");
	safe = bn_str_escape(reason, strlen(reason), 4096);
	text = g_strdup_printf(_("banger: the VM is paused: %s"), safe);
	tell(text);
}

static guint
watch_pause(Exec *exec)
{
	return g_dbus_connection_signal_subscribe(
		exec->cli->bus, BANGER_BUS_NAME, "org.freedesktop.DBus.Properties",
		"PropertiesChanged", g_dbus_proxy_get_object_path(G_DBUS_PROXY(exec->vm)),
		"org.banger.VM", G_DBUS_SIGNAL_FLAGS_NONE, on_properties, exec, NULL);
}

/* Under nohup(1) hang-ups are neither our affair nor the command's. */
static guint
watch_hangup(Exec *exec)
{
	struct sigaction old;

	if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
		return 0;
	return g_unix_signal_add(SIGHUP, on_hangup, exec);
}

static void
get_size(guint32 *rows, guint32 *columns)
{
	struct winsize size;

	*rows = 24;
	*columns = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
		*rows = size.ws_row;
		*columns = size.ws_col;
	}
}

static gboolean
on_resize(gpointer data)
{
	Exec *exec = data;

	get_size(&exec->rows, &exec->columns);
	banger_dbus_vm_call_resize_exec(exec->vm, TOKEN, exec->rows, exec->columns,
					/* cancellable= */ NULL, NULL, NULL);
	return G_SOURCE_CONTINUE;
}

/* While the guest came up nobody watched. */
static void
catch_up_resize(Exec *exec)
{
	guint32 rows, columns;

	get_size(&rows, &columns);
	if (exec->tty && (rows != exec->rows || columns != exec->columns))
		(void)on_resize(exec);
}

static GVariant *
make_options(Exec *exec, const CliExec *spec)
{
	GVariantDict options;

	cli_options_init(&options);
	g_variant_dict_insert(&options, "token", "u", TOKEN);
	if (spec->environment)
		g_variant_dict_insert_value(
			&options, "environment",
			g_variant_new_strv((const char *const *)spec->environment, -1));
	if (spec->user)
		g_variant_dict_insert(&options, "user", "s", spec->user);
	if (spec->workdir)
		g_variant_dict_insert(&options, "workdir", "s", spec->workdir);
	if (exec->tty) {
		const char *term = cli_terminal_kind();

		get_size(&exec->rows, &exec->columns);
		g_variant_dict_insert(&options, "tty", "b", TRUE);
		g_variant_dict_insert(&options, "rows", "u", exec->rows);
		g_variant_dict_insert(&options, "columns", "u", exec->columns);
		if (term)
			g_variant_dict_insert(&options, "term", "s", term);
	}
	return g_variant_dict_end(&options);
}

static bool
call(Exec *exec, const CliExec *spec)
{
	g_autoptr(GUnixFDList) fds = g_unix_fd_list_new();
	const char *const none[] = { NULL };

	for (int i = 0; i < 3; i++) {
		_cleanup_close_ int far = -1;
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			return false;
		exec->near[i] = pair[0];
		far = pair[1];
		/* One way only: the end of the other side is then the end of the stream. */
		(void)shutdown(pair[0], i == 0 ? SHUT_RD : SHUT_WR);
		if (g_unix_fd_list_append(fds, far, NULL) < 0)
			return false;
	}
	banger_dbus_vm_call_exec(exec->vm, spec->argv ? (const char *const *)spec->argv : none,
				 make_options(exec, spec), g_variant_new_handle(0),
				 g_variant_new_handle(1), g_variant_new_handle(2), fds,
				 /* cancellable= */ NULL, on_answer, exec);
	return true;
}

/* A process runs one command at a time. */
static Exec exec;

bool
cli_exec_is_lost(void)
{
	return g_error_matches(exec.error, G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY);
}

static int
conclude(void)
{
	if (exec.error)
		return cli_fail_own(g_steal_pointer(&exec.error));
	if (exec.output_errno) {
		cli_tell_write_error(exec.output_errno);
		return CLI_OWN_FAILURE;
	}
	/* The guest hangs up on a command to whose output nobody listens any more. */
	if (exec.signal_number == SIGHUP && exec.is_unread)
		return 128 + SIGPIPE;
	return exec.signal_number ? 128 + (int)exec.signal_number : (int)exec.status;
}

bool
cli_exec_begin(Cli *cli, BangerDBusVM *vm, const CliExec *spec)
{
	exec = (Exec){ .cli = cli,
		       .vm = g_object_ref(vm),
		       .near = { -1, -1, -1 },
		       .tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
		       .loop = g_main_loop_new(NULL, FALSE) };
	(void)signal(SIGPIPE, SIG_IGN);
	/* From now on without a gap: else one that comes just as the job ends would end us. */
	interrupt_hold();
	exec.pause = watch_pause(&exec);
	if (call(&exec, spec))
		return true;
	(void)fprintf(stderr, "banger: %s\n", g_strerror(errno));
	return false;
}

static void
run(void)
{
	guint hangup, resize;
	gulong closed;

	if (exec.tty)
		(void)terminal_make_raw();
	watch(&exec.input, STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, on_input, &exec);
	for (int i = 1; i < 3; i++)
		watch(&exec.output[i], exec.near[i], G_IO_IN | G_IO_HUP, on_output, &exec);
	hangup = watch_hangup(&exec);
	resize = g_unix_signal_add(SIGWINCH, on_resize, &exec);
	catch_up_resize(&exec);
	interrupt_set_handler(on_interrupt, &exec);
	if (exec.cli->interrupted)
		send_signal(&exec, SIGTERM);
	closed = g_signal_connect(exec.cli->bus, "closed", G_CALLBACK(on_vanished), &exec);
	if (!exec.error)
		g_main_loop_run(exec.loop);
	terminal_restore();
	g_signal_handler_disconnect(exec.cli->bus, closed);
	if (hangup)
		(void)g_source_remove(hangup);
	(void)g_source_remove(resize);
	g_dbus_connection_signal_unsubscribe(exec.cli->bus, exec.pause);
	interrupt_set_handler(NULL, NULL);
	interrupt_release();
}

int
cli_exec_finish(void)
{
	int status;

	run();
	drop(&exec.input);
	drop(&exec.feed);
	for (int i = 0; i < 3; i++) {
		drop(&exec.output[i]);
		bn_closep(&exec.near[i]);
	}
	g_main_loop_unref(exec.loop);
	status = conclude();
	g_object_unref(exec.vm);
	return status;
}
