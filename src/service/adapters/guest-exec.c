/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands in the guest: bytes between the caller's descriptors and the channel, under credit. */
#include <errno.h>
#include <glib-unix.h>
#include <unistd.h>

#include "service/adapters/guest-private.h"
#include "service/adapters/source.h"
#include "service/base/error.h"
#include "shared/base/cleanup.h"
#include "shared/base/fd-util.h"
#include "shared/base/str-util.h"

/* Credit is returned in portions, not per byte. */
#define CREDIT_PORTION (BN_FRAME_WINDOW / 4)

static unsigned
count_commands(BangerGuestAgent *agent)
{
	GHashTableIter iter;
	void *stream;
	unsigned n = 0;

	g_hash_table_iter_init(&iter, agent->streams);
	while (g_hash_table_iter_next(&iter, NULL, &stream))
		n += ((BangerGuestStream *)stream)->answer == BN_FRAME_EXITED;
	return n;
}

BangerGuestStream *
banger_guest_stream_new(BangerGuestAgent *agent, GTask *task, BnFrameType answer)
{
	BangerGuestStream *stream;

	if (agent->closed ||
	    (answer == BN_FRAME_EXITED && count_commands(agent) >= BN_FRAME_STREAMS)) {
		if (agent->closed)
			g_task_return_error(task, g_error_copy(agent->closed));
		else
			g_task_return_new_error(task, BANGER_ERROR, BANGER_ERROR_COMMAND_REFUSED,
						"%d commands run in this guest already",
						BN_FRAME_STREAMS);
		g_object_unref(task);
		return NULL;
	}
	do
		agent->last_stream++;
	while (agent->last_stream == 0 ||
	       g_hash_table_contains(agent->streams, GUINT_TO_POINTER(agent->last_stream)));
	stream = g_new0(BangerGuestStream, 1);
	stream->agent = agent;
	stream->number = agent->last_stream;
	stream->task = task;
	stream->answer = answer;
	stream->credit = BN_FRAME_WINDOW;
	for (size_t i = 0; i < _BN_CHANNEL_MAX; i++) {
		stream->fds[i] = -1;
		banger_byte_queue_init(&stream->pending[i]);
	}
	g_hash_table_insert(agent->streams, GUINT_TO_POINTER(stream->number), stream);
	return stream;
}

static void
close_channel(BangerGuestStream *stream, int channel)
{
	banger_source_clear(&stream->sources[channel]);
	if (channel == BN_CHANNEL_OUT)
		banger_source_clear(&stream->listener);
	bn_closep(&stream->fds[channel]);
}

void
banger_guest_stream_free(BangerGuestStream *stream)
{
	if (stream->cancellable)
		g_signal_handler_disconnect(stream->cancellable, stream->cancel_handler);
	g_clear_object(&stream->cancellable);
	for (int i = 0; i < _BN_CHANNEL_MAX; i++) {
		close_channel(stream, i);
		banger_byte_queue_done(&stream->pending[i]);
	}
	g_object_unref(stream->task);
	g_free(stream);
}

void
banger_guest_stream_remove(BangerGuestStream *stream)
{
	(void)g_hash_table_remove(stream->agent->streams, GUINT_TO_POINTER(stream->number));
}

/* The command has ended, and all it wrote has been delivered, or cannot be. */
static void
finish_if_done(BangerGuestStream *stream)
{
	g_autoptr(GTask) task = NULL;

	if (!stream->ended)
		return;
	for (int c = BN_CHANNEL_OUT; c <= BN_CHANNEL_ERR; c++)
		if (stream->fds[c] >= 0 && banger_byte_queue_size(&stream->pending[c]) > 0)
			return;
	task = g_object_ref(stream->task);
	g_task_return_pointer(task, g_memdup2(&stream->result, sizeof(stream->result)), g_free);
	/* The caller's ends close before it hears the status, so that it reads to the end first. */
	banger_guest_stream_remove(stream);
}

static void
hang_up(BangerGuestStream *stream)
{
	if (stream->hung_up || stream->ended)
		return;
	stream->hung_up = true;
	for (int i = 0; i < _BN_CHANNEL_MAX; i++)
		close_channel(stream, i);
	banger_guest_send(stream->agent, BN_FRAME_HANGUP, stream->number, NULL, 0);
}

static gboolean on_input(int fd, GIOCondition condition, gpointer data);
static gboolean on_output(int fd, GIOCondition condition, gpointer data);

static void
watch(BangerGuestStream *stream, int channel)
{
	bool in = channel == BN_CHANNEL_IN;

	if (stream->sources[channel] || stream->fds[channel] < 0)
		return;
	stream->sources[channel] =
		g_unix_fd_source_new(stream->fds[channel], in ? G_IO_IN | G_IO_HUP : G_IO_OUT);
	g_source_set_callback(stream->sources[channel], G_SOURCE_FUNC(in ? on_input : on_output),
			      stream, NULL);
	(void)g_source_attach(stream->sources[channel], g_main_context_get_thread_default());
}

static bool
may_read_input(const BangerGuestStream *stream)
{
	return stream->fds[BN_CHANNEL_IN] >= 0 && stream->credit > 0 &&
	       banger_byte_queue_size(&stream->agent->out) < BANGER_GUEST_OUT_HIGH;
}

/* Returned only while the guest listens: else what it may send would grow with what it sends, and what waits for it
 * here, too. */
static void
return_credit(BangerGuestStream *stream, int channel)
{
	uint8_t payload[5];
	BnPack pack = { .data = payload, .size = sizeof(payload) };

	if (stream->returned[channel] < CREDIT_PORTION || stream->ended ||
	    banger_byte_queue_size(&stream->agent->out) >= BANGER_GUEST_OUT_HIGH)
		return;
	bn_pack_put_uint(&pack, (uint64_t)channel, 1);
	bn_pack_put_uint(&pack, stream->returned[channel], 4);
	stream->returned[channel] = 0;
	banger_guest_send(stream->agent, BN_FRAME_CREDIT, stream->number, payload, sizeof(payload));
}

void
banger_guest_exec_resume(BangerGuestStream *stream)
{
	if (stream->answer != BN_FRAME_EXITED)
		return;
	return_credit(stream, BN_CHANNEL_OUT);
	return_credit(stream, BN_CHANNEL_ERR);
	if (may_read_input(stream))
		watch(stream, BN_CHANNEL_IN);
}

static gboolean
on_input(int fd, GIOCondition condition, gpointer data)
{
	BangerGuestStream *stream = data;
	uint8_t payload[BN_FRAME_PAYLOAD_MAX];
	size_t room = MIN(sizeof(payload) - 1, (size_t)stream->credit);
	ssize_t n = room > 0 ? read(fd, payload + 1, room) : -1;

	payload[0] = BN_CHANNEL_IN;
	if (n < 0 && room > 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (n > 0) {
		stream->credit -= (uint32_t)n;
		banger_guest_send(stream->agent, BN_FRAME_DATA, stream->number, payload,
				  (size_t)n + 1);
	} else if (room > 0) {
		banger_guest_send(stream->agent, BN_FRAME_END, stream->number, payload, 1);
		close_channel(stream, BN_CHANNEL_IN);
		return G_SOURCE_REMOVE;
	}
	if (may_read_input(stream))
		return G_SOURCE_CONTINUE;
	g_clear_pointer(&stream->sources[BN_CHANNEL_IN], g_source_unref);
	return G_SOURCE_REMOVE;
}

static void
deliver(BangerGuestStream *stream, int channel)
{
	ssize_t n = banger_byte_queue_flush(&stream->pending[channel], stream->fds[channel]);

	if (n < 0) {
		if (stream->ended)
			close_channel(stream, channel);
		else
			hang_up(stream);
		return;
	}
	stream->unread[channel] -= (uint32_t)n;
	stream->returned[channel] += (uint32_t)n;
	return_credit(stream, channel);
	/* Its reader may wait for the end while the command goes on. */
	if (stream->closed[channel] && banger_byte_queue_size(&stream->pending[channel]) == 0)
		close_channel(stream, channel);
}

static gboolean
on_output(int fd, GIOCondition condition, gpointer data)
{
	BangerGuestStream *stream = data;
	g_autoptr(BangerGuestAgent) agent = g_object_ref(stream->agent);
	uint16_t number = stream->number;
	int channel = fd == stream->fds[BN_CHANNEL_OUT] ? BN_CHANNEL_OUT : BN_CHANNEL_ERR;
	bool more;

	deliver(stream, channel);
	more = stream->fds[channel] >= 0 && banger_byte_queue_size(&stream->pending[channel]) > 0;
	if (!more)
		banger_source_clear(&stream->sources[channel]);
	if (g_hash_table_contains(agent->streams, GUINT_TO_POINTER(number)))
		finish_if_done(stream);
	return more ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean
on_nobody_listens(int fd, GIOCondition condition, gpointer data)
{
	BangerGuestStream *stream = data;

	hang_up(stream);
	return G_SOURCE_REMOVE;
}

static void
listen_for_hangup(BangerGuestStream *stream)
{
	stream->listener = g_unix_fd_source_new(stream->fds[BN_CHANNEL_OUT], G_IO_ERR | G_IO_HUP);
	g_source_set_callback(stream->listener, G_SOURCE_FUNC(on_nobody_listens), stream, NULL);
	(void)g_source_attach(stream->listener, g_main_context_get_thread_default());
}

static bool
take_data(BangerGuestStream *stream, const BnFrame *frame)
{
	int channel = frame->length > 1 ? frame->payload[0] : -1;
	uint32_t size = frame->length - 1;

	if ((channel != BN_CHANNEL_OUT && channel != BN_CHANNEL_ERR) || stream->closed[channel])
		return false;
	if (stream->hung_up || stream->fds[channel] < 0)
		return true;
	/* More than it had credit for. */
	if (size > BN_FRAME_WINDOW - stream->unread[channel] - stream->returned[channel])
		return false;
	stream->unread[channel] += size;
	banger_byte_queue_add(&stream->pending[channel], frame->payload + 1, size);
	if (stream->sources[channel])
		return true;
	deliver(stream, channel);
	if (stream->fds[channel] >= 0 && banger_byte_queue_size(&stream->pending[channel]) > 0)
		watch(stream, channel);
	return true;
}

static bool
take_end(BangerGuestStream *stream, const BnFrame *frame)
{
	int channel = frame->length == 1 ? frame->payload[0] : -1;

	if ((channel != BN_CHANNEL_OUT && channel != BN_CHANNEL_ERR) || stream->closed[channel])
		return false;
	stream->closed[channel] = true;
	if (stream->fds[channel] >= 0 && !stream->sources[channel])
		deliver(stream, channel);
	return true;
}

static bool
take_credit(BangerGuestStream *stream, const BnFrame *frame)
{
	BnPack pack = { .data = (uint8_t *)frame->payload, .size = frame->length };
	uint64_t channel = bn_pack_get_uint(&pack, 1);
	uint64_t credit = bn_pack_get_uint(&pack, 4);

	if (pack.bad || channel != BN_CHANNEL_IN || credit > BN_FRAME_WINDOW - stream->credit)
		return false;
	stream->credit += (uint32_t)credit;
	banger_guest_exec_resume(stream);
	return true;
}

static bool
take_exit(BangerGuestStream *stream, const BnFrame *frame)
{
	/* Signal 0 would read as an exit. */
	if (frame->length != 2 || frame->payload[0] > 1 ||
	    (frame->payload[0] == 1 && (frame->payload[1] < 1 || frame->payload[1] > 64)))
		return false;
	if (frame->payload[0] == 0)
		stream->result.status = frame->payload[1];
	else
		stream->result.signal_number = frame->payload[1];
	stream->ended = true;
	close_channel(stream, BN_CHANNEL_IN);
	finish_if_done(stream);
	return true;
}

static void
take_failure(BangerGuestStream *stream, const BnFrame *frame)
{
	g_autofree char *text = bn_str_escape((const char *)frame->payload, frame->length, 256);

	g_task_return_new_error(stream->task, BANGER_ERROR, BANGER_ERROR_COMMAND_REFUSED, "%s",
				text);
	banger_guest_stream_remove(stream);
}

bool
banger_guest_exec_frame(BangerGuestStream *stream, const BnFrame *frame)
{
	if (stream->ended)
		return false;
	switch (frame->type) {
	case BN_FRAME_DATA:
		return take_data(stream, frame);
	case BN_FRAME_END:
		return take_end(stream, frame);
	case BN_FRAME_CREDIT:
		return take_credit(stream, frame);
	case BN_FRAME_EXITED:
		return take_exit(stream, frame);
	case BN_FRAME_FAILED:
		take_failure(stream, frame);
		return true;
	default:
		return false;
	}
}

/* The client is gone; not in the middle of whatever cancelled it. */
static void
on_cancelled(GCancellable *cancellable, BangerGuestStream *stream)
{
	hang_up(stream);
}

static bool
send_description(BangerGuestStream *stream, const BangerExecSpec *spec, GError **error)
{
	static char *const none[] = { NULL };
	BnExecRequest request = { .tty = spec->tty,
				  .rows = spec->rows,
				  .columns = spec->columns,
				  .user = (char *)(spec->user ? spec->user : ""),
				  .workdir = (char *)(spec->workdir ? spec->workdir : ""),
				  .argv = (char **)spec->argv,
				  .environment =
					  (char **)(spec->environment ? (char **)spec->environment
								      : (char **)none) };
	ssize_t size = bn_exec_request_render(&request, NULL, 0);
	g_autofree uint8_t *text = size > 0 ? g_malloc((gsize)size) : NULL;

	if (size < 0 || bn_exec_request_render(&request, text, (size_t)size) != size) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT,
			    "the command and its environment are too long");
		return false;
	}
	for (ssize_t at = 0; at < size; at += BN_FRAME_PAYLOAD_MAX)
		banger_guest_send(stream->agent, BN_FRAME_EXEC, stream->number, text + at,
				  MIN((size_t)(size - at), BN_FRAME_PAYLOAD_MAX));
	banger_guest_send(stream->agent, BN_FRAME_RUN, stream->number, NULL, 0);
	return true;
}

uint32_t
banger_guest_exec(BangerGuest *guest, const BangerExecSpec *spec, int fds[static 3],
		  GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	BangerGuestAgent *agent = BANGER_GUEST_AGENT(guest);
	GTask *task = g_task_new(guest, /* cancellable= */ NULL, callback, data);
	BangerGuestStream *stream = banger_guest_stream_new(agent, task, BN_FRAME_EXITED);
	GError *error = NULL;

	if (!stream) {
		bn_fd_close_many(fds, 3);
		return 0;
	}
	for (size_t i = 0; i < 3; i++) {
		stream->fds[i] = BN_TAKE_FD(fds[i]);
		(void)bn_fd_set_nonblock(stream->fds[i], true);
	}
	if (!send_description(stream, spec, &error)) {
		g_task_return_error(task, error);
		banger_guest_stream_remove(stream);
		return 0;
	}
	if (spec->tty)
		close_channel(stream, BN_CHANNEL_ERR);
	listen_for_hangup(stream);
	banger_guest_exec_resume(stream);
	if (cancellable) {
		stream->cancellable = g_object_ref(cancellable);
		stream->cancel_handler = g_signal_connect(cancellable, "cancelled",
							  G_CALLBACK(on_cancelled), stream);
	}
	return stream->number;
}

bool
banger_guest_exec_finish(BangerGuest *guest, GAsyncResult *result, BangerExecResult *ret,
			 GError **error)
{
	g_autofree BangerExecResult *ended = g_task_propagate_pointer(G_TASK(result), error);

	if (ended)
		*ret = *ended;
	return ended != NULL;
}

static BangerGuestStream *
find_exec(BangerGuest *guest, uint32_t exec)
{
	BangerGuestStream *stream =
		g_hash_table_lookup(BANGER_GUEST_AGENT(guest)->streams, GUINT_TO_POINTER(exec));

	return stream && stream->answer == BN_FRAME_EXITED ? stream : NULL;
}

void
banger_guest_exec_signal(BangerGuest *guest, uint32_t exec, int signal_number)
{
	BangerGuestStream *stream = find_exec(guest, exec);
	uint8_t payload = (uint8_t)signal_number;

	if (stream)
		banger_guest_send(stream->agent, BN_FRAME_SIGNAL, stream->number, &payload, 1);
}

void
banger_guest_exec_resize(BangerGuest *guest, uint32_t exec, uint16_t rows, uint16_t columns)
{
	BangerGuestStream *stream = find_exec(guest, exec);
	uint8_t payload[4];
	BnPack pack = { .data = payload, .size = sizeof(payload) };

	bn_pack_put_uint(&pack, rows, 2);
	bn_pack_put_uint(&pack, columns, 2);
	if (stream)
		banger_guest_send(stream->agent, BN_FRAME_RESIZE, stream->number, payload,
				  sizeof(payload));
}
