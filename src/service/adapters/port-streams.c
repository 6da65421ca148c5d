/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/port-streams.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "service/adapters/acceptor.h"

struct BangerPortStreams {
	BangerAcceptor *acceptor;
	GSocketAddress *guest;
	GPtrArray *streams; /* each frees itself, when nothing of it goes on any more */
};

typedef struct Stream {
	BangerPortStreams *owner; /* NULL: is to end */
	GSocketConnection *client, *guest;
	GInetAddress *address; /* the client's */
	GCancellable *ending;
	unsigned ways; /* that still go on, of two */
} Stream;

static void
free_stream(Stream *stream)
{
	BangerPortStreams *owner = stream->owner;

	if (owner) {
		(void)g_ptr_array_remove_fast(owner->streams, stream);
		banger_acceptor_set_open(owner->acceptor, true);
	}
	g_object_unref(stream->client);
	g_clear_object(&stream->guest);
	g_object_unref(stream->address);
	g_object_unref(stream->ending);
	g_free(stream);
}

/* One side has said all, which the other is to hear; where something is wrong neither way goes on. */
static void
end_way(Stream *stream, GAsyncResult *result, GOutputStream *source, GSocketConnection *to)
{
	if (g_output_stream_splice_finish(source, result, /* error= */ NULL) < 0 ||
	    !g_socket_shutdown(g_socket_connection_get_socket(to), FALSE, TRUE, /* error= */ NULL))
		g_cancellable_cancel(stream->ending);
	if (--stream->ways == 0)
		free_stream(stream);
}

static void
on_guest_told(GObject *source, GAsyncResult *result, gpointer data)
{
	Stream *stream = data;

	end_way(stream, result, G_OUTPUT_STREAM(source), stream->guest);
}

static void
on_client_told(GObject *source, GAsyncResult *result, gpointer data)
{
	Stream *stream = data;

	end_way(stream, result, G_OUTPUT_STREAM(source), stream->client);
}

static void
splice(Stream *stream, GSocketConnection *from, GSocketConnection *to, GAsyncReadyCallback callback)
{
	stream->ways++;
	g_output_stream_splice_async(g_io_stream_get_output_stream(G_IO_STREAM(to)),
				     g_io_stream_get_input_stream(G_IO_STREAM(from)),
				     G_OUTPUT_STREAM_SPLICE_NONE, G_PRIORITY_DEFAULT_IDLE,
				     stream->ending, callback, stream);
}

static void
on_connected(GObject *source, GAsyncResult *result, gpointer data)
{
	Stream *stream = data;

	/* Nobody listens there, say: the client sees that by the end of its own connection. */
	if (!g_socket_connection_connect_finish(stream->guest, result, /* error= */ NULL)) {
		free_stream(stream);
		return;
	}
	splice(stream, stream->client, stream->guest, on_guest_told);
	splice(stream, stream->guest, stream->client, on_client_told);
}

/* Other programs of this host are its user's affair. */
static bool
has_room(const BangerPortStreams *streams, GInetAddress *address)
{
	unsigned n = 0;

	for (guint i = 0; i < streams->streams->len; i++) {
		const Stream *stream = g_ptr_array_index(streams->streams, i);

		n += g_inet_address_equal(stream->address, address);
	}
	return n < BANGER_PORT_STREAMS_CLIENT_MAX || g_inet_address_get_is_loopback(address);
}

/* One whose other end has gone without a word does not hold a place for ever. */
static void
keep_alive(GSocket *socket)
{
	g_socket_set_keepalive(socket, TRUE);
	(void)g_socket_set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, BANGER_PORT_STREAM_IDLE_S,
				  /* error= */ NULL);
}

/* With no room for that client its connection is closed. */
static void
add_stream(GSocket *socket, void *data)
{
	BangerPortStreams *owner = data;
	g_autoptr(GSocket) out =
		g_socket_new(g_socket_address_get_family(owner->guest), G_SOCKET_TYPE_STREAM,
			     G_SOCKET_PROTOCOL_TCP, /* error= */ NULL);
	g_autoptr(GSocketAddress) from = g_socket_get_remote_address(socket, /* error= */ NULL);
	GInetAddress *address =
		from ? g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(from)) : NULL;
	Stream *stream;

	if (!out || !address || !has_room(owner, address))
		return;
	keep_alive(socket);
	keep_alive(out);
	stream = g_new0(Stream, 1);
	stream->address = g_object_ref(address);
	stream->owner = owner;
	stream->client = g_socket_connection_factory_create_connection(socket);
	stream->guest = g_socket_connection_factory_create_connection(out);
	stream->ending = g_cancellable_new();
	g_ptr_array_add(owner->streams, stream);
	if (owner->streams->len >= BANGER_PORT_STREAMS_MAX)
		banger_acceptor_set_open(owner->acceptor, false);
	g_socket_connection_connect_async(stream->guest, owner->guest, stream->ending, on_connected,
					  stream);
}

BangerPortStreams *
banger_port_streams_new(GSocket *listener, GSocketAddress *guest)
{
	BangerPortStreams *streams = g_new0(BangerPortStreams, 1);

	streams->guest = g_object_ref(guest);
	streams->streams = g_ptr_array_new();
	streams->acceptor =
		banger_acceptor_new(listener, G_PRIORITY_DEFAULT_IDLE, add_stream, streams);
	return streams;
}

static void
cut(BangerPortStreams *streams)
{
	for (guint i = 0; i < streams->streams->len; i++) {
		Stream *stream = g_ptr_array_index(streams->streams, i);

		stream->owner = NULL;
		g_cancellable_cancel(stream->ending);
	}
	g_ptr_array_set_size(streams->streams, 0);
}

void
banger_port_streams_set_guest(BangerPortStreams *streams, GSocketAddress *guest)
{
	(void)g_set_object(&streams->guest, guest);
	cut(streams);
	banger_acceptor_set_open(streams->acceptor, true);
}

void
banger_port_streams_free(BangerPortStreams *streams)
{
	if (!streams)
		return;
	banger_acceptor_free(streams->acceptor);
	cut(streams);
	g_ptr_array_unref(streams->streams);
	g_object_unref(streams->guest);
	g_free(streams);
}
