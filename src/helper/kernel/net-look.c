/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's other networks, by its routes. */
#include <endian.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/route/route.h>
#include <string.h>

#include "helper/kernel/kernel-real.h"
#include "helper/kernel/netlink.h"
#include "shared/base/macro.h"
#include "shared/base/str-util.h"
#include "shared/rules/net.h"

#define MTU_USUAL 1500
/* VPNs cover everything with two or more routes, each shorter than any network is, for the default route to stay. */
#define NETWORK_LENGTH_MIN 8

typedef struct Look {
	const BnPrefix *pool;
	struct nl_sock *sock;
	KernelNet *net;
	bool too_many;
} Look;

static void
add_prefix(Look *look, BnPrefix *list, size_t *n, size_t max, const BnPrefix *prefix)
{
	if (*n == max)
		look->too_many = true;
	else
		list[(*n)++] = *prefix;
}

static void
add_uplink(Look *look, const char *name)
{
	KernelNet *net = look->net;

	for (size_t i = 0; i < net->n_uplinks; i++)
		if (bn_str_equal(net->uplinks[i], name))
			return;
	if (net->n_uplinks == BN_ELEMENTSOF(net->uplinks))
		look->too_many = true;
	else
		(void)bn_str_copy(net->uplinks[net->n_uplinks++], BN_LINK_NAME_SIZE, name);
}

static BnPrefix
get_destination(struct rtnl_route *route)
{
	const struct nl_addr *address = rtnl_route_get_dst(route);
	uint32_t value_be = 0;

	if (address && nl_addr_get_len(address) == sizeof(value_be))
		memcpy(&value_be, nl_addr_get_binary_addr(address), sizeof(value_be));
	return (BnPrefix){ .address = be32toh(value_be),
			   .length = (uint8_t)(address ? nl_addr_get_prefixlen(address) : 0) };
}

/* What passes by all of the ways to everywhere: which of them a packet takes may be others' to decide, by rules. */
static void
note_mtu(KernelNet *net, struct rtnl_route *route, struct rtnl_link *link)
{
	uint32_t mtu = 0, own = rtnl_link_get_mtu(link);

	if (rtnl_route_get_metric(route, RTAX_MTU, &mtu) < 0 || mtu == 0 || mtu > own)
		mtu = own;
	if (net->mtu == 0 || mtu < net->mtu)
		net->mtu = mtu;
}

static void
look_at_hop(Look *look, struct rtnl_route *route, struct rtnl_nexthop *hop)
{
	BnPrefix destination = get_destination(route);
	_cleanup_link_ struct rtnl_link *link = NULL;
	KernelNet *net = look->net;
	const char *name;

	/* One by one: of all of them the most are taps, which have no routes. One that has gone meanwhile had none. */
	if (rtnl_link_get_kernel(look->sock, rtnl_route_nh_get_ifindex(hop), NULL, &link) < 0)
		return;
	name = rtnl_link_get_name(link);
	if (!name || (rtnl_link_get_flags(link) & IFF_LOOPBACK) ||
	    strncmp(name, BN_NET_BRIDGE_PREFIX, strlen(BN_NET_BRIDGE_PREFIX)) == 0)
		return;
	add_uplink(look, name);
	if (destination.length < NETWORK_LENGTH_MIN) {
		note_mtu(net, route, link);
		return;
	}
	if (look->pool && bn_prefix_overlaps(look->pool, &destination))
		add_prefix(look, net->busy, &net->n_busy, BN_ELEMENTSOF(net->busy), &destination);
	if (!rtnl_route_nh_get_gateway(hop))
		add_prefix(look, net->near, &net->n_near, BN_ELEMENTSOF(net->near), &destination);
}

/* Of every table: what is routed by rules, as for a VPN, is in use as well. */
static void
look_at_route(struct nl_object *object, void *data)
{
	struct rtnl_route *route = (struct rtnl_route *)object;

	if (rtnl_route_get_type(route) != RTN_UNICAST)
		return;
	for (int i = 0; i < rtnl_route_get_nnexthops(route); i++)
		look_at_hop(data, route, rtnl_route_nexthop_n(route, i));
}

int
net_look(void *ctx, const BnPrefix *pool, KernelNet *ret)
{
	_cleanup_netlink_ struct nl_sock *sock = NULL;
	_cleanup_cache_ struct nl_cache *routes = NULL;
	KernelNet net = {};
	Look look = { .pool = pool, .net = &net };
	int r = netlink_open(&sock);

	if (r >= 0)
		r = netlink_errno(rtnl_route_alloc_cache(sock, AF_INET, 0, &routes));
	if (r < 0)
		return r;
	look.sock = sock;
	nl_cache_foreach(routes, look_at_route, &look);
	if (look.too_many)
		return -E2BIG;
	if (net.mtu == 0)
		net.mtu = MTU_USUAL;
	*ret = net;
	return 0;
}
