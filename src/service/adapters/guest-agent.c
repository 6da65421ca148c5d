/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/guest-agent.h"

#include <glib-unix.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "service/adapters/guest-private.h"
#include "service/adapters/source.h"
#include "service/base/error.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/log.h"
#include "shared/base/str-util.h"

static void banger_guest_agent_iface_init(BangerGuestInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE(BangerGuestAgent, banger_guest_agent, G_TYPE_OBJECT,
			      G_IMPLEMENT_INTERFACE(BANGER_TYPE_GUEST,
						    banger_guest_agent_iface_init))

static void
banger_guest_agent_dispose(GObject *object)
{
	BangerGuestAgent *self = BANGER_GUEST_AGENT(object);

	banger_source_clear(&self->readable);
	banger_source_clear(&self->writable);
	bn_closep(&self->fd);
	G_OBJECT_CLASS(banger_guest_agent_parent_class)->dispose(object);
}

static void
banger_guest_agent_finalize(GObject *object)
{
	BangerGuestAgent *self = BANGER_GUEST_AGENT(object);

	g_hash_table_unref(self->streams);
	banger_byte_queue_done(&self->in);
	banger_byte_queue_done(&self->out);
	g_clear_error(&self->closed);
	g_clear_object(&self->opening);
	G_OBJECT_CLASS(banger_guest_agent_parent_class)->finalize(object);
}

static void
banger_guest_agent_class_init(BangerGuestAgentClass *klass)
{
	G_OBJECT_CLASS(klass)->dispose = banger_guest_agent_dispose;
	G_OBJECT_CLASS(klass)->finalize = banger_guest_agent_finalize;
}

static void
banger_guest_agent_init(BangerGuestAgent *self)
{
	self->fd = -1;
	banger_byte_queue_init(&self->in);
	banger_byte_queue_init(&self->out);
	self->streams =
		g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)banger_guest_stream_free);
}

/* It has been answered: who cancels it now means something else. */
static void
drop_opening(BangerGuestAgent *self)
{
	GCancellable *cancellable = self->opening ? g_task_get_cancellable(self->opening) : NULL;

	if (cancellable)
		g_signal_handlers_disconnect_by_data(cancellable, self);
	g_clear_object(&self->opening);
}

/* Whoever asked for statistics while they were asked for already gets the same answer: one of `bytes` and `error`. */
static void
answer_inquirers(BangerGuestAgent *self, GBytes *bytes, const GError *error)
{
	g_autoptr(GPtrArray) inquirers = g_steal_pointer(&self->inquirers);

	for (guint i = 0; inquirers && i < inquirers->len; i++) {
		GTask *task = g_ptr_array_index(inquirers, i);

		if (error)
			g_task_return_error(task, g_error_copy(error));
		else
			g_task_return_pointer(task, g_bytes_ref(bytes),
					      (GDestroyNotify)g_bytes_unref);
	}
}

/* Everything under way fails with the reason, once. */
static void
close_with(BangerGuestAgent *self, const char *reason)
{
	/* Whoever hears that it is closed lets go of it. */
	g_autoptr(BangerGuestAgent) keep = g_object_ref(self);
	g_autoptr(GList) streams = NULL;

	(void)keep;
	if (self->closed)
		return;
	self->closed = g_error_new_literal(BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE, reason);
	banger_source_clear(&self->readable);
	banger_source_clear(&self->writable);
	bn_closep(&self->fd);
	if (self->opening) {
		g_task_return_error(self->opening, g_error_copy(self->closed));
		drop_opening(self);
	}
	answer_inquirers(self, /* bytes= */ NULL, self->closed);
	streams = g_hash_table_get_values(self->streams);
	for (GList *l = streams; l; l = l->next) {
		BangerGuestStream *stream = l->data;

		g_task_return_error(stream->task, g_error_copy(self->closed));
		banger_guest_stream_remove(stream);
	}
	g_signal_emit_by_name(self, "closed", self->closed);
}

static gboolean on_writable(int fd, GIOCondition condition, gpointer data);

/* Writes what the connection takes, and sees to it that the rest follows. Negative errno where it is broken. */
static ssize_t
write_out(BangerGuestAgent *self)
{
	ssize_t n = banger_byte_queue_flush(&self->out, self->fd);

	if (n >= 0 && banger_byte_queue_size(&self->out) == 0) {
		banger_source_clear(&self->writable);
	} else if (!self->writable) {
		self->writable = g_unix_fd_source_new(self->fd, G_IO_OUT);
		g_source_set_callback(self->writable, G_SOURCE_FUNC(on_writable), self, NULL);
		(void)g_source_attach(self->writable, g_main_context_get_thread_default());
	}
	return n;
}

static gboolean
on_writable(int fd, GIOCondition condition, gpointer data)
{
	g_autoptr(BangerGuestAgent) self = g_object_ref(data);
	GHashTableIter iter;
	void *stream;

	if (write_out(self) < 0) {
		close_with(self, "the connection to the guest is broken");
		return G_SOURCE_REMOVE;
	}
	if (banger_byte_queue_size(&self->out) < BANGER_GUEST_OUT_HIGH) {
		g_hash_table_iter_init(&iter, self->streams);
		while (g_hash_table_iter_next(&iter, NULL, &stream))
			banger_guest_exec_resume(stream);
	}
	return self->writable ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

void
banger_guest_send(BangerGuestAgent *self, BnFrameType type, uint16_t stream, const void *payload,
		  size_t size)
{
	uint8_t *room;

	if (self->closed)
		return;
	room = banger_byte_queue_reserve(&self->out, BN_FRAME_HEADER + size + 1);
	(void)bn_frame_render(room, type, stream, payload, size);
	/* Our caller is in the middle of something with a stream. A failure is met once more by on_writable(), which
	 * may end them all. */
	if (!self->writable)
		(void)write_out(self);
}

static void
fail_request(BangerGuestStream *stream, const BnFrame *frame)
{
	g_autofree char *text = bn_str_escape((const char *)frame->payload, frame->length, 256);
	GError *error = g_error_new_literal(BANGER_ERROR, BANGER_ERROR_FAILED, text);

	if (stream->answer == BN_FRAME_STATUS)
		answer_inquirers(stream->agent, /* bytes= */ NULL, error);
	g_task_return_error(stream->task, error);
}

static void
give_statistics(BangerGuestStream *stream, const BnFrame *frame)
{
	GBytes *bytes = g_bytes_new(frame->payload, frame->length);

	answer_inquirers(stream->agent, bytes, /* error= */ NULL);
	g_task_return_pointer(stream->task, bytes, (GDestroyNotify)g_bytes_unref);
}

/* Statistics and the like: a stream that ends with its first answer. */
static bool
answer_request(BangerGuestStream *stream, const BnFrame *frame)
{

	/* The finish function relies on it. */
	if (frame->type != stream->answer && frame->type != BN_FRAME_FAILED)
		return false;
	switch (frame->type) {
	case BN_FRAME_DONE:
		g_task_return_pointer(stream->task, NULL, NULL);
		break;
	case BN_FRAME_STATUS:
		give_statistics(stream, frame);
		break;
	case BN_FRAME_FAILED:
		fail_request(stream, frame);
		break;
	default:
		return false;
	}
	banger_guest_stream_remove(stream);
	return true;
}

static bool
handle_hello(BangerGuestAgent *self, const BnFrame *frame)
{
	BnHello hello;
	BangerGuestHello *ret;

	if (!bn_hello_parse(frame, &hello) || memcmp(hello.nonce, self->nonce, BN_FRAME_NONCE) != 0)
		return false;
	if (hello.version < BN_FRAME_VERSION_MIN || hello.version > BN_FRAME_VERSION)
		return false;
	self->is_open = true;
	ret = g_new0(BangerGuestHello, 1);
	memcpy(ret->boot_id, hello.boot_id, sizeof(ret->boot_id));
	ret->first_us = hello.first_us;
	ret->hello_us = MAX(hello.hello_us, hello.first_us);
	if (self->opening)
		g_task_return_pointer(self->opening, ret, g_free);
	else
		g_free(ret);
	drop_opening(self);
	return true;
}

static bool
handle_frame(BangerGuestAgent *self, const BnFrame *frame)
{
	BangerGuestStream *stream =
		g_hash_table_lookup(self->streams, GUINT_TO_POINTER(frame->stream));

	/* The guest opens nothing: what belongs to no request of ours is a lie, or of a command that was given up. */
	if (!stream)
		return frame->type != BN_FRAME_HELLO && frame->stream > 0;
	return stream->answer == BN_FRAME_EXITED ? banger_guest_exec_frame(stream, frame)
						 : answer_request(stream, frame);
}

/* Before the session is open: drops everything up to the answer to our own RESET. A frame of an old session may have
 * been cut anywhere, so every byte may be the beginning, and is looked at once. */
static void
seek_hello(BangerGuestAgent *self)
{
	while (!self->is_open && banger_byte_queue_size(&self->in) > 0) {
		const uint8_t *p = self->in.bytes->data + self->in.start;
		size_t size = banger_byte_queue_size(&self->in), used = 0;
		BnFrame frame;
		int r = *p == 0 ? -EBADMSG : bn_frame_parse(p, size, &frame, &used);

		/* The start of something: ours, or an old frame's whose rest never comes. */
		if (r == 0 && (size < BN_FRAME_HEADER || *p == BN_FRAME_HELLO))
			return;
		if (r > 0 && frame.type == BN_FRAME_HELLO && handle_hello(self, &frame))
			self->in.start += used;
		else
			self->in.start++;
	}
}

static void
read_frames(BangerGuestAgent *self)
{
	seek_hello(self);
	while (self->is_open && !self->closed) {
		BnFrame frame;
		size_t used = 0;
		int r = bn_frame_parse(self->in.bytes->data + self->in.start,
				       banger_byte_queue_size(&self->in), &frame, &used);

		if (r < 0 || (r > 0 && !handle_frame(self, &frame))) {
			/* Which one it was is for whoever writes agents. */
			if (r > 0)
				bn_log_notice("a guest's agent: bad frame %u of stream %u",
					      (unsigned)frame.type, frame.stream);
			close_with(self, "the guest's agent does not keep to the protocol");
			return;
		}
		self->in.start += used;
		if (r == 0)
			return;
	}
}

static gboolean
on_readable(int fd, GIOCondition condition, gpointer data)
{
	g_autoptr(BangerGuestAgent) self = g_object_ref(data);
	const size_t portion = 65536;
	unsigned char *room = banger_byte_queue_reserve(&self->in, portion);
	/* The jail's first process has this connection too, and could have made it one that waits. */
	ssize_t n = recv(fd, room, portion, MSG_DONTWAIT);

	banger_byte_queue_trim(&self->in, portion - (size_t)MAX(n, 0));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (n <= 0) {
		close_with(self, "the guest has ended");
		return G_SOURCE_REMOVE;
	}
	read_frames(self);
	return self->closed ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

BangerGuest *
banger_guest_agent_new(int fd)
{
	BangerGuestAgent *self = g_object_new(BANGER_TYPE_GUEST_AGENT, NULL);

	self->fd = fd;
	self->readable = g_unix_fd_source_new(fd, G_IO_IN | G_IO_HUP);
	g_source_set_callback(self->readable, G_SOURCE_FUNC(on_readable), self, NULL);
	(void)g_source_attach(self->readable, g_main_context_get_thread_default());
	return BANGER_GUEST(self);
}

static void
on_open_cancelled(GCancellable *cancellable, BangerGuestAgent *self)
{
	close_with(self, "cancelled");
}

static void
open_guest(BangerGuest *guest, GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	BangerGuestAgent *self = BANGER_GUEST_AGENT(guest);
	GTask *task = g_task_new(guest, cancellable, callback, data);
	uint8_t payload[4 + BN_FRAME_NONCE];
	BnPack pack = { .data = payload, .size = sizeof(payload) };

	if (self->closed) {
		g_task_return_error(task, g_error_copy(self->closed));
		g_object_unref(task);
		return;
	}
	self->opening = task;
	g_assert(getrandom(self->nonce, sizeof(self->nonce), 0) == sizeof(self->nonce));
	bn_pack_put_uint(&pack, BN_FRAME_VERSION, 2);
	bn_pack_put_uint(&pack, BN_FRAME_VERSION_MIN, 2);
	bn_pack_put(&pack, self->nonce, sizeof(self->nonce));
	/* Completes what a daemon before this one may have left half sent. */
	memset(banger_byte_queue_reserve(&self->out, BN_FRAME_MAX), 0, BN_FRAME_MAX);
	banger_guest_send(self, BN_FRAME_RESET, 0, payload, sizeof(payload));
	if (cancellable)
		g_signal_connect_object(cancellable, "cancelled", G_CALLBACK(on_open_cancelled),
					self, 0);
}

static bool
open_guest_finish(BangerGuest *guest, GAsyncResult *result, BangerGuestHello *ret, GError **error)
{
	g_autofree BangerGuestHello *hello = g_task_propagate_pointer(G_TASK(result), error);

	if (hello)
		*ret = *hello;
	return hello != NULL;
}

/* What the guest may answer yet is nobody's. */
static void
on_request_cancelled(GCancellable *cancellable, BangerGuestStream *stream)
{
	(void)g_task_return_error_if_cancelled(stream->task);
	banger_guest_stream_remove(stream);
}

static void
request(BangerGuest *guest, BnFrameType type, const void *payload, size_t size,
	GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	BangerGuestAgent *self = BANGER_GUEST_AGENT(guest);
	GTask *task = g_task_new(guest, cancellable, callback, data);
	BangerGuestStream *stream;

	if (g_task_return_error_if_cancelled(task)) {
		g_object_unref(task);
		return;
	}
	stream = banger_guest_stream_new(self, task,
					 type == BN_FRAME_QUERY ? BN_FRAME_STATUS : BN_FRAME_DONE);
	if (!stream)
		return;
	banger_guest_send(self, type, stream->number, payload, size);
	if (cancellable) {
		stream->cancellable = g_object_ref(cancellable);
		stream->cancel_handler = g_signal_connect(cancellable, "cancelled",
							  G_CALLBACK(on_request_cancelled), stream);
	}
}

/* An answer that says no more than that it is done. */
static bool
finish_request(GAsyncResult *result, GError **error)
{
	g_autoptr(GError) own = NULL;
	g_autoptr(GBytes) nothing = g_task_propagate_pointer(G_TASK(result), &own);

	(void)nothing;
	if (!own)
		return true;
	g_propagate_error(error, g_steal_pointer(&own));
	return false;
}

static void
set_clock(BangerGuest *guest, GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	uint8_t payload[8];
	BnPack pack = { .data = payload, .size = sizeof(payload) };

	bn_pack_put_uint(&pack, (uint64_t)g_get_real_time() * 1000, 8);
	request(guest, BN_FRAME_CLOCK, payload, sizeof(payload), cancellable, callback, data);
}

static bool
set_clock_finish(BangerGuest *guest, GAsyncResult *result, GError **error)
{
	return finish_request(result, error);
}

static void
shutdown_guest(BangerGuest *guest, GCancellable *cancellable, GAsyncReadyCallback callback,
	       void *data)
{
	request(guest, BN_FRAME_SHUTDOWN, NULL, 0, cancellable, callback, data);
}

static bool
shutdown_guest_finish(BangerGuest *guest, GAsyncResult *result, GError **error)
{
	return finish_request(result, error);
}

static void
get_statistics(BangerGuest *guest, GAsyncReadyCallback callback, void *data)
{
	BangerGuestAgent *self = BANGER_GUEST_AGENT(guest);

	/* A guest may never answer, and callers come again. */
	if (self->inquirers) {
		g_ptr_array_add(self->inquirers,
				g_task_new(guest, /* cancellable= */ NULL, callback, data));
		return;
	}
	if (!self->closed)
		self->inquirers = g_ptr_array_new_with_free_func(g_object_unref);
	request(guest, BN_FRAME_QUERY, NULL, 0, /* cancellable= */ NULL, callback, data);
}

static bool
get_statistics_finish(BangerGuest *guest, GAsyncResult *result, BangerGuestStatistics *ret,
		      GError **error)
{
	g_autoptr(GBytes) bytes = g_task_propagate_pointer(G_TASK(result), error);
	BangerGuestStatistics s = {};
	BnPack pack = {};

	if (!bytes)
		return false;
	pack.data = (uint8_t *)g_bytes_get_data(bytes, &pack.size);
	s.memory_total = bn_pack_get_uint(&pack, 8);
	s.memory_available = bn_pack_get_uint(&pack, 8);
	s.disk_total = bn_pack_get_uint(&pack, 8);
	s.disk_available = bn_pack_get_uint(&pack, 8);
	s.uptime_us = bn_pack_get_uint(&pack, 8);
	s.processes = (uint32_t)bn_pack_get_uint(&pack, 4);
	s.load = (double)bn_pack_get_uint(&pack, 4) / 1000;
	if (pack.bad) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE,
			    "the guest's answer is not understood");
		return false;
	}
	*ret = s;
	return true;
}

static void
banger_guest_agent_iface_init(BangerGuestInterface *iface)
{
	iface->open = open_guest;
	iface->open_finish = open_guest_finish;
	iface->exec = banger_guest_exec;
	iface->exec_finish = banger_guest_exec_finish;
	iface->exec_signal = banger_guest_exec_signal;
	iface->exec_resize = banger_guest_exec_resize;
	iface->set_clock = set_clock;
	iface->set_clock_finish = set_clock_finish;
	iface->shutdown = shutdown_guest;
	iface->shutdown_finish = shutdown_guest_finish;
	iface->get_statistics = get_statistics;
	iface->get_statistics_finish = get_statistics_finish;
}
