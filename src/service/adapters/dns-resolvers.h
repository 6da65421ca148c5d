/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom this host asks for names: resolv.conf(5), as the C library reads it, looked at again when it has changed. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/rules/ipv4.h"

/* How long a resolver may take; the last one longer: just shorter than clients wait before they ask once more. */
#define BANGER_DNS_RESOLVER_MS      2000
#define BANGER_DNS_LAST_RESOLVER_MS 4000
/* Behind everything that bangerd does for a person: a guest may ask without end. */
#define BANGER_DNS_PRIORITY (G_PRIORITY_DEFAULT + 10)

typedef struct BangerDnsResolvers BangerDnsResolvers;

/* `own`: where we answer, which is never asked, whatever the file says: that would have no end. `subnet`: for whom they
 * are asked. */
BangerDnsResolvers *banger_dns_resolvers_new(GSocketAddress *own, const BnPrefix *subnet);
void banger_dns_resolvers_free(BangerDnsResolvers *resolvers);

/* Whether they are asked for that one. */
bool banger_dns_resolvers_serve(const BangerDnsResolvers *resolvers, GSocketAddress *client);

/* GSocketAddresses in their order, perhaps none; the caller's to unref, and the same for as long as it keeps them. */
GPtrArray *banger_dns_resolvers_dup(BangerDnsResolvers *resolvers);

/* How long the one with that number may take. */
static inline unsigned
banger_dns_resolvers_timeout_ms(const GPtrArray *addresses, unsigned i)
{
	return i + 1 < addresses->len ? BANGER_DNS_RESOLVER_MS : BANGER_DNS_LAST_RESOLVER_MS;
}

/* An id that nobody can guess. */
uint16_t banger_dns_resolvers_make_id(void);

bool banger_dns_resolvers_is_same_host(GSocketAddress *a, GSocketAddress *b);
