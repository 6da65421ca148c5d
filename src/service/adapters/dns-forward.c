/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/dns-forward.h"

#include <string.h>

#include "service/adapters/dns-zone.h"
#include "service/adapters/source.h"

/* Replies looked at in one turn, of those that came for one query: nearly always one, and it fits. */
#define TURN 8

struct BangerDnsForward {
	GSocket *socket;
	BangerDnsResolvers *resolvers;
	GPtrArray *pending;
};

typedef struct Pending {
	BangerDnsForward *forward;
	GSocketAddress *client;
	uint16_t client_id;
	GPtrArray *resolvers;
	unsigned next; /* of them */
	GSocket *socket;
	GSource *reply, *timeout;
	size_t size;
	uint8_t query[];
} Pending;

static void try_next(Pending *pending);

static void
end_try(Pending *pending)
{
	banger_source_clear(&pending->reply);
	banger_source_clear(&pending->timeout);
	g_clear_object(&pending->socket);
}

static void
free_pending(gpointer data)
{
	Pending *pending = data;

	end_try(pending);
	g_object_unref(pending->client);
	g_ptr_array_unref(pending->resolvers);
	g_free(pending);
}

/* What the client gets, who may be gone. */
static void
send_answer(BangerDnsForward *forward, GSocketAddress *client, const uint8_t *bytes, size_t size)
{
	if (size > 0)
		(void)g_socket_send_to(forward->socket, client, (const char *)bytes, size,
				       /* cancellable= */ NULL, /* error= */ NULL);
}

/* The query is forgotten. */
static void
answer(Pending *pending, const uint8_t *bytes, size_t size)
{
	BangerDnsForward *forward = pending->forward;

	send_answer(forward, pending->client, bytes, size);
	(void)g_ptr_array_remove_fast(forward->pending, pending);
}

static void
give_up(Pending *pending)
{
	uint8_t bytes[BANGER_DNS_ANSWER_MAX];

	banger_dns_packet_set_id(pending->query, pending->client_id);
	answer(pending, bytes,
	       banger_dns_zone_give_up(pending->query, pending->size, BANGER_DNS_SERVFAIL, bytes));
}

/* Who is not answered waits, seconds for most, before it asks again. */
static void
refuse(BangerDnsForward *forward, GSocketAddress *client, BangerDnsRcode rcode,
       const uint8_t *query, size_t size)
{
	uint8_t bytes[BANGER_DNS_ANSWER_MAX];

	send_answer(forward, client, bytes, banger_dns_zone_give_up(query, size, rcode, bytes));
}

static gboolean
on_timeout(gpointer data)
{
	try_next(data);
	return G_SOURCE_REMOVE;
}

static gboolean
on_reply(GSocket *socket, GIOCondition condition, gpointer data)
{
	static uint8_t bytes[UINT16_MAX];
	Pending *pending = data;

	for (unsigned i = 0; i < TURN; i++) {
		g_autoptr(GError) error = NULL;
		gssize n = g_socket_receive(socket, (char *)bytes, sizeof(bytes), NULL, &error);

		if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
			return G_SOURCE_CONTINUE;
		/* Nobody listens there, say. */
		if (n < 0) {
			try_next(pending);
			return G_SOURCE_REMOVE;
		}
		if (!banger_dns_packet_is_reply(bytes, (size_t)n, pending->query, pending->size))
			continue;
		banger_dns_packet_set_id(bytes, pending->client_id);
		answer(pending, bytes, (size_t)n);
		return G_SOURCE_REMOVE;
	}
	return G_SOURCE_CONTINUE;
}

static void
attach(GSource *source, GSourceFunc callback, Pending *pending)
{
	g_source_set_callback(source, callback, pending, NULL);
	g_source_set_priority(source, BANGER_DNS_PRIORITY);
	(void)g_source_attach(source, g_main_context_get_thread_default());
}

/* A socket of its own, connected: the kernel picks a port that nobody knows, and takes replies from nobody else. */
static GSocket *
send_query(const Pending *pending, GSocketAddress *resolver)
{
	g_autoptr(GSocket) socket =
		g_socket_new(g_socket_address_get_family(resolver), G_SOCKET_TYPE_DATAGRAM,
			     G_SOCKET_PROTOCOL_UDP, /* error= */ NULL);

	if (!socket)
		return NULL;
	g_socket_set_blocking(socket, FALSE);
	if (!g_socket_connect(socket, resolver, /* cancellable= */ NULL, /* error= */ NULL) ||
	    g_socket_send(socket, (const char *)pending->query, pending->size,
			  /* cancellable= */ NULL, /* error= */ NULL) < 0)
		return NULL;
	return g_steal_pointer(&socket);
}

static void
try_next(Pending *pending)
{
	unsigned i = pending->next;

	end_try(pending);
	for (; i < pending->resolvers->len && !pending->socket; i++) {
		banger_dns_packet_set_id(pending->query, banger_dns_resolvers_make_id());
		pending->socket = send_query(pending, g_ptr_array_index(pending->resolvers, i));
	}
	pending->next = i;
	if (!pending->socket) {
		give_up(pending);
		return;
	}
	pending->reply = g_socket_create_source(pending->socket, G_IO_IN, /* cancellable= */ NULL);
	attach(pending->reply, G_SOURCE_FUNC(on_reply), pending);
	pending->timeout =
		g_timeout_source_new(banger_dns_resolvers_timeout_ms(pending->resolvers, i - 1));
	attach(pending->timeout, on_timeout, pending);
}

static bool
has_room(const BangerDnsForward *forward, GSocketAddress *client)
{
	unsigned n = 0;

	if (forward->pending->len >= BANGER_DNS_PENDING_MAX)
		return false;
	for (guint i = 0; i < forward->pending->len; i++) {
		const Pending *pending = g_ptr_array_index(forward->pending, i);

		n += banger_dns_resolvers_is_same_host(pending->client, client);
	}
	return n < BANGER_DNS_PENDING_CLIENT_MAX;
}

void
banger_dns_forward_ask(BangerDnsForward *forward, GSocketAddress *client, const uint8_t *bytes,
		       size_t size)
{
	Pending *pending;

	if (!banger_dns_resolvers_serve(forward->resolvers, client)) {
		refuse(forward, client, BANGER_DNS_REFUSED, bytes, size);
		return;
	}
	if (!has_room(forward, client)) {
		refuse(forward, client, BANGER_DNS_SERVFAIL, bytes, size);
		return;
	}
	pending = g_malloc0(sizeof(*pending) + size);
	pending->forward = forward;
	pending->client = g_object_ref(client);
	pending->client_id = banger_dns_packet_get_id(bytes);
	pending->resolvers = banger_dns_resolvers_dup(forward->resolvers);
	pending->size = size;
	memcpy(pending->query, bytes, size);
	g_ptr_array_add(forward->pending, pending);
	try_next(pending);
}

BangerDnsForward *
banger_dns_forward_new(GSocket *socket, BangerDnsResolvers *resolvers)
{
	BangerDnsForward *forward = g_new0(BangerDnsForward, 1);

	forward->socket = g_object_ref(socket);
	forward->resolvers = resolvers;
	forward->pending = g_ptr_array_new_with_free_func(free_pending);
	return forward;
}

void
banger_dns_forward_free(BangerDnsForward *forward)
{
	if (!forward)
		return;
	g_ptr_array_unref(forward->pending);
	g_object_unref(forward->socket);
	g_free(forward);
}
