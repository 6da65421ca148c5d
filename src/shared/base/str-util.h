/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text that somebody else wrote: numbers, hex, UTF-8, escaping. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/macro.h"

static inline bool
bn_str_equal(const char *a, const char *b)
{
	return a == b || (a && b && __builtin_strcmp(a, b) == 0);
}

/* Decimal digits only: no sign, no space, no leading zero but "0" itself. 0, -EINVAL or -ERANGE. */
int bn_str_parse_u64(const char *s, uint64_t max, uint64_t *ret);

/* "512M", "4G", "4GiB", "65536": binary multiples, an optional "i" and "B". 0, -EINVAL or -ERANGE. */
int bn_str_parse_size(const char *s, uint64_t *ret_bytes);

/* Makes text safe for a terminal and for a GVariant: what is not valid UTF-8 (RFC 3629: no surrogates, no
 * overlong forms) and every control character (C0, DEL, C1) become \xNN; what was made safe before stays as it
 * is. At most `max` bytes come out, then "…". The result is the caller's to free, NULL where memory ran out. */
char *bn_str_escape(const char *s, size_t size, size_t max);

/* A bounded copy. 0, or -ENAMETOOLONG with nothing written where `s` and its NUL do not fit. */
int bn_str_copy(char *ret, size_t size, const char *s);

/* Lower-case hex of `size` bytes into `ret`, which has room for 2 * size + 1. */
void bn_str_hex(const void *data, size_t size, char *ret);
