/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/datagram-path.h"

#include <string.h>
#include <sys/socket.h>

/* Room for what either protocol says of it. */
typedef union Control {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
} Control;

void
banger_datagram_path_begin(GSocket *socket)
{
	/* Where the kernel has no such option it chooses by itself, as it does without. */
	if (g_socket_get_family(socket) == G_SOCKET_FAMILY_IPV6)
		(void)g_socket_set_option(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1,
					  /* error= */ NULL);
	else
		(void)g_socket_set_option(socket, IPPROTO_IP, IP_PKTINFO, 1, /* error= */ NULL);
}

bool
banger_datagram_path_is_same(const BangerDatagramPath *a, const BangerDatagramPath *b)
{
	if (a->family != b->family)
		return false;
	if (a->family == AF_INET6)
		return IN6_ARE_ADDR_EQUAL(&a->v6, &b->v6);
	return a->family != AF_INET || a->v4.s_addr == b->v4.s_addr;
}

static void
read_path(struct msghdr *message, BangerDatagramPath *ret)
{
	struct in_pktinfo v4;
	struct in6_pktinfo v6;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&v4, CMSG_DATA(c), sizeof(v4));
			ret->family = AF_INET;
			/* Not where it was sent, which may be everybody's. */
			ret->v4 = v4.ipi_spec_dst;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&v6, CMSG_DATA(c), sizeof(v6));
			ret->family = IN6_IS_ADDR_MULTICAST(&v6.ipi6_addr) ? 0 : AF_INET6;
			ret->v6 = v6.ipi6_addr;
		}
	}
}

ssize_t
banger_datagram_path_receive(GSocket *socket, char *buffer, size_t size, GSocketAddress **ret_from,
			     BangerDatagramPath *ret)
{
	struct sockaddr_storage from = {};
	struct iovec part = { .iov_base = buffer, .iov_len = size };
	Control control = {};
	struct msghdr message = { .msg_name = &from,
				  .msg_namelen = sizeof(from),
				  .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(g_socket_get_fd(socket), &message, MSG_DONTWAIT);

	if (n < 0)
		return -1;
	*ret_from = g_socket_address_new_from_native(&from, message.msg_namelen);
	*ret = (BangerDatagramPath){};
	read_path(&message, ret);
	return n;
}

/* Its size. */
static size_t
write_path(const BangerDatagramPath *path, Control *ret)
{
	const struct in_pktinfo v4 = { .ipi_spec_dst = path->v4 };
	const struct in6_pktinfo v6 = { .ipi6_addr = path->v6 };
	bool is_v4 = path->family == AF_INET;
	size_t size = is_v4 ? sizeof(v4) : sizeof(v6);

	if (path->family == 0)
		return 0;
	ret->head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(size),
				      .cmsg_level = is_v4 ? IPPROTO_IP : IPPROTO_IPV6,
				      .cmsg_type = is_v4 ? IP_PKTINFO : IPV6_PKTINFO };
	memcpy(CMSG_DATA(&ret->head), is_v4 ? (const void *)&v4 : (const void *)&v6, size);
	return CMSG_SPACE(size);
}

ssize_t
banger_datagram_path_send(GSocket *socket, const char *bytes, size_t size, GSocketAddress *to,
			  const BangerDatagramPath *path)
{
	struct sockaddr_storage native = {};
	struct iovec part = { .iov_base = (char *)bytes, .iov_len = size };
	Control control = {};
	size_t control_size = write_path(path, &control);
	struct msghdr message = { .msg_name = &native,
				  .msg_namelen = (socklen_t)g_socket_address_get_native_size(to),
				  .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control_size > 0 ? &control : NULL,
				  .msg_controllen = control_size };

	if (!g_socket_address_to_native(to, &native, sizeof(native), /* error= */ NULL))
		return -1;
	return sendmsg(g_socket_get_fd(socket), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}
