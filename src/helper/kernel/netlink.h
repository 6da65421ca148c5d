/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files about links share: a connection of one's own for each call, and libnl's errors as errno. */
#pragma once

#include <netlink/netlink.h>
#include <netlink/route/link.h>

#include "shared/base/cleanup.h"

int netlink_open(struct nl_sock **ret);
/* 0 where libnl's result is not negative; -EIO where its error has no errno. */
int netlink_errno(int nl_result);
/* -ENODEV where there is none; the caller's to put. */
int netlink_find_link(struct nl_sock *sock, const char *name, struct rtnl_link **ret);

static inline void
netlink_freep(struct nl_sock **sock)
{
	nl_socket_free(*sock);
}

static inline void
netlink_put_linkp(struct rtnl_link **link)
{
	rtnl_link_put(*link);
}

static inline void
netlink_put_cachep(struct nl_cache **cache)
{
	if (*cache)
		nl_cache_free(*cache);
}

#define _cleanup_netlink_ _cleanup_(netlink_freep)
#define _cleanup_link_    _cleanup_(netlink_put_linkp)
#define _cleanup_cache_   _cleanup_(netlink_put_cachep)
