/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Queries on their way to the host's resolvers by UDP, and the replies back. Both are passed on as they are, but for
 * the id; of a reply only header and question are looked at. */
#pragma once

#include "service/adapters/dns-resolvers.h"

/* Of all, and of one client: the next is told at once that it failed. Each takes a descriptor; whoever builds software
 * asks some hundred at once. */
#define BANGER_DNS_PENDING_MAX        1024
#define BANGER_DNS_PENDING_CLIENT_MAX 256

typedef struct BangerDnsForward BangerDnsForward;

/* `socket`: where queries came from, and replies go; kept. `resolvers` stay the caller's. */
BangerDnsForward *banger_dns_forward_new(GSocket *socket, BangerDnsResolvers *resolvers);
void banger_dns_forward_free(BangerDnsForward *forward);

/* `bytes`: a query that banger_dns_packet_read() took. Answered sooner or later, unless all of it ends before. */
void banger_dns_forward_ask(BangerDnsForward *forward, GSocketAddress *client, const uint8_t *bytes,
			    size_t size);
