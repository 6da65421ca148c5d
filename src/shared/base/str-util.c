/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/base/str-util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/cleanup.h"

/* Reads decimal digits; returns how many, 0 where there is none, negative errno on overflow. */
static int
parse_digits(const char *s, uint64_t *ret)
{
	uint64_t value = 0;
	int n = 0;

	for (; s[n] >= '0' && s[n] <= '9'; n++)
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(s[n] - '0'), &value))
			return -ERANGE;
	if (n > 1 && s[0] == '0')
		return -EINVAL;
	*ret = value;
	return n;
}

int
bn_str_parse_u64(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;
	int n = parse_digits(s, &value);

	if (n < 0)
		return n;
	if (n == 0 || s[n] != '\0')
		return -EINVAL;
	if (value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

int
bn_str_parse_size(const char *s, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	uint64_t value = 0, factor = 1;
	const char *unit;
	int n = parse_digits(s, &value);

	if (n < 0)
		return n;
	if (n == 0)
		return -EINVAL;
	s += n;
	unit = *s ? strchr(units, *s) : NULL;
	if (unit) {
		factor = UINT64_C(1) << (10 * (unit - units + 1));
		s++;
		if (s[0] == 'i' && s[1] == 'B')
			s += 2;
	} else if (*s == 'B') {
		s++;
	}
	if (*s != '\0')
		return -EINVAL;
	return __builtin_mul_overflow(value, factor, ret_bytes) ? -ERANGE : 0;
}

/* Length of the valid UTF-8 sequence at the start, 0 where there is none. RFC 3629, section 4. */
static size_t
utf8_sequence(const unsigned char *s, size_t size, uint32_t *ret_char)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n;
	uint32_t c;

	if (s[0] < 0x80) {
		*ret_char = s[0];
		return s[0] ? 1 : 0;
	}
	n = s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
	if (n == 0 || n > size || s[0] > 0xf4)
		return 0;
	c = s[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_char = c;
	return n;
}

char *
bn_str_escape(const char *s, size_t size, size_t max)
{
	static const char hex[] = "0123456789abcdef", ellipsis[] = "…";
	_cleanup_free_ char *out = malloc(BN_MIN(size * 4, max) + sizeof(ellipsis));
	size_t used = 0;

	if (!out)
		return NULL;
	for (size_t i = 0; i < size;) {
		uint32_t c = 0;
		size_t n = utf8_sequence((const unsigned char *)s + i, size - i, &c);
		bool plain = n > 0 && c >= 0x20 && (c < 0x7f || c > 0x9f);
		size_t need = plain ? n : 4;

		if (used + need > max) {
			memcpy(out + used, ellipsis, sizeof(ellipsis) - 1);
			used += sizeof(ellipsis) - 1;
			break;
		}
		if (plain) {
			memcpy(out + used, s + i, n);
			i += n;
		} else {
			unsigned char b = (unsigned char)s[i++];

			memcpy(out + used, "\\x", 2);
			out[used + 2] = hex[b >> 4];
			out[used + 3] = hex[b & 15];
		}
		used += need;
	}
	out[used] = '\0';
	return BN_TAKE_PTR(out);
}

void
bn_str_hex(const void *data, size_t size, char *ret)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = data;

	for (size_t i = 0; i < size; i++) {
		ret[2 * i] = hex[p[i] >> 4];
		ret[2 * i + 1] = hex[p[i] & 15];
	}
	ret[2 * size] = '\0';
}

int
bn_str_copy(char *ret, size_t size, const char *s)
{
	size_t n = strlen(s) + 1;

	if (n > size)
		return -ENAMETOOLONG;
	memcpy(ret, s, n);
	return 0;
}
