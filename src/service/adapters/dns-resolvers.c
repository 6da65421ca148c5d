/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/dns-resolvers.h"

#include <endian.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/random.h>
#include <sys/stat.h>

struct BangerDnsResolvers {
	GSocketAddress *own;
	BnPrefix subnet;
	GPtrArray *addresses;
	struct stat seen; /* the file, when it was read */
};

BangerDnsResolvers *
banger_dns_resolvers_new(GSocketAddress *own, const BnPrefix *subnet)
{
	BangerDnsResolvers *resolvers = g_new0(BangerDnsResolvers, 1);

	resolvers->own = g_object_ref(own);
	resolvers->subnet = *subnet;
	return resolvers;
}

void
banger_dns_resolvers_free(BangerDnsResolvers *resolvers)
{
	if (!resolvers)
		return;
	g_clear_pointer(&resolvers->addresses, g_ptr_array_unref);
	g_object_unref(resolvers->own);
	g_free(resolvers);
}

bool
banger_dns_resolvers_serve(const BangerDnsResolvers *resolvers, GSocketAddress *client)
{
	struct sockaddr_in native;

	return g_socket_address_get_family(client) == G_SOCKET_FAMILY_IPV4 &&
	       g_socket_address_to_native(client, &native, sizeof(native), /* error= */ NULL) &&
	       bn_prefix_contains(&resolvers->subnet, be32toh(native.sin_addr.s_addr));
}

bool
banger_dns_resolvers_is_same_host(GSocketAddress *a, GSocketAddress *b)
{
	return g_inet_address_equal(g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(a)),
				    g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(b)));
}

static bool
is_same(GSocketAddress *a, GSocketAddress *b)
{
	return banger_dns_resolvers_is_same_host(a, b) &&
	       g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(a)) ==
		       g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(b));
}

/* What the C library has at that place: one of IPv6 stands in a table of its own. */
static GSocketAddress *
make_address(struct __res_state *state, int i)
{
	if (state->_u._ext.nsaddrs[i])
		return g_socket_address_new_from_native(state->_u._ext.nsaddrs[i],
							sizeof(struct sockaddr_in6));
	return g_socket_address_new_from_native(&state->nsaddr_list[i], sizeof(struct sockaddr_in));
}

static GPtrArray *
read_addresses(GSocketAddress *own)
{
	GPtrArray *addresses = g_ptr_array_new_with_free_func(g_object_unref);
	struct __res_state state = {};

	if (res_ninit(&state) < 0)
		return addresses;
	for (int i = 0; i < state.nscount; i++) {
		g_autoptr(GSocketAddress) address = make_address(&state, i);

		if (address && !is_same(address, own))
			g_ptr_array_add(addresses, g_steal_pointer(&address));
	}
	res_nclose(&state);
	return addresses;
}

/* One that is replaced is another file; so is one behind a symbolic link that points elsewhere now. */
static bool
is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

GPtrArray *
banger_dns_resolvers_dup(BangerDnsResolvers *resolvers)
{
	struct stat now = {};

	/* Where there is no file the C library has an answer as well. */
	(void)stat(_PATH_RESCONF, &now);
	if (!resolvers->addresses || !is_same_file(&now, &resolvers->seen)) {
		g_clear_pointer(&resolvers->addresses, g_ptr_array_unref);
		resolvers->addresses = read_addresses(resolvers->own);
		resolvers->seen = now;
	}
	return g_ptr_array_ref(resolvers->addresses);
}

uint16_t
banger_dns_resolvers_make_id(void)
{
	uint16_t id;

	/* getrandom(2): up to 256 bytes come whole and uninterrupted. */
	g_assert(getrandom(&id, sizeof(id), 0) == sizeof(id));
	return id;
}
