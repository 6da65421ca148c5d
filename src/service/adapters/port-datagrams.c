/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/port-datagrams.h"

#include "service/adapters/datagram-path.h"
#include "service/adapters/source.h"

/* Datagrams passed on in one turn, before the other sources of the main loop have theirs. */
#define TURN 16
/* The most that one can hold. */
#define DATAGRAM_MAX 65535

struct BangerPortDatagrams {
	GSocket *socket;
	GSource *source;
	GSocketAddress *guest;
	GQueue clients; /* Client, the one that was silent for longest first */
};

/* Somebody who has sent something; what the guest sends to `socket` is for them. */
typedef struct Client {
	BangerPortDatagrams *owner;
	GList link;
	GSocketAddress *address;
	BangerDatagramPath path; /* where it asks, and is answered from */
	GSocket *socket;
	GSource *source, *idle;
} Client;

/* One thread passes on, and keeps nothing of it. */
static char buffer[DATAGRAM_MAX];

static void
free_client(Client *client)
{
	g_queue_unlink(&client->owner->clients, &client->link);
	banger_source_clear(&client->source);
	banger_source_clear(&client->idle);
	g_clear_object(&client->socket);
	g_object_unref(client->address);
	g_free(client);
}

static gboolean
on_idle(gpointer data)
{
	free_client(data);
	return G_SOURCE_REMOVE;
}

static void
touch(Client *client)
{
	GQueue *clients = &client->owner->clients;

	g_queue_unlink(clients, &client->link);
	g_queue_push_tail_link(clients, &client->link);
	g_source_set_ready_time(client->idle, g_get_monotonic_time() +
						      BANGER_PORT_CLIENT_IDLE_S * G_USEC_PER_SEC);
}

static gboolean
on_answer(GSocket *socket, GIOCondition condition, gpointer data)
{
	Client *client = data;

	for (unsigned i = 0; i < TURN; i++) {
		/* Also that nobody listens there comes here, and is nobody's to tell. */
		gssize n = g_socket_receive(socket, buffer, sizeof(buffer), /* cancellable= */ NULL,
					    /* error= */ NULL);

		if (n < 0)
			break;
		(void)banger_datagram_path_send(client->owner->socket, buffer, (size_t)n,
						client->address, &client->path);
		touch(client);
	}
	return G_SOURCE_CONTINUE;
}

static GSource *
attach(GSource *source, GSourceFunc callback, void *data)
{
	g_source_set_callback(source, callback, data, NULL);
	g_source_set_priority(source, G_PRIORITY_DEFAULT_IDLE);
	(void)g_source_attach(source, g_main_context_get_thread_default());
	return source;
}

/* Nothing from anybody but the guest arrives at a connected socket. */
static GSocket *
connect_guest(GSocketAddress *guest)
{
	g_autoptr(GSocket) socket =
		g_socket_new(g_socket_address_get_family(guest), G_SOCKET_TYPE_DATAGRAM,
			     G_SOCKET_PROTOCOL_UDP, /* error= */ NULL);

	if (!socket || !g_socket_connect(socket, guest, /* cancellable= */ NULL, /* error= */ NULL))
		return NULL;
	g_socket_set_blocking(socket, FALSE);
	return g_steal_pointer(&socket);
}

static Client *
add_client(BangerPortDatagrams *datagrams, GSocketAddress *address, const BangerDatagramPath *path)
{
	g_autoptr(GSocket) socket = connect_guest(datagrams->guest);
	Client *client;

	if (!socket)
		return NULL;
	if (datagrams->clients.length >= BANGER_PORT_CLIENTS_MAX)
		free_client(datagrams->clients.head->data);
	client = g_new0(Client, 1);
	client->owner = datagrams;
	client->link.data = client;
	client->address = g_object_ref(address);
	client->path = *path;
	client->source = attach(g_socket_create_source(socket, G_IO_IN, /* cancellable= */ NULL),
				G_SOURCE_FUNC(on_answer), client);
	client->socket = g_steal_pointer(&socket);
	client->idle =
		attach(g_timeout_source_new_seconds(BANGER_PORT_CLIENT_IDLE_S), on_idle, client);
	g_queue_push_tail_link(&datagrams->clients, &client->link);
	return client;
}

static bool
is_same(GSocketAddress *a, GSocketAddress *b)
{
	GInetSocketAddress *one = G_INET_SOCKET_ADDRESS(a), *other = G_INET_SOCKET_ADDRESS(b);

	return g_inet_socket_address_get_port(one) == g_inet_socket_address_get_port(other) &&
	       g_inet_address_equal(g_inet_socket_address_get_address(one),
				    g_inet_socket_address_get_address(other));
}

static Client *
find_client(BangerPortDatagrams *datagrams, GSocketAddress *address, const BangerDatagramPath *path)
{
	for (GList *l = datagrams->clients.tail; l; l = l->prev) {
		Client *client = l->data;

		if (is_same(client->address, address) &&
		    banger_datagram_path_is_same(&client->path, path))
			return client;
	}
	return add_client(datagrams, address, path);
}

static gboolean
on_datagram(GSocket *socket, GIOCondition condition, gpointer data)
{
	BangerPortDatagrams *datagrams = data;

	for (unsigned i = 0; i < TURN; i++) {
		g_autoptr(GSocketAddress) address = NULL;
		BangerDatagramPath path;
		ssize_t n = banger_datagram_path_receive(socket, buffer, sizeof(buffer), &address,
							 &path);
		Client *client;

		if (n < 0)
			break;
		client = address ? find_client(datagrams, address, &path) : NULL;
		if (!client)
			continue;
		(void)g_socket_send(client->socket, buffer, (gsize)n, /* cancellable= */ NULL,
				    /* error= */ NULL);
		touch(client);
	}
	return G_SOURCE_CONTINUE;
}

BangerPortDatagrams *
banger_port_datagrams_new(GSocket *socket, GSocketAddress *guest)
{
	BangerPortDatagrams *datagrams = g_new0(BangerPortDatagrams, 1);

	datagrams->socket = g_object_ref(socket);
	datagrams->guest = g_object_ref(guest);
	banger_datagram_path_begin(socket);
	g_queue_init(&datagrams->clients);
	datagrams->source = attach(g_socket_create_source(socket, G_IO_IN, /* cancellable= */ NULL),
				   G_SOURCE_FUNC(on_datagram), datagrams);
	return datagrams;
}

static void
forget_clients(BangerPortDatagrams *datagrams)
{
	while (datagrams->clients.head)
		free_client(datagrams->clients.head->data);
}

void
banger_port_datagrams_set_guest(BangerPortDatagrams *datagrams, GSocketAddress *guest)
{
	(void)g_set_object(&datagrams->guest, guest);
	forget_clients(datagrams);
}

void
banger_port_datagrams_free(BangerPortDatagrams *datagrams)
{
	if (!datagrams)
		return;
	banger_source_clear(&datagrams->source);
	forget_clients(datagrams);
	g_object_unref(datagrams->guest);
	g_object_unref(datagrams->socket);
	g_free(datagrams);
}
