/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* DNS by TCP: each message behind its length, one query of a connection after the other; what is somebody else's goes
 * to the host's resolvers by TCP as well. */
#pragma once

#include "service/adapters/dns-resolvers.h"
#include "service/adapters/dns-zone.h"

/* Of all, and of one client: the next is closed at once. */
#define BANGER_DNS_STREAMS_MAX        32
#define BANGER_DNS_STREAMS_CLIENT_MAX 8
/* Within this a whole query has arrived, and an answer is taken, or the connection ends. */
#define BANGER_DNS_STREAM_IDLE_MS 10000

typedef struct BangerDnsStreams BangerDnsStreams;

/* `listener` is kept; zone and resolvers stay the caller's. */
BangerDnsStreams *banger_dns_streams_new(GSocket *listener, const BangerDnsZone *zone,
					 BangerDnsResolvers *resolvers);
/* Closes every connection; what still holds of one goes with the next turns of the main loop. */
void banger_dns_streams_free(BangerDnsStreams *streams);
