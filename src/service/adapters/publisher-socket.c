/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/publisher-socket.h"

#include "service/adapters/port-datagrams.h"
#include "service/adapters/port-streams.h"
#include "service/base/error.h"
#include "shared/rules/ipv4.h"

/* Connections that come at once wait for their turn. */
#define BACKLOG 128

struct _BangerPublisherSocket {
	GObject parent;

	GPtrArray *published; /* Published */
};

/* One of the two is NULL. */
typedef struct Published {
	char *vm;
	BnPort port;
	uint32_t guest;
	BangerPortStreams *streams;
	BangerPortDatagrams *datagrams;
} Published;

static void banger_publisher_socket_iface_init(BangerPublisherInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE(BangerPublisherSocket, banger_publisher_socket, G_TYPE_OBJECT,
			      G_IMPLEMENT_INTERFACE(BANGER_TYPE_PUBLISHER,
						    banger_publisher_socket_iface_init))

static void
free_published(gpointer data)
{
	Published *published = data;

	banger_port_streams_free(published->streams);
	banger_port_datagrams_free(published->datagrams);
	g_free(published->vm);
	g_free(published);
}

static void
banger_publisher_socket_finalize(GObject *object)
{
	g_ptr_array_unref(BANGER_PUBLISHER_SOCKET(object)->published);
	G_OBJECT_CLASS(banger_publisher_socket_parent_class)->finalize(object);
}

static void
banger_publisher_socket_class_init(BangerPublisherSocketClass *klass)
{
	G_OBJECT_CLASS(klass)->finalize = banger_publisher_socket_finalize;
}

static void
banger_publisher_socket_init(BangerPublisherSocket *self)
{
	self->published = g_ptr_array_new_with_free_func(free_published);
}

static Published *
find(BangerPublisherSocket *self, const BnPort *port)
{
	for (guint i = 0; i < self->published->len; i++) {
		Published *published = g_ptr_array_index(self->published, i);

		if (bn_port_is_same_host(&published->port, port))
			return published;
	}
	return NULL;
}

static void
refuse(const BnPort *port, BangerError code, const char *why, GError **error)
{
	char text[BN_PORT_SIZE];

	bn_port_render_host(port, text);
	g_set_error(error, BANGER_ERROR, code, "%s cannot be published: %s", text, why);
}

/* Says what a person can do about it. */
static void
explain(const BnPort *port, const GError *why, GError **error)
{
	if (g_error_matches(why, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE))
		refuse(port, BANGER_ERROR_BUSY,
		       "it is in use; 'ss -tulnp' names by whom. Take another", error);
	else if (g_error_matches(why, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED))
		refuse(port, BANGER_ERROR_FAILED,
		       "it is not for ordinary users. Take one from 1024 on, or ask an administrator "
		       "to lower net.ipv4.ip_unprivileged_port_start",
		       error);
	else
		refuse(port, BANGER_ERROR_FAILED, why->message, error);
}

static GSocket *
bind_socket(const BnPort *port, GError **error)
{
	g_autoptr(GSocketAddress) address =
		g_inet_socket_address_new_from_string(port->address, port->host);
	g_autoptr(GSocket) socket =
		g_socket_new(g_socket_address_get_family(address),
			     port->udp ? G_SOCKET_TYPE_DATAGRAM : G_SOCKET_TYPE_STREAM,
			     port->udp ? G_SOCKET_PROTOCOL_UDP : G_SOCKET_PROTOCOL_TCP, error);

	if (!socket)
		return NULL;
	g_socket_set_blocking(socket, FALSE);
	g_socket_set_listen_backlog(socket, BACKLOG);
	/* Reuse: connections of before may still be closing. Of UDP, two could have it at once. */
	if (!g_socket_bind(socket, address, /* allow_reuse= */ !port->udp, error) ||
	    (!port->udp && !g_socket_listen(socket, error)))
		return NULL;
	return g_steal_pointer(&socket);
}

static GSocketAddress *
guest_address(uint32_t guest, uint16_t port)
{
	char text[BN_IPV4_SIZE];

	bn_ipv4_render(guest, text);
	return g_inet_socket_address_new_from_string(text, port);
}

static bool
publish(BangerPublisher *publisher, const char *vm, const BnPort *port, uint32_t guest,
	GError **error)
{
	BangerPublisherSocket *self = BANGER_PUBLISHER_SOCKET(publisher);
	g_autoptr(GSocketAddress) address = guest_address(guest, port->guest);
	Published *published = find(self, port);
	g_autoptr(GError) why = NULL;
	g_autoptr(GSocket) socket = NULL;

	if (published && !g_str_equal(published->vm, vm)) {
		refuse(port, BANGER_ERROR_BUSY, "another of your VMs has it published", error);
		return false;
	}
	if (published && published->guest == guest && published->port.guest == port->guest)
		return true;
	if (published && published->streams) {
		banger_port_streams_set_guest(published->streams, address);
	} else if (published) {
		banger_port_datagrams_set_guest(published->datagrams, address);
	} else {
		socket = bind_socket(port, &why);
		if (!socket) {
			explain(port, why, error);
			return false;
		}
		published = g_new0(Published, 1);
		published->vm = g_strdup(vm);
		if (port->udp)
			published->datagrams = banger_port_datagrams_new(socket, address);
		else
			published->streams = banger_port_streams_new(socket, address);
		g_ptr_array_add(self->published, published);
	}
	published->port = *port;
	published->guest = guest;
	return true;
}

static void
withdraw(BangerPublisher *publisher, const char *vm, const BnPort *port)
{
	BangerPublisherSocket *self = BANGER_PUBLISHER_SOCKET(publisher);
	Published *published = find(self, port);

	if (published && g_str_equal(published->vm, vm))
		(void)g_ptr_array_remove_fast(self->published, published);
}

static void
banger_publisher_socket_iface_init(BangerPublisherInterface *iface)
{
	iface->publish = publish;
	iface->withdraw = withdraw;
}

BangerPublisher *
banger_publisher_socket_new(void)
{
	return g_object_new(BANGER_TYPE_PUBLISHER_SOCKET, NULL);
}
