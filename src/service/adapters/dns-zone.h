/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names that are answered here: those of a user's VMs, and those that mean something on one machine only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/adapters/dns-packet.h"

typedef struct BangerDnsZone BangerDnsZone;

/* `name`: what the names of VMs end in, "dev.vm". NULL where it is no name, or VMs' names do not fit before it. */
BangerDnsZone *banger_dns_zone_new(const char *name);
void banger_dns_zone_free(BangerDnsZone *zone);

/* As those of BangerNames. */
bool banger_dns_zone_set(BangerDnsZone *zone, const char *vm, uint32_t address);
void banger_dns_zone_remove(BangerDnsZone *zone, const char *vm);

typedef enum BangerDnsVerdict {
	BANGER_DNS_DROP, /* no answer */
	BANGER_DNS_ANSWER,
	BANGER_DNS_FORWARD, /* somebody else's name */
} BangerDnsVerdict;

/* What becomes of a message of anybody's: for ANSWER, the answer. */
BangerDnsVerdict banger_dns_zone_serve(const BangerDnsZone *zone, const uint8_t *bytes, size_t size,
				       uint8_t ret[static BANGER_DNS_ANSWER_MAX], size_t *ret_size);
/* Nobody could be asked, or is for that client: the answer that says so; its size, or 0. */
size_t banger_dns_zone_give_up(const uint8_t *bytes, size_t size, BangerDnsRcode rcode,
			       uint8_t ret[static BANGER_DNS_ANSWER_MAX]);
