/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/console-log.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "service/adapters/console-viewer.h"
#include "service/base/error.h"
#include "shared/base/cleanup.h"
#include "shared/base/io-util.h"
#include "shared/base/str-util.h"

#define LOG_MAX BANGER_CONSOLE_LOG_MAX
/* Taken from the serial port at once, at most. */
#define PORTION 4096
/* Where the guest's last words are looked for, and how long they may be. */
#define WORDS_FROM 16384
#define WORDS_MAX  200
/* linux/kernel/panic.c */
#define PANIC "Kernel panic - not syncing"
/* Says the kernel of a guest that powers itself off, whyever. */
#define GOING_DOWN "reboot: "
/* Consoles that may be open at once. */
#define VIEWERS_MAX 16

struct _BangerConsoleLog {
	GObject parent;

	int fd;
	int log;
	off_t log_size;
	GSource *source;
	GPtrArray *viewers;
};

static void banger_console_log_iface_init(BangerConsoleInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE(BangerConsoleLog, banger_console_log, G_TYPE_OBJECT,
			      G_IMPLEMENT_INTERFACE(BANGER_TYPE_CONSOLE,
						    banger_console_log_iface_init))

static void
end(BangerConsoleLog *self)
{
	if (self->source)
		g_source_destroy(self->source);
	g_clear_pointer(&self->source, g_source_unref);
	bn_closep(&self->fd);
	/* They get what they have not read yet. */
	while (self->viewers->len > 0)
		banger_console_viewer_finish(g_ptr_array_steal_index(self->viewers, 0));
}

static void
banger_console_log_finalize(GObject *object)
{
	BangerConsoleLog *self = BANGER_CONSOLE_LOG(object);

	end(self);
	g_ptr_array_unref(self->viewers);
	bn_closep(&self->log);
	G_OBJECT_CLASS(banger_console_log_parent_class)->finalize(object);
}

static void
banger_console_log_class_init(BangerConsoleLogClass *klass)
{
	G_OBJECT_CLASS(klass)->finalize = banger_console_log_finalize;
}

static void
banger_console_log_init(BangerConsoleLog *self)
{
	self->fd = -1;
	self->log = -1;
	self->viewers = g_ptr_array_new_with_free_func((GDestroyNotify)banger_console_viewer_free);
}

/* Drops the older half. A log is for people: where the disk fails, the VM goes on without. */
static void
trim_log(BangerConsoleLog *self)
{
	g_autofree char *keep = g_malloc(LOG_MAX / 2);
	ssize_t n = pread(self->log, keep, LOG_MAX / 2, self->log_size - LOG_MAX / 2);

	if (n <= 0 || ftruncate(self->log, 0) < 0)
		return;
	self->log_size = 0;
	if (pwrite(self->log, keep, (size_t)n, 0) == n)
		self->log_size = n;
}

static void
append_log(BangerConsoleLog *self, const char *data, size_t size)
{
	if (self->log < 0)
		return;
	if (self->log_size + (off_t)size > LOG_MAX)
		trim_log(self);
	if (pwrite(self->log, data, size, self->log_size) == (ssize_t)size)
		self->log_size += (off_t)size;
}

/* Takes a portion of what the guest wrote. False where there is no more for now. */
static bool
take_output(BangerConsoleLog *self)
{
	char buffer[PORTION];
	ssize_t n = recv(self->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		end(self);
		return false;
	}
	append_log(self, buffer, (size_t)n);
	for (guint i = self->viewers->len; i > 0; i--)
		if (!banger_console_viewer_send(g_ptr_array_index(self->viewers, i - 1), buffer,
						(size_t)n))
			(void)g_ptr_array_remove_index(self->viewers, i - 1);
	return true;
}

static gboolean
on_output(int fd, GIOCondition condition, gpointer data)
{
	BangerConsoleLog *self = data;

	(void)take_output(self);
	return self->fd >= 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

BangerConsole *
banger_console_log_new(const char *path, int fd, bool fresh)
{
	BangerConsoleLog *self = g_object_new(BANGER_TYPE_CONSOLE_LOG, NULL);
	struct stat st;

	self->fd = fd;
	self->log =
		open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (fresh ? O_TRUNC : 0), 0600);
	if (self->log >= 0 && fstat(self->log, &st) == 0)
		self->log_size = st.st_size;
	if (fd >= 0) {
		self->source = g_unix_fd_source_new(fd, G_IO_IN | G_IO_HUP);
		g_source_set_callback(self->source, G_SOURCE_FUNC(on_output), self, NULL);
		(void)g_source_attach(self->source, g_main_context_get_thread_default());
	}
	return BANGER_CONSOLE(self);
}

/* What the serial port does not take at once is lost, as on a real line. */
static void
on_typed(const char *data, size_t size, void *userdata)
{
	BangerConsoleLog *self = userdata;

	(void)send(self->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
on_gone(BangerConsoleViewer *viewer, void *userdata)
{
	BangerConsoleLog *self = userdata;

	(void)g_ptr_array_remove(self->viewers, viewer);
}

/* A new viewer, which `self` owns, and its far end; NULL. */
static BangerConsoleViewer *
add_viewer(BangerConsoleLog *self, BangerConsoleTyped typed, int *ret_far, GError **error)
{
	BangerConsoleViewer *viewer;
	int pair[2];

	if (self->viewers->len >= VIEWERS_MAX) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_QUOTA_REACHED,
			    "%d consoles of this VM are open already", VIEWERS_MAX);
		return NULL;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		(void)banger_error_set_errno(error, "socketpair");
		return NULL;
	}
	viewer = banger_console_viewer_new(pair[0], typed, on_gone, self);
	g_ptr_array_add(self->viewers, viewer);
	*ret_far = pair[1];
	return viewer;
}

static int
open_console(BangerConsole *port, GError **error)
{
	BangerConsoleLog *self = BANGER_CONSOLE_LOG(port);
	int far = -1;

	if (self->fd < 0) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_STATE, "the VM does not run");
		return -1;
	}
	(void)add_viewer(self, on_typed, &far, error);
	return far;
}

/* The log as it is now: a copy in memory, which can be read at any pace. */
static int
copy_log(BangerConsoleLog *self, GError **error)
{
	_cleanup_close_ int copy = memfd_create("banger-log", MFD_CLOEXEC);
	off_t offset = 0;

	while (copy >= 0 && offset < self->log_size)
		if (sendfile(copy, self->log, &offset, (size_t)(self->log_size - offset)) <= 0)
			break;
	if (copy < 0 || lseek(copy, 0, SEEK_SET) < 0) {
		(void)banger_error_set_errno(error, "the log cannot be read");
		return -1;
	}
	return BN_TAKE_FD(copy);
}

static int
open_log(BangerConsole *port, bool follow, GError **error)
{
	BangerConsoleLog *self = BANGER_CONSOLE_LOG(port);
	_cleanup_close_ int copy = copy_log(self, error);
	g_autofree char *text = NULL;
	BangerConsoleViewer *viewer;
	int far = -1;
	ssize_t n;

	if (copy < 0 || !follow || self->fd < 0)
		return BN_TAKE_FD(copy);
	viewer = add_viewer(self, /* typed= */ NULL, &far, error);
	if (!viewer)
		return -1;
	text = g_malloc(LOG_MAX);
	n = bn_io_read_all(copy, text, LOG_MAX);
	if (n > 0)
		(void)banger_console_viewer_send(viewer, text, (size_t)n);
	return far;
}

static char *
get_last_words(BangerConsole *port)
{
	BangerConsoleLog *self = BANGER_CONSOLE_LOG(port);
	g_auto(GStrv) lines = NULL;
	const char *last = NULL, *panic = NULL;
	char tail[WORDS_FROM + 1];
	off_t from;
	ssize_t n;

	/* Its VMM may have ended a moment ago. One that has not, and talks faster than we listen, is left at that. */
	for (size_t taken = 0; taken < LOG_MAX && self->fd >= 0 && take_output(self);)
		taken += PORTION;
	from = MAX(0, self->log_size - WORDS_FROM);
	n = pread(self->log, tail, WORDS_FROM, from);
	if (n <= 0)
		return NULL;
	tail[n] = '\0';
	lines = g_strsplit_set(tail, "\r\n", -1);
	for (char **line = lines; *line; line++) {
		if (**line && !strstr(*line, GOING_DOWN))
			last = *line;
		if (!panic && strstr(*line, PANIC))
			panic = strstr(*line, PANIC);
	}
	last = panic ? panic : last;
	return last ? bn_str_escape(last, strlen(last), WORDS_MAX) : NULL;
}

static void
banger_console_log_iface_init(BangerConsoleInterface *iface)
{
	iface->open = open_console;
	iface->open_log = open_log;
	iface->get_last_words = get_last_words;
}
