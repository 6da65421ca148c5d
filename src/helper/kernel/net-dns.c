/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a user's bangerd answers for names: a port that only root may bind, and one address of it. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "helper/kernel/kernel-real.h"
#include "shared/base/errno-util.h"
#include "shared/base/macro.h"

#define PORT    53
#define BACKLOG 64

static int
open_one(const KernelBridge *bridge, int type)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htobe16(PORT),
				       .sin_addr.s_addr = htobe32(bridge->address) };
	_cleanup_close_ int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	if (fd < 0)
		return bn_errno();
	/* The port of a connection that has just ended is as good as free. */
	if (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return bn_errno();
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
		return bn_errno();
	return BN_TAKE_FD(fd);
}

int
dns_open(void *ctx, const KernelBridge *bridge, int ret_fds[static 2])
{
	_cleanup_close_ int datagram = open_one(bridge, SOCK_DGRAM);
	int stream;

	if (datagram < 0)
		return datagram;
	stream = open_one(bridge, SOCK_STREAM);
	if (stream < 0)
		return stream;
	ret_fds[0] = BN_TAKE_FD(datagram);
	ret_fds[1] = stream;
	return 0;
}
