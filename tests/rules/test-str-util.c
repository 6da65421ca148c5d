/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <errno.h>

#include "shared/base/cleanup.h"
#include "shared/base/str-util.h"

static void
test_u64_when_not_plain_decimal_then_refused(void)
{
	uint64_t v = 7;

	check_int(bn_str_parse_u64("0", 10, &v), 0);
	check_int(v, 0);
	check_int(bn_str_parse_u64("18446744073709551615", UINT64_MAX, &v), 0);
	check(v == UINT64_MAX);
	check_int(bn_str_parse_u64("18446744073709551616", UINT64_MAX, &v), -ERANGE);
	check_int(bn_str_parse_u64("11", 10, &v), -ERANGE);
	check_int(bn_str_parse_u64("+1", 10, &v), -EINVAL);
	check_int(bn_str_parse_u64(" 1", 10, &v), -EINVAL);
	check_int(bn_str_parse_u64("1 ", 10, &v), -EINVAL);
	check_int(bn_str_parse_u64("01", 10, &v), -EINVAL);
	check_int(bn_str_parse_u64("", 10, &v), -EINVAL);
	check(v == UINT64_MAX);
}

static void
test_size_when_unit_given_then_binary_multiple(void)
{
	uint64_t v = 0;

	check_int(bn_str_parse_size("512M", &v), 0);
	check_int(v, 512LL << 20);
	check_int(bn_str_parse_size("4G", &v), 0);
	check_int(v, 4LL << 30);
	check_int(bn_str_parse_size("4GiB", &v), 0);
	check_int(v, 4LL << 30);
	check_int(bn_str_parse_size("65536", &v), 0);
	check_int(v, 65536);
	check_int(bn_str_parse_size("1KiB", &v), 0);
	check_int(v, 1024);
	check_int(bn_str_parse_size("4Gi", &v), -EINVAL);
	check_int(bn_str_parse_size("4 G", &v), -EINVAL);
	check_int(bn_str_parse_size("G", &v), -EINVAL);
	check_int(bn_str_parse_size("-1G", &v), -EINVAL);
	check_int(bn_str_parse_size("99999999999999T", &v), -ERANGE);
}

static void
check_escape(const char *in, size_t size, size_t max, const char *expected)
{
	_cleanup_free_ char *out = bn_str_escape(in, size, max);

	check_str(out, expected);
}

static void
test_t39_escape_when_hostile_then_safe_for_a_terminal(void)
{
	check_escape("plain \xc3\xa4", 8, 100, "plain ä");
	check_escape("\x1b[2J", 4, 100, "\\x1b[2J");
	/* So that what is escaped already stays as it is. */
	check_escape("\\x1b", 4, 100, "\\x1b");
	check_escape("\xc2\x9b"
		     "2J",
		     4, 100, "\\xc2\\x9b2J"); /* C1 control */
	check_escape("\xff\xfe", 2, 100, "\\xff\\xfe");
	check_escape("\xc0\x80", 2, 100, "\\xc0\\x80");          /* overlong NUL */
	check_escape("\xed\xa0\x80", 3, 100, "\\xed\\xa0\\x80"); /* surrogate */
	check_escape("\xf4\x90\x80\x80", 4, 100, "\\xf4\\x90\\x80\\x80");
	check_escape("\xe2\x82", 2, 100, "\\xe2\\x82"); /* cut */
	check_escape("a\0b", 3, 100, "a\\x00b");
	check_escape("abcdef", 6, 3, "abc…");
	check_escape("", 0, 3, "");
	check_escape("\xf0\x9f\x98\x80", 4, 100, "\xf0\x9f\x98\x80");
	check_escape("\xf8\x88\x80\x80\x80", 5, 100, "\\xf8\\x88\\x80\\x80\\x80");
	check_escape("\xe0\x9f\xbf", 3, 100, "\\xe0\\x9f\\xbf"); /* overlong */
}

static void
test_hex_when_bytes_then_two_digits_each(void)
{
	char out[7];

	bn_str_hex("\x00\x7f\xff", 3, out);
	check_str(out, "007fff");
}

TEST_MAIN(TEST(test_u64_when_not_plain_decimal_then_refused),
	  TEST(test_size_when_unit_given_then_binary_multiple),
	  TEST(test_t39_escape_when_hostile_then_safe_for_a_terminal),
	  TEST(test_hex_when_bytes_then_two_digits_each))
