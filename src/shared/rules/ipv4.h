/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* IPv4 addresses and prefixes, in host order; which of them a user gets. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nothing is set behind the first `length` bits. */
typedef struct BnPrefix {
	uint32_t address;
	uint8_t length;
} BnPrefix;

#define BN_IPV4_SIZE sizeof("255.255.255.255")
/* The compiler looks at what the type can hold. */
#define BN_PREFIX_SIZE sizeof("255.255.255.255/255")

void bn_ipv4_render(uint32_t address, char ret[static BN_IPV4_SIZE]);
/* Four decimal numbers and nothing else. 0 or -EINVAL. */
int bn_ipv4_parse(const char *text, uint32_t *ret);
void bn_prefix_render(const BnPrefix *prefix, char ret[static BN_PREFIX_SIZE]);
/* "10.0.0.0/8"; -EINVAL also where bits are set behind the length. */
int bn_prefix_parse(const char *text, BnPrefix *ret);

/* The part of an address that a prefix of that length has. */
uint32_t bn_prefix_mask(uint8_t length);
bool bn_prefix_contains(const BnPrefix *prefix, uint32_t address);
bool bn_prefix_overlaps(const BnPrefix *a, const BnPrefix *b);

/* The first prefix of `length` in the pool that overlaps none of `busy`, looking from the `first` one on and round.
 * 0, -ENOSPC, or -EINVAL where `length` is not longer than the pool's. */
int bn_prefix_pick(const BnPrefix *pool, uint8_t length, uint32_t first, const BnPrefix *busy,
		   size_t n_busy, BnPrefix *ret);
