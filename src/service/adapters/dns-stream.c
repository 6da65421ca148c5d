/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/dns-stream.h"

#include <endian.h>
#include <string.h>

#include "service/adapters/acceptor.h"
#include "service/adapters/source.h"

/* The length before each message (RFC 1035, section 4.2.2). */
#define PREFIX 2

struct BangerDnsStreams {
	BangerAcceptor *acceptor;
	const BangerDnsZone *zone;
	BangerDnsResolvers *resolvers;
	GPtrArray *streams; /* each frees itself, when what it waits for has ended */
};

/* Always waits for exactly one thing, whose callback either waits for the next or frees it. */
typedef struct Stream {
	BangerDnsStreams *owner; /* NULL: is to end */
	GIOStream *client;
	GSocketAddress *address;
	GCancellable *waiting;
	GSource *timeout; /* ends the waiting */
	GPtrArray *resolvers;
	unsigned next; /* of them */
	GIOStream *resolver;
	uint8_t *reply;
	uint16_t client_id;
	size_t size;
	uint8_t query[PREFIX + BANGER_DNS_QUERY_MAX];
	size_t reply_size;
	uint8_t head[PREFIX];
} Stream;

static void read_query(Stream *stream);
static void try_next(Stream *stream);

static void
put_prefix(uint8_t *message, size_t size)
{
	uint16_t prefix = htobe16((uint16_t)size);

	memcpy(message, &prefix, sizeof(prefix));
}

static size_t
get_prefix(const uint8_t *message)
{
	uint16_t prefix;

	memcpy(&prefix, message, sizeof(prefix));
	return be16toh(prefix);
}

static gboolean
on_timeout(gpointer data)
{
	Stream *stream = data;

	g_cancellable_cancel(stream->waiting);
	return G_SOURCE_REMOVE;
}

static void
begin_wait(Stream *stream, unsigned ms)
{
	stream->waiting = g_cancellable_new();
	stream->timeout = g_timeout_source_new(ms);
	g_source_set_callback(stream->timeout, on_timeout, stream, NULL);
	(void)g_source_attach(stream->timeout, g_main_context_get_thread_default());
}

static void
end_wait(Stream *stream)
{
	banger_source_clear(&stream->timeout);
	g_clear_object(&stream->waiting);
}

static void
end_try(Stream *stream)
{
	end_wait(stream);
	g_clear_object(&stream->resolver);
	g_clear_pointer(&stream->reply, g_free);
}

static void
free_stream(Stream *stream)
{
	if (stream->owner)
		(void)g_ptr_array_remove_fast(stream->owner->streams, stream);
	end_try(stream);
	g_clear_pointer(&stream->resolvers, g_ptr_array_unref);
	g_object_unref(stream->address);
	g_object_unref(stream->client);
	g_free(stream);
}

/* All of what was to be read is there; false also where the stream ended before. */
static bool
has_read(GObject *source, GAsyncResult *result, size_t size)
{
	gsize n = 0;

	return g_input_stream_read_all_finish(G_INPUT_STREAM(source), result, &n,
					      /* error= */ NULL) &&
	       n == size;
}

static void
read_bytes(Stream *stream, GIOStream *from, void *bytes, size_t size, GAsyncReadyCallback callback)
{
	g_input_stream_read_all_async(g_io_stream_get_input_stream(from), bytes, size,
				      BANGER_DNS_PRIORITY, stream->waiting, callback, stream);
}

static void
write_message(Stream *stream, GIOStream *to, uint8_t *message, size_t size,
	      GAsyncReadyCallback callback)
{
	put_prefix(message, size);
	g_output_stream_write_all_async(g_io_stream_get_output_stream(to), message, PREFIX + size,
					BANGER_DNS_PRIORITY, stream->waiting, callback, stream);
}

static bool
has_written(GObject *source, GAsyncResult *result)
{
	return g_output_stream_write_all_finish(G_OUTPUT_STREAM(source), result,
						/* ret_written= */ NULL, /* error= */ NULL);
}

static void
on_answered(GObject *source, GAsyncResult *result, gpointer data)
{
	Stream *stream = data;
	bool written = has_written(source, result);

	end_try(stream);
	if (stream->owner && written)
		read_query(stream);
	else
		free_stream(stream);
}

/* The client gets what is in stream->reply. */
static void
answer(Stream *stream, size_t size)
{
	begin_wait(stream, BANGER_DNS_STREAM_IDLE_MS);
	write_message(stream, stream->client, stream->reply, size, on_answered);
}

static void
on_reply(GObject *source, GAsyncResult *result, gpointer data)
{
	Stream *stream = data;
	size_t size = stream->reply_size;
	bool read = has_read(source, result, size);

	end_wait(stream);
	if (!stream->owner) {
		free_stream(stream);
		return;
	}
	if (!read || !banger_dns_packet_is_reply(stream->reply + PREFIX, size,
						 stream->query + PREFIX, stream->size)) {
		try_next(stream);
		return;
	}
	banger_dns_packet_set_id(stream->reply + PREFIX, stream->client_id);
	answer(stream, size);
}

static void
on_reply_length(GObject *source, GAsyncResult *result, gpointer data)
{
	Stream *stream = data;
	bool read = has_read(source, result, PREFIX);
	size_t size = get_prefix(stream->head);

	if (!stream->owner) {
		free_stream(stream);
	} else if (!read) {
		try_next(stream);
	} else {
		stream->reply = g_malloc(PREFIX + size);
		stream->reply_size = size;
		read_bytes(stream, stream->resolver, stream->reply + PREFIX, size, on_reply);
	}
}

static void
on_asked(GObject *source, GAsyncResult *result, gpointer data)
{
	Stream *stream = data;
	bool written = has_written(source, result);

	if (!stream->owner)
		free_stream(stream);
	else if (!written)
		try_next(stream);
	else
		read_bytes(stream, stream->resolver, stream->head, PREFIX, on_reply_length);
}

static void
on_connected(GObject *source, GAsyncResult *result, gpointer data)
{
	Stream *stream = data;
	bool connected = g_socket_connection_connect_finish(G_SOCKET_CONNECTION(source), result,
							    /* error= */ NULL);

	if (!stream->owner)
		free_stream(stream);
	else if (!connected)
		try_next(stream);
	else
		write_message(stream, stream->resolver, stream->query, stream->size, on_asked);
}

static void
give_up(Stream *stream, BangerDnsRcode rcode)
{
	size_t size;

	banger_dns_packet_set_id(stream->query + PREFIX, stream->client_id);
	stream->reply = g_malloc(PREFIX + BANGER_DNS_ANSWER_MAX);
	size = banger_dns_zone_give_up(stream->query + PREFIX, stream->size, rcode,
				       stream->reply + PREFIX);
	if (size > 0)
		answer(stream, size);
	else
		free_stream(stream);
}

/* Asks the next resolver, which has its time for all of it. */
static void
try_next(Stream *stream)
{
	g_autoptr(GSocket) socket = NULL;
	GSocketAddress *address = NULL;

	end_try(stream);
	while (!socket && stream->next < stream->resolvers->len) {
		address = g_ptr_array_index(stream->resolvers, stream->next++);
		socket = g_socket_new(g_socket_address_get_family(address), G_SOCKET_TYPE_STREAM,
				      G_SOCKET_PROTOCOL_TCP, /* error= */ NULL);
	}
	if (!socket) {
		give_up(stream, BANGER_DNS_SERVFAIL);
		return;
	}
	banger_dns_packet_set_id(stream->query + PREFIX, banger_dns_resolvers_make_id());
	stream->resolver = G_IO_STREAM(g_socket_connection_factory_create_connection(socket));
	begin_wait(stream, banger_dns_resolvers_timeout_ms(stream->resolvers, stream->next - 1));
	g_socket_connection_connect_async(G_SOCKET_CONNECTION(stream->resolver), address,
					  stream->waiting, on_connected, stream);
}

static void
forward(Stream *stream)
{
	stream->client_id = banger_dns_packet_get_id(stream->query + PREFIX);
	if (!banger_dns_resolvers_serve(stream->owner->resolvers, stream->address)) {
		give_up(stream, BANGER_DNS_REFUSED);
		return;
	}
	g_clear_pointer(&stream->resolvers, g_ptr_array_unref);
	stream->resolvers = banger_dns_resolvers_dup(stream->owner->resolvers);
	stream->next = 0;
	try_next(stream);
}

static void
serve(Stream *stream)
{
	uint8_t bytes[BANGER_DNS_ANSWER_MAX];
	size_t size = 0;

	switch (banger_dns_zone_serve(stream->owner->zone, stream->query + PREFIX, stream->size,
				      bytes, &size)) {
	case BANGER_DNS_DROP:
		free_stream(stream);
		break;
	case BANGER_DNS_ANSWER:
		stream->reply = g_malloc(PREFIX + size);
		memcpy(stream->reply + PREFIX, bytes, size);
		answer(stream, size);
		break;
	case BANGER_DNS_FORWARD:
		forward(stream);
		break;
	}
}

static void
on_query(GObject *source, GAsyncResult *result, gpointer data)
{
	Stream *stream = data;
	bool read = has_read(source, result, stream->size);

	end_wait(stream);
	if (stream->owner && read)
		serve(stream);
	else
		free_stream(stream);
}

static void
on_query_length(GObject *source, GAsyncResult *result, gpointer data)
{
	Stream *stream = data;
	bool read = has_read(source, result, PREFIX);

	stream->size = get_prefix(stream->head);
	if (stream->owner && read && stream->size >= BANGER_DNS_HEADER &&
	    stream->size <= BANGER_DNS_QUERY_MAX)
		read_bytes(stream, stream->client, stream->query + PREFIX, stream->size, on_query);
	else
		free_stream(stream);
}

/* One time for length and query: who sends byte after byte has no more of it. */
static void
read_query(Stream *stream)
{
	begin_wait(stream, BANGER_DNS_STREAM_IDLE_MS);
	read_bytes(stream, stream->client, stream->head, PREFIX, on_query_length);
}

static bool
has_room(const BangerDnsStreams *streams, GSocketAddress *address)
{
	unsigned n = 0;

	if (streams->streams->len >= BANGER_DNS_STREAMS_MAX)
		return false;
	for (guint i = 0; i < streams->streams->len; i++) {
		const Stream *stream = g_ptr_array_index(streams->streams, i);

		n += banger_dns_resolvers_is_same_host(stream->address, address);
	}
	return n < BANGER_DNS_STREAMS_CLIENT_MAX;
}

/* With no room the connection is closed. */
static void
add_stream(GSocket *socket, void *data)
{
	BangerDnsStreams *streams = data;
	g_autoptr(GSocketAddress) address = g_socket_get_remote_address(socket, /* error= */ NULL);
	Stream *stream;

	if (!address || !has_room(streams, address))
		return;
	stream = g_new0(Stream, 1);
	stream->owner = streams;
	stream->client = G_IO_STREAM(g_socket_connection_factory_create_connection(socket));
	stream->address = g_steal_pointer(&address);
	g_ptr_array_add(streams->streams, stream);
	read_query(stream);
}

BangerDnsStreams *
banger_dns_streams_new(GSocket *listener, const BangerDnsZone *zone, BangerDnsResolvers *resolvers)
{
	BangerDnsStreams *streams = g_new0(BangerDnsStreams, 1);

	streams->zone = zone;
	streams->resolvers = resolvers;
	streams->streams = g_ptr_array_new();
	streams->acceptor = banger_acceptor_new(listener, BANGER_DNS_PRIORITY, add_stream, streams);
	return streams;
}

void
banger_dns_streams_free(BangerDnsStreams *streams)
{
	if (!streams)
		return;
	banger_acceptor_free(streams->acceptor);
	for (guint i = 0; i < streams->streams->len; i++) {
		Stream *stream = g_ptr_array_index(streams->streams, i);

		stream->owner = NULL;
		g_cancellable_cancel(stream->waiting);
	}
	g_ptr_array_unref(streams->streams);
	g_free(streams);
}
