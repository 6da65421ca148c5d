/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Datagrams of a socket that has all of this host's addresses: at which of them one came, so that the answer leaves
 * from there. */
#pragma once

#include <gio/gio.h>
#include <netinet/in.h>
#include <stdbool.h>

/* One of this host's addresses; `family` 0: whichever the kernel takes. */
typedef struct BangerDatagramPath {
	sa_family_t family;
	union {
		struct in_addr v4;
		struct in6_addr v6;
	};
} BangerDatagramPath;

/* From now on the kernel tells it. */
void banger_datagram_path_begin(GSocket *socket);

bool banger_datagram_path_is_same(const BangerDatagramPath *a, const BangerDatagramPath *b);

/* As recvmsg(2), without waiting: the size, or -1. *ret_from is the caller's, and NULL where it is none of IP's. */
ssize_t banger_datagram_path_receive(GSocket *socket, char *buffer, size_t size,
				     GSocketAddress **ret_from, BangerDatagramPath *ret);
/* As sendmsg(2), likewise. */
ssize_t banger_datagram_path_send(GSocket *socket, const char *bytes, size_t size,
				  GSocketAddress *to, const BangerDatagramPath *path);
