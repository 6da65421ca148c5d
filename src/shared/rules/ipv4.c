/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/rules/ipv4.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/str-util.h"

void
bn_ipv4_render(uint32_t address, char ret[static BN_IPV4_SIZE])
{
	(void)snprintf(ret, BN_IPV4_SIZE, "%u.%u.%u.%u", address >> 24, address >> 16 & 0xff,
		       address >> 8 & 0xff, address & 0xff);
}

int
bn_ipv4_parse(const char *text, uint32_t *ret)
{
	char copy[BN_IPV4_SIZE], *p = copy;
	uint32_t address = 0;

	if (bn_str_copy(copy, sizeof(copy), text) < 0)
		return -EINVAL;
	for (int i = 0; i < 4; i++) {
		const char *part = strsep(&p, ".");
		uint64_t value = 0;

		if (!part || bn_str_parse_u64(part, 255, &value) < 0)
			return -EINVAL;
		address = address << 8 | (uint32_t)value;
	}
	if (p)
		return -EINVAL;
	*ret = address;
	return 0;
}

void
bn_prefix_render(const BnPrefix *prefix, char ret[static BN_PREFIX_SIZE])
{
	char address[BN_IPV4_SIZE];

	bn_ipv4_render(prefix->address, address);
	(void)snprintf(ret, BN_PREFIX_SIZE, "%s/%u", address, prefix->length);
}

int
bn_prefix_parse(const char *text, BnPrefix *ret)
{
	char copy[BN_PREFIX_SIZE], *length = copy;
	BnPrefix prefix;
	uint64_t value = 0;

	if (bn_str_copy(copy, sizeof(copy), text) < 0)
		return -EINVAL;
	(void)strsep(&length, "/");
	if (!length || bn_str_parse_u64(length, 32, &value) < 0 ||
	    bn_ipv4_parse(copy, &prefix.address) < 0)
		return -EINVAL;
	prefix.length = (uint8_t)value;
	if (prefix.address & ~bn_prefix_mask(prefix.length))
		return -EINVAL;
	*ret = prefix;
	return 0;
}

uint32_t
bn_prefix_mask(uint8_t length)
{
	/* A shift by all of its bits is not defined. */
	return length == 0 ? 0 : UINT32_MAX << (32 - length);
}

bool
bn_prefix_contains(const BnPrefix *prefix, uint32_t address)
{
	return (address & bn_prefix_mask(prefix->length)) == prefix->address;
}

bool
bn_prefix_overlaps(const BnPrefix *a, const BnPrefix *b)
{
	return bn_prefix_contains(a, b->address) || bn_prefix_contains(b, a->address);
}

static bool
is_busy(const BnPrefix *prefix, const BnPrefix *busy, size_t n_busy)
{
	for (size_t i = 0; i < n_busy; i++)
		if (bn_prefix_overlaps(prefix, &busy[i]))
			return true;
	return false;
}

int
bn_prefix_pick(const BnPrefix *pool, uint8_t length, uint32_t first, const BnPrefix *busy,
	       size_t n_busy, BnPrefix *ret)
{
	uint32_t n;

	if (length <= pool->length || length > 32 || length - pool->length > 31)
		return -EINVAL;
	n = UINT32_C(1) << (length - pool->length);
	for (uint32_t i = 0; i < n; i++) {
		BnPrefix prefix = { .length = length };

		prefix.address = pool->address | (first % n + i) % n << (32 - length);
		if (is_busy(&prefix, busy, n_busy))
			continue;
		*ret = prefix;
		return 0;
	}
	return -ENOSPC;
}
