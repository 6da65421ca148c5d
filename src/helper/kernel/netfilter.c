/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/kernel/netfilter.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"

/* As much as the kernel puts into one. */
#define ANSWER_SIZE 32768

static void
mnl_socket_closep(struct mnl_socket **socket)
{
	if (*socket)
		(void)mnl_socket_close(*socket);
}

#define _cleanup_mnl_socket_ _cleanup_(mnl_socket_closep)

/* The kernel has an answer before the send returns, so that nothing is waited for. */
static int
open_and_send(const void *bytes, size_t size, struct mnl_socket **ret)
{
	_cleanup_mnl_socket_ struct mnl_socket *socket =
		mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(socket, bytes, size) < 0)
		return bn_errno();
	*ret = BN_TAKE_PTR(socket);
	return 0;
}

/* Of a transaction it tells refusals only, each with the head of the message that it refuses. */
int
netfilter_send(const void *batch, size_t size)
{
	_cleanup_mnl_socket_ struct mnl_socket *socket = NULL;
	char answer[ANSWER_SIZE];
	int r = open_and_send(batch, size, &socket);
	ssize_t n = 0;

	if (r < 0)
		return r;
	while ((n = mnl_socket_recvfrom(socket, answer, sizeof(answer))) > 0)
		if (mnl_cb_run(answer, (size_t)n, 0, mnl_socket_get_portid(socket), NULL, NULL) <
			    0 &&
		    r == 0)
			r = bn_errno();
	if (r == 0 && n < 0 && errno != EAGAIN)
		r = bn_errno();
	return r;
}

int
netfilter_dump(const struct nlmsghdr *question, mnl_cb_t on_message, void *data)
{
	_cleanup_mnl_socket_ struct mnl_socket *socket = NULL;
	char answer[ANSWER_SIZE];
	int r = open_and_send(question, question->nlmsg_len, &socket), more = MNL_CB_OK;

	while (r >= 0 && more > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(socket, answer, sizeof(answer));

		if (n >= 0)
			more = mnl_cb_run(answer, (size_t)n, question->nlmsg_seq,
					  mnl_socket_get_portid(socket), on_message, data);
		if (n < 0 || more < MNL_CB_STOP)
			r = bn_errno();
	}
	return r;
}
