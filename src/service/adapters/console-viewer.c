/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/console-viewer.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/socket.h>

#include "service/adapters/byte-queue.h"
#include "service/adapters/console-log.h"
#include "service/adapters/source.h"
#include "shared/base/cleanup.h"
#include "shared/base/fd-util.h"

/* The whole of a log, and as much again of what comes while it is read. */
#define PENDING_MAX (2 * BANGER_CONSOLE_LOG_MAX)

struct BangerConsoleViewer {
	int fd;
	GSource *reading;
	GSource *writing; /* while something waits */
	BangerByteQueue pending;
	bool finishing;
	BangerConsoleTyped typed;
	BangerConsoleGone gone;
	void *userdata;
};

void
banger_console_viewer_free(BangerConsoleViewer *viewer)
{
	banger_source_clear(&viewer->reading);
	banger_source_clear(&viewer->writing);
	bn_closep(&viewer->fd);
	banger_byte_queue_done(&viewer->pending);
	g_free(viewer);
}

static gboolean
leave(BangerConsoleViewer *viewer)
{
	if (viewer->finishing)
		banger_console_viewer_free(viewer);
	else
		viewer->gone(viewer, viewer->userdata);
	return G_SOURCE_REMOVE;
}

static gboolean
on_readable(int fd, GIOCondition condition, gpointer data)
{
	BangerConsoleViewer *viewer = data;
	char buffer[512];
	ssize_t n;

	if (!(condition & G_IO_IN))
		return leave(viewer);
	n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (n <= 0)
		return leave(viewer);
	if (!viewer->finishing)
		viewer->typed(buffer, (size_t)n, viewer->userdata);
	return G_SOURCE_CONTINUE;
}

static GSource *
watch(BangerConsoleViewer *viewer, GIOCondition condition, GUnixFDSourceFunc func)
{
	GSource *source = g_unix_fd_source_new(viewer->fd, condition);

	g_source_set_callback(source, G_SOURCE_FUNC(func), viewer, NULL);
	(void)g_source_attach(source, g_main_context_get_thread_default());
	return source;
}

BangerConsoleViewer *
banger_console_viewer_new(int fd, BangerConsoleTyped typed, BangerConsoleGone gone, void *userdata)
{
	BangerConsoleViewer *viewer = g_new0(BangerConsoleViewer, 1);

	(void)bn_fd_set_nonblock(fd, true);
	viewer->fd = fd;
	viewer->typed = typed;
	viewer->gone = gone;
	viewer->userdata = userdata;
	banger_byte_queue_init(&viewer->pending);
	viewer->reading = watch(viewer, typed ? G_IO_IN | G_IO_HUP : G_IO_HUP, on_readable);
	return viewer;
}

static gboolean
on_writable(int fd, GIOCondition condition, gpointer data)
{
	BangerConsoleViewer *viewer = data;

	(void)condition;
	if (banger_byte_queue_flush(&viewer->pending, fd) < 0)
		return leave(viewer);
	if (banger_byte_queue_size(&viewer->pending) > 0)
		return G_SOURCE_CONTINUE;
	if (viewer->finishing)
		banger_console_viewer_free(viewer);
	else
		banger_source_clear(&viewer->writing);
	return G_SOURCE_REMOVE;
}

bool
banger_console_viewer_send(BangerConsoleViewer *viewer, const char *data, size_t size)
{
	banger_byte_queue_add(&viewer->pending, data, size);
	/* Whoever is gone is told of by a source. */
	if (!viewer->writing)
		(void)banger_byte_queue_flush(&viewer->pending, viewer->fd);
	if (!viewer->writing && banger_byte_queue_size(&viewer->pending) > 0)
		viewer->writing = watch(viewer, G_IO_OUT, on_writable);
	return banger_byte_queue_size(&viewer->pending) <= PENDING_MAX;
}

void
banger_console_viewer_finish(BangerConsoleViewer *viewer)
{
	viewer->finishing = true;
	if (banger_byte_queue_size(&viewer->pending) == 0)
		banger_console_viewer_free(viewer);
}
