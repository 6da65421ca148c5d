/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Forwarding, for each interface by itself: what did not forward before us does not after us. What we switched on is
 * in a file, written first, so that a successor can put it back. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/ip.h>
#include <pthread.h>
#include <stdio.h>
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

#define FILE_SIZE_MAX (KERNEL_UPLINKS_MAX * BN_LINK_NAME_SIZE)

static struct {
	pthread_mutex_t lock;
	unsigned holders;
	KernelForwarding ours;
} forwarding = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
get_path(const KernelRealSetup *setup, char ret[static PATH_MAX])
{
	(void)snprintf(ret, PATH_MAX, "%s/forwarding", setup->run_dir);
}

/* A name a line. */
static int
save(const KernelRealSetup *setup)
{
	char path[PATH_MAX], text[FILE_SIZE_MAX + 1] = "";
	size_t n = 0;

	get_path(setup, path);
	for (size_t i = 0; i < forwarding.ours.n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n", forwarding.ours.links[i]);
	if (n == 0)
		return unlink(path) < 0 && errno != ENOENT ? bn_errno() : 0;
	return bn_io_replace_file(AT_FDCWD, path, text, n, 0600);
}

static void
load(const KernelRealSetup *setup)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX], *p, *name;

	get_path(setup, path);
	forwarding.ours.n = 0;
	if (bn_io_read_file(AT_FDCWD, path, FILE_SIZE_MAX, &text, NULL) < 0)
		return;
	for (p = text; (name = strsep(&p, "\n"));)
		if (*name && forwarding.ours.n < BN_ELEMENTSOF(forwarding.ours.links) &&
		    bn_str_copy(forwarding.ours.links[forwarding.ours.n], BN_LINK_NAME_SIZE,
				name) >= 0)
			forwarding.ours.n++;
}

static int
set_forwarding(struct nl_sock *sock, struct rtnl_link *link, bool on)
{
	_cleanup_link_ struct rtnl_link *change = rtnl_link_alloc();
	int r = change ? rtnl_link_inet_set_conf(change, IPV4_DEVCONF_FORWARDING, on) : -NLE_NOMEM;

	return netlink_errno(r < 0 ? r : rtnl_link_change(sock, link, change, 0));
}

static bool
is_ours(const char *name)
{
	for (size_t i = 0; i < forwarding.ours.n; i++)
		if (bn_str_equal(forwarding.ours.links[i], name))
			return true;
	return false;
}

/* `note`: to be put back; a bridge of ours goes with what it has. */
static int
switch_on(const KernelRealSetup *setup, struct nl_sock *sock, const char *name, bool note)
{
	_cleanup_link_ struct rtnl_link *link = NULL;
	uint32_t on = 0;
	int r = netlink_find_link(sock, name, &link);

	if (r < 0)
		return r;
	if (rtnl_link_inet_get_conf(link, IPV4_DEVCONF_FORWARDING, &on) >= 0 && on)
		return 0;
	if (note && !is_ours(name)) {
		if (forwarding.ours.n == BN_ELEMENTSOF(forwarding.ours.links))
			return -E2BIG;
		(void)bn_str_copy(forwarding.ours.links[forwarding.ours.n++], BN_LINK_NAME_SIZE,
				  name);
		r = save(setup);
	}
	return r < 0 ? r : set_forwarding(sock, link, true);
}

/* An interface that is gone has nothing to be put back. */
static int
put_back(const KernelRealSetup *setup, KernelForwarding *ret)
{
	_cleanup_netlink_ struct nl_sock *sock = NULL;
	int r = netlink_open(&sock);

	for (size_t i = 0; r >= 0 && i < forwarding.ours.n; i++) {
		_cleanup_link_ struct rtnl_link *link = NULL;

		r = netlink_find_link(sock, forwarding.ours.links[i], &link);
		r = r == -ENODEV ? 0 : r < 0 ? r : set_forwarding(sock, link, false);
	}
	if (r < 0)
		return r;
	*ret = forwarding.ours;
	forwarding.ours.n = 0;
	return save(setup);
}

static int
hold(const KernelRealSetup *setup, const KernelNet *net, const char *bridge)
{
	_cleanup_netlink_ struct nl_sock *sock = NULL;
	int r = netlink_open(&sock);

	if (r >= 0)
		r = switch_on(setup, sock, bridge, /* note= */ false);
	for (size_t i = 0; r >= 0 && i < net->n_uplinks; i++)
		r = switch_on(setup, sock, net->uplinks[i], /* note= */ true);
	return r;
}

int
forwarding_hold(void *ctx, const KernelNet *net, const char *bridge, KernelForwarding *ret)
{
	KernelForwarding ignored;
	int r;

	(void)pthread_mutex_lock(&forwarding.lock);
	r = hold(ctx, net, bridge);
	if (r >= 0) {
		forwarding.holders++;
		*ret = forwarding.ours;
	} else if (forwarding.holders == 0) {
		(void)put_back(ctx, &ignored);
	}
	(void)pthread_mutex_unlock(&forwarding.lock);
	return r;
}

int
forwarding_drop(void *ctx, KernelForwarding *ret)
{
	int r = 0;

	(void)pthread_mutex_lock(&forwarding.lock);
	ret->n = 0;
	if (forwarding.holders == 1)
		r = put_back(ctx, ret);
	if (r >= 0 && forwarding.holders > 0)
		forwarding.holders--;
	(void)pthread_mutex_unlock(&forwarding.lock);
	return r;
}

int
forwarding_get(void *ctx, KernelForwarding *ret)
{
	(void)pthread_mutex_lock(&forwarding.lock);
	*ret = forwarding.ours;
	(void)pthread_mutex_unlock(&forwarding.lock);
	return 0;
}

int
forwarding_recover(void *ctx, unsigned holders, KernelForwarding *ret)
{
	int r = 0;

	(void)pthread_mutex_lock(&forwarding.lock);
	load(ctx);
	forwarding.holders = holders;
	if (holders == 0)
		r = put_back(ctx, ret);
	else
		*ret = forwarding.ours;
	(void)pthread_mutex_unlock(&forwarding.lock);
	return r;
}
