/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Forwarding, for each interface by itself: what did not forward before us does not after us. What we switch on is
 * first written to a file, so that a successor can put it back, and told to the filter, which lets nothing pass there
 * but for guests: all under one lock, since an interface that forwards and is not known there makes the host a router
 * for everybody. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/ip.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper/kernel/kernel-real.h"
#include "helper/kernel/netlink.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"
#include "shared/base/macro.h"
#include "shared/base/str-util.h"

/* Behind the header that it forgets to include. */
#include <netlink/route/link/inet.h>

#define SWITCH "/proc/sys/net/ipv4/ip_forward"

/* Name, index, "router" or "host". */
#define LINE_SIZE_MAX (BN_LINK_NAME_SIZE + 20)
#define FILE_SIZE_MAX (KERNEL_UPLINKS_MAX * LINE_SIZE_MAX)

/* An interface that we switched on. */
typedef struct Ours {
	char name[BN_LINK_NAME_SIZE];
	unsigned index; /* another one with its name is not it */
	bool router;    /* the host's switch for all was on then, and this one off in spite of it */
} Ours;

static struct {
	pthread_mutex_t lock;
	uint32_t *guests; /* that it is held for */
	size_t n_guests;
	Ours ours[KERNEL_UPLINKS_MAX];
	size_t n_ours;
} forwarding = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
get_path(const KernelRealSetup *setup, char ret[static PATH_MAX])
{
	(void)snprintf(ret, PATH_MAX, "%s/forwarding", setup->run_dir);
}

static void
get_ours(KernelForwarding *ret)
{
	ret->n = forwarding.n_ours;
	for (size_t i = 0; i < ret->n; i++)
		memcpy(ret->links[i], forwarding.ours[i].name, BN_LINK_NAME_SIZE);
}

/* A line for each. */
static int
save(const KernelRealSetup *setup)
{
	char path[PATH_MAX], text[FILE_SIZE_MAX + 1] = "";
	size_t n = 0;

	get_path(setup, path);
	for (size_t i = 0; i < forwarding.n_ours; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %u %s\n",
				      forwarding.ours[i].name, forwarding.ours[i].index,
				      forwarding.ours[i].router ? "router" : "host");
	if (n == 0)
		return unlink(path) < 0 && errno != ENOENT ? bn_errno() : 0;
	return bn_io_replace_file(AT_FDCWD, path, text, n, 0600);
}

static bool
parse_line(char *line, Ours *ret)
{
	const char *name = strsep(&line, " "), *index = strsep(&line, " ");
	uint64_t number = 0;

	if (!index || !line || bn_str_parse_u64(index, INT_MAX, &number) < 0 ||
	    bn_str_copy(ret->name, sizeof(ret->name), name) < 0)
		return false;
	ret->index = (unsigned)number;
	ret->router = bn_str_equal(line, "router");
	return true;
}

static void
load(const KernelRealSetup *setup)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX], *p, *line;

	get_path(setup, path);
	forwarding.n_ours = 0;
	if (bn_io_read_file(AT_FDCWD, path, FILE_SIZE_MAX, &text, NULL) < 0)
		return;
	for (p = text; (line = strsep(&p, "\n"));)
		if (forwarding.n_ours < BN_ELEMENTSOF(forwarding.ours) &&
		    parse_line(line, &forwarding.ours[forwarding.n_ours]))
			forwarding.n_ours++;
}

/* Whether the host forwards by its own will. */
static int
is_router(bool *ret)
{
	_cleanup_free_ char *text = NULL;
	int r = bn_io_read_file(AT_FDCWD, SWITCH, sizeof("1\n"), &text, NULL);

	if (r >= 0)
		*ret = text[0] != '0';
	return r;
}

static int
set_forwarding(struct nl_sock *sock, struct rtnl_link *link, bool on)
{
	_cleanup_link_ struct rtnl_link *change = rtnl_link_alloc();
	int r = change ? rtnl_link_inet_set_conf(change, IPV4_DEVCONF_FORWARDING, on) : -NLE_NOMEM;

	return netlink_errno(r < 0 ? r : rtnl_link_change(sock, link, change, 0));
}

static Ours *
find_ours(const char *name)
{
	for (size_t i = 0; i < forwarding.n_ours; i++)
		if (bn_str_equal(forwarding.ours[i].name, name))
			return &forwarding.ours[i];
	return NULL;
}

/* That it forwards because of us. */
static int
note(const KernelRealSetup *setup, const char *name, unsigned index)
{
	Ours *ours = find_ours(name), before;
	bool is_new = !ours;
	int r;

	if (ours && ours->index == index)
		return 0;
	if (is_new && forwarding.n_ours == BN_ELEMENTSOF(forwarding.ours))
		return -E2BIG;
	if (is_new)
		ours = &forwarding.ours[forwarding.n_ours++];
	before = *ours;
	(void)bn_str_copy(ours->name, sizeof(ours->name), name);
	ours->index = index;
	r = is_router(&ours->router);
	if (r >= 0)
		r = save(setup);
	if (r >= 0)
		return 0;
	if (is_new)
		forwarding.n_ours--;
	else
		*ours = before;
	/* It may say so already, and not have been sure to keep it. */
	(void)save(setup);
	return r;
}

static int
tell_filter(const Ours *ours, size_t n, bool remove)
{
	NetChange changes[KERNEL_UPLINKS_MAX] = {};
	KernelText ignored = {};

	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		changes[i].kind = NET_CHANGE_UPLINK;
		changes[i].remove = remove;
		memcpy(changes[i].name, ours[i].name, BN_LINK_NAME_SIZE);
	}
	return filter_apply(NULL, /* base= */ false, changes, n, &ignored);
}

/* A bridge of ours goes with what it has. */
static int
switch_bridge(struct nl_sock *sock, const char *name)
{
	_cleanup_link_ struct rtnl_link *link = NULL;
	uint32_t on = 0;
	int r = netlink_find_link(sock, name, &link);

	if (r < 0)
		return r;
	if (rtnl_link_inet_get_conf(link, IPV4_DEVCONF_FORWARDING, &on) >= 0 && on)
		return 0;
	return set_forwarding(sock, link, true);
}

/* One that has gone since somebody looked leads nowhere. */
static int
switch_uplink(const KernelRealSetup *setup, struct nl_sock *sock, const char *name)
{
	_cleanup_link_ struct rtnl_link *link = NULL;
	uint32_t on = 0;
	int r = netlink_find_link(sock, name, &link);

	if (r < 0)
		return r == -ENODEV ? 0 : r;
	if (rtnl_link_inet_get_conf(link, IPV4_DEVCONF_FORWARDING, &on) >= 0 && on)
		return 0;
	r = note(setup, name, (unsigned)rtnl_link_get_ifindex(link));
	if (r >= 0)
		r = tell_filter(find_ours(name), 1, /* remove= */ false);
	if (r >= 0)
		r = set_forwarding(sock, link, true);
	return r == -ENODEV ? 0 : r;
}

/* One that is gone has nothing to be put back, nor has one of a host that has become a router meanwhile: that is what
 * its switch does to all of them, and somebody else's will. */
static int
put_one_back(struct nl_sock *sock, const Ours *ours, bool router)
{
	_cleanup_link_ struct rtnl_link *link = NULL;
	int r;

	if (router && !ours->router)
		return 0;
	r = netlink_find_link(sock, ours->name, &link);
	if (r < 0 || (unsigned)rtnl_link_get_ifindex(link) != ours->index)
		return r == -ENODEV ? 0 : r;
	return set_forwarding(sock, link, false);
}

/* All but the first `keep`, which were there before. */
static int
put_back(const KernelRealSetup *setup, size_t keep)
{
	_cleanup_netlink_ struct nl_sock *sock = NULL;
	bool router = false;
	int r = netlink_open(&sock);

	if (r >= 0)
		r = is_router(&router);
	for (size_t i = keep; r >= 0 && i < forwarding.n_ours; i++)
		r = put_one_back(sock, &forwarding.ours[i], router);
	if (r < 0)
		return r;
	/* Where the tables have gone, what was in them has too. */
	(void)tell_filter(forwarding.ours + keep, forwarding.n_ours - keep, /* remove= */ true);
	forwarding.n_ours = keep;
	return save(setup);
}

static int
switch_on(const KernelRealSetup *setup, const KernelNet *net, const char *bridge)
{
	_cleanup_netlink_ struct nl_sock *sock = NULL;
	size_t before = forwarding.n_ours;
	int r = netlink_open(&sock);

	if (r >= 0)
		r = switch_bridge(sock, bridge);
	for (size_t i = 0; r >= 0 && i < net->n_uplinks; i++)
		r = switch_uplink(setup, sock, net->uplinks[i]);
	if (r < 0 && forwarding.n_ours > before)
		(void)put_back(setup, before);
	return r;
}

static size_t
find_guest(uint32_t guest)
{
	size_t i = 0;

	while (i < forwarding.n_guests && forwarding.guests[i] != guest)
		i++;
	return i;
}

static int
add_guest(uint32_t guest)
{
	uint32_t *guests;

	if (find_guest(guest) < forwarding.n_guests)
		return 0;
	guests = reallocarray(forwarding.guests, forwarding.n_guests + 1, sizeof(*guests));
	if (!guests)
		return -ENOMEM;
	forwarding.guests = guests;
	guests[forwarding.n_guests++] = guest;
	return 0;
}

int
forwarding_hold(void *ctx, const KernelNet *net, const char *bridge, uint32_t guest)
{
	size_t before;
	int r;

	(void)pthread_mutex_lock(&forwarding.lock);
	before = forwarding.n_guests;
	r = add_guest(guest);
	if (r >= 0)
		r = switch_on(ctx, net, bridge);
	if (r < 0)
		forwarding.n_guests = before;
	(void)pthread_mutex_unlock(&forwarding.lock);
	return r;
}

int
forwarding_drop(void *ctx, uint32_t guest)
{
	size_t i;
	int r = 0;

	(void)pthread_mutex_lock(&forwarding.lock);
	i = find_guest(guest);
	if (i < forwarding.n_guests && forwarding.n_guests == 1)
		r = put_back(ctx, 0);
	if (r >= 0 && i < forwarding.n_guests)
		forwarding.guests[i] = forwarding.guests[--forwarding.n_guests];
	(void)pthread_mutex_unlock(&forwarding.lock);
	return r;
}

int
forwarding_get(void *ctx, KernelForwarding *ret)
{
	(void)pthread_mutex_lock(&forwarding.lock);
	get_ours(ret);
	(void)pthread_mutex_unlock(&forwarding.lock);
	return 0;
}

int
forwarding_recover(void *ctx, const uint32_t *guests, size_t n)
{
	int r = 0;

	(void)pthread_mutex_lock(&forwarding.lock);
	load(ctx);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = add_guest(guests[i]);
	if (r >= 0 && n == 0)
		r = put_back(ctx, 0);
	(void)pthread_mutex_unlock(&forwarding.lock);
	return r;
}
