/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/dns-server.h"

#include "service/adapters/dns-forward.h"
#include "service/adapters/dns-stream.h"
#include "service/adapters/dns-zone.h"
#include "service/base/error.h"
#include "shared/base/cleanup.h"

/* Queries taken in one turn, before the other sources of the main loop have theirs. */
#define TURN 16

struct _BangerDnsServer {
	GObject parent;

	BangerDnsZone *zone;
	/* While it answers. */
	GSocket *datagrams;
	GSource *source;
	BangerDnsResolvers *resolvers;
	BangerDnsForward *forward;
	BangerDnsStreams *streams;
};

static void banger_dns_server_iface_init(BangerNamesInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE(BangerDnsServer, banger_dns_server, G_TYPE_OBJECT,
			      G_IMPLEMENT_INTERFACE(BANGER_TYPE_NAMES,
						    banger_dns_server_iface_init))

static void
stop(BangerNames *names)
{
	BangerDnsServer *self = BANGER_DNS_SERVER(names);

	if (self->source)
		g_source_destroy(self->source);
	g_clear_pointer(&self->source, g_source_unref);
	g_clear_pointer(&self->streams, banger_dns_streams_free);
	g_clear_pointer(&self->forward, banger_dns_forward_free);
	g_clear_pointer(&self->resolvers, banger_dns_resolvers_free);
	g_clear_object(&self->datagrams);
}

static void
banger_dns_server_finalize(GObject *object)
{
	BangerDnsServer *self = BANGER_DNS_SERVER(object);

	stop(BANGER_NAMES(self));
	banger_dns_zone_free(self->zone);
	G_OBJECT_CLASS(banger_dns_server_parent_class)->finalize(object);
}

static void
banger_dns_server_class_init(BangerDnsServerClass *klass)
{
	G_OBJECT_CLASS(klass)->finalize = banger_dns_server_finalize;
}

static void
banger_dns_server_init(BangerDnsServer *self)
{
}

static void
serve(BangerDnsServer *self, GSocketAddress *client, const uint8_t *bytes, size_t size)
{
	uint8_t answer[BANGER_DNS_ANSWER_MAX];
	size_t answer_size = 0;

	switch (banger_dns_zone_serve(self->zone, bytes, size, answer, &answer_size)) {
	case BANGER_DNS_DROP:
		break;
	case BANGER_DNS_ANSWER:
		/* A client that does not take it asks again. */
		(void)g_socket_send_to(self->datagrams, client, (const char *)answer, answer_size,
				       /* cancellable= */ NULL, /* error= */ NULL);
		break;
	case BANGER_DNS_FORWARD:
		banger_dns_forward_ask(self->forward, client, bytes, size);
		break;
	}
}

static gboolean
on_query(GSocket *socket, GIOCondition condition, gpointer data)
{
	/* One more than is looked at, so that what was cut is seen. */
	uint8_t bytes[BANGER_DNS_QUERY_MAX + 1];

	for (unsigned i = 0; i < TURN; i++) {
		g_autoptr(GSocketAddress) client = NULL;
		gssize n = g_socket_receive_from(socket, &client, (char *)bytes, sizeof(bytes),
						 /* cancellable= */ NULL, /* error= */ NULL);

		if (n < 0)
			break;
		if (client)
			serve(data, client, bytes, (size_t)n);
	}
	return G_SOURCE_CONTINUE;
}

/* Takes the descriptor. */
static GSocket *
take_socket(int *fd, GSocketType type, GError **error)
{
	g_autoptr(GSocket) socket = g_socket_new_from_fd(*fd, error);

	if (!socket)
		return NULL;
	(void)BN_TAKE_FD(*fd);
	if (g_socket_get_socket_type(socket) != type) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT,
			    "a socket for names is of another kind");
		return NULL;
	}
	g_socket_set_blocking(socket, FALSE);
	return g_steal_pointer(&socket);
}

static bool
start(BangerNames *names, int udp_fd, int tcp_fd, const BnPrefix *subnet, GError **error)
{
	BangerDnsServer *self = BANGER_DNS_SERVER(names);
	_cleanup_close_ int udp = udp_fd, tcp = tcp_fd;
	g_autoptr(GSocket) datagrams = take_socket(&udp, G_SOCKET_TYPE_DATAGRAM, error);
	g_autoptr(GSocket) listener = NULL;
	g_autoptr(GSocketAddress) own = NULL;

	if (!datagrams)
		return false;
	listener = take_socket(&tcp, G_SOCKET_TYPE_STREAM, error);
	own = listener ? g_socket_get_local_address(datagrams, error) : NULL;
	if (!own)
		return false;
	stop(names);
	self->datagrams = g_steal_pointer(&datagrams);
	self->resolvers = banger_dns_resolvers_new(own, subnet);
	self->forward = banger_dns_forward_new(self->datagrams, self->resolvers);
	self->streams = banger_dns_streams_new(listener, self->zone, self->resolvers);
	self->source = g_socket_create_source(self->datagrams, G_IO_IN, /* cancellable= */ NULL);
	g_source_set_callback(self->source, G_SOURCE_FUNC(on_query), self, NULL);
	g_source_set_priority(self->source, BANGER_DNS_PRIORITY);
	(void)g_source_attach(self->source, g_main_context_get_thread_default());
	return true;
}

static bool
set(BangerNames *names, const char *name, uint32_t address)
{
	return banger_dns_zone_set(BANGER_DNS_SERVER(names)->zone, name, address);
}

static void
forget(BangerNames *names, const char *name)
{
	banger_dns_zone_remove(BANGER_DNS_SERVER(names)->zone, name);
}

static void
banger_dns_server_iface_init(BangerNamesInterface *iface)
{
	iface->start = start;
	iface->stop = stop;
	iface->set = set;
	iface->remove = forget;
}

BangerNames *
banger_dns_server_new(const char *zone, GError **error)
{
	g_autoptr(BangerDnsServer) self = g_object_new(BANGER_TYPE_DNS_SERVER, NULL);

	self->zone = banger_dns_zone_new(zone);
	if (self->zone)
		return BANGER_NAMES(g_steal_pointer(&self));
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT,
		    "'%s' is no name that VMs' names can end in", zone);
	return NULL;
}
