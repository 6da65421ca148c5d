/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bridges and taps. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/inet6.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "helper/kernel/kernel-real.h"
#include "helper/kernel/netlink.h"
#include "shared/base/errno-util.h"
#include "shared/rules/net.h"

typedef struct rtnl_addr RtnlAddr;
typedef struct nl_addr NlAddr;

static void
put_rtnl_addrp(RtnlAddr **address)
{
	rtnl_addr_put(*address);
}

static void
put_nl_addrp(NlAddr **address)
{
	nl_addr_put(*address);
}

/* The bridge's own address, in the form of libnl. */
static int
make_address(const KernelBridge *bridge, int ifindex, RtnlAddr **ret)
{
	uint32_t local_be = htobe32(bridge->address);
	uint32_t broadcast_be = htobe32(bridge->address | ~bn_prefix_mask(bridge->length));
	_cleanup_(put_nl_addrp) NlAddr *local = nl_addr_build(AF_INET, &local_be, sizeof(local_be));
	_cleanup_(put_nl_addrp) NlAddr *broadcast =
		nl_addr_build(AF_INET, &broadcast_be, sizeof(broadcast_be));
	_cleanup_(put_rtnl_addrp) RtnlAddr *address = rtnl_addr_alloc();
	int r;

	if (!local || !broadcast || !address)
		return -ENOMEM;
	nl_addr_set_prefixlen(local, bridge->length);
	rtnl_addr_set_ifindex(address, ifindex);
	r = rtnl_addr_set_local(address, local);
	if (r >= 0)
		r = rtnl_addr_set_broadcast(address, broadcast);
	if (r >= 0)
		*ret = BN_TAKE_PTR(address);
	return netlink_errno(r);
}

static bool
has_address(struct nl_sock *sock, const KernelBridge *bridge, int ifindex)
{
	_cleanup_cache_ struct nl_cache *cache = NULL;
	uint32_t local_be = htobe32(bridge->address);
	_cleanup_(put_nl_addrp) NlAddr *local = nl_addr_build(AF_INET, &local_be, sizeof(local_be));
	_cleanup_(put_rtnl_addrp) RtnlAddr *found = NULL;

	if (!local || rtnl_addr_alloc_cache(sock, &cache) < 0)
		return false;
	nl_addr_set_prefixlen(local, bridge->length);
	found = rtnl_addr_get(cache, ifindex, local);
	return found && rtnl_addr_get_prefixlen(found) == bridge->length;
}

/* Up, and without an IPv6 address of its own; a kernel without IPv6 refuses to be told. */
static int
bring_up(struct nl_sock *sock, struct rtnl_link *link)
{
	_cleanup_link_ struct rtnl_link *quiet = rtnl_link_alloc(), *up = rtnl_link_alloc();
	int r;

	if (!quiet || !up)
		return -ENOMEM;
	(void)rtnl_link_inet6_set_addr_gen_mode(quiet, IN6_ADDR_GEN_MODE_NONE);
	r = netlink_errno(rtnl_link_change(sock, link, quiet, 0));
	if (r < 0 && r != -EOPNOTSUPP)
		return r;
	rtnl_link_set_flags(up, IFF_UP);
	return netlink_errno(rtnl_link_change(sock, link, up, 0));
}

static int
add_link(struct nl_sock *sock, const KernelBridge *bridge)
{
	_cleanup_link_ struct rtnl_link *link = rtnl_link_bridge_alloc();
	uint8_t mac[BN_MAC_LENGTH];
	NlAddr *hardware;

	bn_net_mac(bridge->address, mac);
	hardware = nl_addr_build(AF_LLC, mac, sizeof(mac));
	if (!link || !hardware) {
		nl_addr_put(hardware);
		return -ENOMEM;
	}
	rtnl_link_set_name(link, bridge->name);
	/* Its own, rather than that of whichever port has the lowest: else it changes with them. */
	rtnl_link_set_addr(link, hardware);
	nl_addr_put(hardware);
	return netlink_errno(rtnl_link_add(sock, link, NLM_F_CREATE | NLM_F_EXCL));
}

static int
complete(struct nl_sock *sock, const KernelBridge *bridge)
{
	_cleanup_link_ struct rtnl_link *link = NULL;
	_cleanup_(put_rtnl_addrp) RtnlAddr *address = NULL;
	int r = netlink_find_link(sock, bridge->name, &link);

	if (r >= 0)
		r = make_address(bridge, rtnl_link_get_ifindex(link), &address);
	if (r >= 0)
		r = netlink_errno(rtnl_addr_add(sock, address, 0));
	return r < 0 ? r : bring_up(sock, link);
}

/* Anybody may have given an interface one of our names. */
static bool
is_ours(struct rtnl_link *link)
{
	const char *name = rtnl_link_get_name(link), *type = rtnl_link_get_type(link);

	if (!name || !type)
		return false;
	return (strncmp(name, BN_NET_BRIDGE_PREFIX, strlen(BN_NET_BRIDGE_PREFIX)) == 0 &&
		strcmp(type, "bridge") == 0) ||
	       (strncmp(name, BN_NET_TAP_PREFIX, strlen(BN_NET_TAP_PREFIX)) == 0 &&
		strcmp(type, "tun") == 0);
}

static int
remove_link(struct nl_sock *sock, const char *name)
{
	_cleanup_link_ struct rtnl_link *link = NULL;
	int r = netlink_find_link(sock, name, &link);

	if (r >= 0 && is_ours(link))
		r = netlink_errno(rtnl_link_delete(sock, link));
	return r == -ENODEV ? 0 : r;
}

int
bridge_make(void *ctx, const KernelBridge *bridge)
{
	_cleanup_netlink_ struct nl_sock *sock = NULL;
	_cleanup_link_ struct rtnl_link *link = NULL;
	int r = netlink_open(&sock);

	if (r < 0)
		return r;
	r = netlink_find_link(sock, bridge->name, &link);
	if (r >= 0 && !rtnl_link_is_bridge(link))
		return -EEXIST;
	if (r >= 0 && (rtnl_link_get_flags(link) & IFF_UP) &&
	    has_address(sock, bridge, rtnl_link_get_ifindex(link)))
		return 0;
	if (r >= 0)
		r = remove_link(sock, bridge->name);
	if (r >= 0 || r == -ENODEV)
		r = add_link(sock, bridge);
	if (r < 0)
		return r;
	r = complete(sock, bridge);
	if (r < 0)
		(void)remove_link(sock, bridge->name);
	return r;
}

static int
open_tap(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL };
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	memcpy(request.ifr_name, name, strlen(name) + 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		return errno == EBUSY ? -EEXIST : bn_errno();
	return BN_TAKE_FD(fd);
}

/* libnl has no name for this attribute of a port. */
static int
isolate(struct nl_sock *sock, int ifindex, bool isolated)
{
	struct ifinfomsg info = { .ifi_family = AF_BRIDGE, .ifi_index = ifindex };
	struct nl_msg *message = nlmsg_alloc_simple(RTM_SETLINK, 0);
	struct nlattr *port;
	int r = message ? nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO) : -NLE_NOMEM;

	if (r >= 0) {
		port = nla_nest_start(message, IFLA_PROTINFO);
		r = port ? nla_put_u8(message, IFLA_BRPORT_ISOLATED, isolated) : -NLE_NOMEM;
		if (r >= 0)
			(void)nla_nest_end(message, port);
	}
	if (r >= 0)
		return netlink_errno(nl_send_sync(sock, message));
	nlmsg_free(message);
	return netlink_errno(r);
}

static int
connect_tap(struct nl_sock *sock, const KernelTap *tap)
{
	_cleanup_link_ struct rtnl_link *bridge = NULL, *link = NULL, *change = rtnl_link_alloc();
	int r = change ? netlink_find_link(sock, tap->bridge, &bridge) : -ENOMEM;

	if (r >= 0)
		r = netlink_find_link(sock, tap->name, &link);
	if (r < 0)
		return r;
	rtnl_link_set_master(change, rtnl_link_get_ifindex(bridge));
	rtnl_link_set_mtu(change, tap->mtu);
	r = netlink_errno(rtnl_link_change(sock, link, change, 0));
	if (r >= 0)
		r = isolate(sock, rtnl_link_get_ifindex(link), tap->isolated);
	if (r < 0)
		return r;
	/* Last: no frame passes before the port is what it is meant to be. */
	return bring_up(sock, link);
}

int
tap_make(void *ctx, const KernelTap *tap, int *ret_fd)
{
	_cleanup_netlink_ struct nl_sock *sock = NULL;
	_cleanup_close_ int fd = -1;
	int r = netlink_open(&sock);

	if (r < 0)
		return r;
	/* Closed, it takes the interface with it. */
	fd = open_tap(tap->name);
	if (fd < 0)
		return fd;
	r = connect_tap(sock, tap);
	if (r >= 0)
		*ret_fd = BN_TAKE_FD(fd);
	return r;
}

int
tap_join(void *ctx, const KernelTap *tap)
{
	_cleanup_netlink_ struct nl_sock *sock = NULL;
	int r = netlink_open(&sock);

	return r < 0 ? r : connect_tap(sock, tap);
}

int
link_remove(void *ctx, const char *name)
{
	_cleanup_netlink_ struct nl_sock *sock = NULL;
	int r = netlink_open(&sock);

	return r < 0 ? r : remove_link(sock, name);
}

typedef struct Listing {
	void (*on_name)(void *data, const char *name);
	void *data;
} Listing;

static void
list_link(struct nl_object *object, void *data)
{
	const Listing *listing = data;
	struct rtnl_link *link = (struct rtnl_link *)object;

	if (is_ours(link))
		listing->on_name(listing->data, rtnl_link_get_name(link));
}

int
link_list(void *ctx, void (*on_name)(void *data, const char *name), void *data)
{
	_cleanup_netlink_ struct nl_sock *sock = NULL;
	_cleanup_cache_ struct nl_cache *cache = NULL;
	Listing listing = { on_name, data };
	int r = netlink_open(&sock);

	if (r >= 0)
		r = netlink_errno(rtnl_link_alloc_cache(sock, AF_UNSPEC, &cache));
	if (r >= 0)
		nl_cache_foreach(cache, list_link, &listing);
	return r;
}
