/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/kernel/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netlink/errno.h>

int
netlink_errno(int nl_result)
{
	switch (nl_result >= 0 ? 0 : -nl_result) {
	case 0:
		return 0;
	case NLE_EXIST:
		return -EEXIST;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_NODEV:
	case NLE_OBJ_NOTFOUND:
		return -ENODEV;
	case NLE_BUSY:
		return -EBUSY;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_INVAL:
	case NLE_RANGE:
		return -EINVAL;
	case NLE_OPNOTSUPP:
	case NLE_AF_NOSUPPORT:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

int
netlink_open(struct nl_sock **ret)
{
	struct nl_sock *sock = nl_socket_alloc();
	int r = sock ? netlink_errno(nl_connect(sock, NETLINK_ROUTE)) : -ENOMEM;

	/* The kernel answers before it has taken the question: what is not there then never comes. libnl waits for
	 * it even where the question could not be sent. */
	if (r >= 0)
		r = netlink_errno(nl_socket_set_nonblocking(sock));
	if (r < 0) {
		nl_socket_free(sock);
		return r;
	}
	*ret = sock;
	return 0;
}

int
netlink_find_link(struct nl_sock *sock, const char *name, struct rtnl_link **ret)
{
	return netlink_errno(rtnl_link_get_kernel(sock, 0, name, ret));
}
