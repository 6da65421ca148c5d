/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <errno.h>

#include "shared/rules/frame.h"
#include "shared/rules/limits.h"

static void
test_frame_when_rendered_then_parsed_the_same(void)
{
	static const size_t lengths[] = { 0, 1, BN_FRAME_PAYLOAD_MAX - 1, BN_FRAME_PAYLOAD_MAX };
	static uint8_t payload[BN_FRAME_PAYLOAD_MAX], bytes[BN_FRAME_MAX];

	memset(payload, 0x5a, sizeof(payload));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t n = bn_frame_render(bytes, BN_FRAME_DATA, 65535, payload, lengths[i]), used;
		BnFrame frame;

		check_int(n, BN_FRAME_HEADER + lengths[i] + 1);
		check_int(bn_frame_parse(bytes, n, &frame, &used), 1);
		check_int(used, n);
		check_int(frame.type, BN_FRAME_DATA);
		check_int(frame.stream, 65535);
		check_int(frame.length, lengths[i]);
		check(memcmp(frame.payload, payload, lengths[i]) == 0);
	}
}

static void
test_frame_when_incomplete_then_more_is_wanted(void)
{
	uint8_t bytes[64];
	size_t n = bn_frame_render(bytes, BN_FRAME_SIGNAL, 7, "\x0f", 1), used;
	BnFrame frame;

	for (size_t i = 0; i < n; i++)
		check_int(bn_frame_parse(bytes, i, &frame, &used), 0);
	check_int(bn_frame_parse(bytes, n, &frame, &used), 1);
}

static void
test_frame_when_zeros_come_first_then_skipped(void)
{
	uint8_t bytes[128] = {};
	size_t n = 50 + bn_frame_render(bytes + 50, BN_FRAME_RUN, 1, NULL, 0), used;
	BnFrame frame;

	check_int(bn_frame_parse(bytes, 50, &frame, &used), 0);
	check_int(used, 50);
	check_int(bn_frame_parse(bytes, n, &frame, &used), 1);
	check_int(used, n);
}

static int
parse_with(size_t at, uint8_t value)
{
	uint8_t bytes[64];
	size_t n = bn_frame_render(bytes, BN_FRAME_SIGNAL, 7, "\x0f", 1), used;
	BnFrame frame;

	bytes[at] = value;
	return bn_frame_parse(bytes, n, &frame, &used);
}

static void
test_frame_when_damaged_then_refused(void)
{
	check_int(parse_with(0, _BN_FRAME_TYPE_MAX), -EBADMSG);
	check_int(parse_with(0, 255), -EBADMSG);
	check_int(parse_with(1, 1), -EBADMSG);
	check_int(parse_with(6, 1), -EBADMSG); /* 65537 bytes */
	check_int(parse_with(7, 0x80), -EBADMSG);
	check_int(parse_with(9, 0), -EBADMSG); /* completed by a later host's zeros */
}

static void
test_frame_when_one_byte_too_long_then_refused(void)
{
	uint8_t bytes[BN_FRAME_HEADER] = { BN_FRAME_DATA, 0, 1, 0, 0x01, 0x40, 0, 0 };
	BnFrame frame;
	size_t used;

	check_int(bn_frame_parse(bytes, sizeof(bytes), &frame, &used), -EBADMSG);
	bytes[4] = 0;
	check_int(bn_frame_parse(bytes, sizeof(bytes), &frame, &used), 0);
}

static void
test_pack_when_beyond_its_end_then_bad_for_good(void)
{
	uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	BnPack pack = { .data = bytes, .size = sizeof(bytes) };

	check_int(bn_pack_get_uint(&pack, 8), 0x0807060504030201);
	check(!pack.bad);
	check_int(bn_pack_get_uint(&pack, 1), 0);
	check(pack.bad);
	pack = (BnPack){ .data = bytes, .size = 4 };
	bn_pack_put_uint(&pack, 0, 8);
	check(pack.bad);
	check_int(bytes[0], 1);
}

static void
test_string_when_hostile_then_bad(void)
{
	uint8_t huge[8] = { 0xff, 0xff, 0xff, 0xff, 'a' }, nul[6] = { 2, 0, 0, 0, 'a', 0 };
	BnPack pack = { .data = huge, .size = sizeof(huge) };

	check(!bn_pack_get_string(&pack, SIZE_MAX));
	check(pack.bad);
	pack = (BnPack){ .data = nul, .size = sizeof(nul) };
	check(!bn_pack_get_string(&pack, 64));
	check(pack.bad);
}

static void
test_hello_when_rendered_then_parsed_the_same(void)
{
	BnHello hello = { .nonce = { 1, 2 },
			  .version = 1,
			  .boot_id = "01234567-89ab-cdef-0123-456789abcdef",
			  .first_us = 5,
			  .hello_us = UINT64_MAX },
		got;
	uint8_t payload[BN_HELLO_SIZE];
	BnFrame frame = { .type = BN_FRAME_HELLO, .length = sizeof(payload), .payload = payload };

	bn_hello_render(&hello, payload);
	check(bn_hello_parse(&frame, &got));
	check_str(got.boot_id, hello.boot_id);
	check(memcmp(got.nonce, hello.nonce, sizeof(got.nonce)) == 0);
	check(got.hello_us == UINT64_MAX);
	frame.length--;
	check(!bn_hello_parse(&frame, &got));
	frame.length++;
	payload[20] = '\033';
	check(!bn_hello_parse(&frame, &got));
}

static void
test_request_when_rendered_then_parsed_the_same(void)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)"", NULL };
	char *environment[] = { (char *)"A=1", NULL };
	BnExecRequest request = { .tty = true,
				  .rows = 24,
				  .columns = 80,
				  .user = (char *)"me",
				  .workdir = (char *)"/",
				  .argv = argv,
				  .environment = environment },
		      got;
	uint8_t bytes[256];
	ssize_t n = bn_exec_request_render(&request, bytes, sizeof(bytes));

	check_int(n, bn_exec_request_render(&request, NULL, 0));
	check_int(bn_exec_request_parse(bytes, (size_t)n, &got), 0);
	check(got.tty && got.rows == 24 && got.columns == 80);
	check_str(got.argv[2], "");
	check(!got.argv[3]);
	check_str(got.environment[0], "A=1");
	bn_exec_request_done(&got);
	for (ssize_t i = 0; i < n; i++)
		check_int(bn_exec_request_parse(bytes, (size_t)i, &got), -EBADMSG);
	bytes[n] = 0;
	check_int(bn_exec_request_parse(bytes, (size_t)n + 1, &got), -EBADMSG);
}

/* One argument and one variable, of so many bytes together with their NULs. */
static BnExecRequest
make_request(size_t bytes, size_t variable)
{
	static char argument[BN_EXEC_BYTES_MAX + 2], environment[BN_EXEC_BYTES_MAX + 2];
	static char *argv[] = { argument, NULL }, *variables[] = { environment, NULL };

	memset(argument, 'a', sizeof(argument));
	memset(environment, 'e', sizeof(environment));
	argument[bytes - variable - 1] = '\0';
	environment[variable - 1] = '\0';
	return (BnExecRequest){
		.user = (char *)"", .workdir = (char *)"", .argv = argv, .environment = variables
	};
}

/* What bn_exec_request_render() would not. */
static size_t
pack_unchecked(const BnExecRequest *request, uint8_t *ret, size_t size)
{
	BnPack pack = { .data = ret, .size = size };

	bn_pack_put(&pack, (uint8_t[1 + 2 + 2 + 4 + 4]){}, 1 + 2 + 2 + 4 + 4);
	bn_pack_put_uint(&pack, 1, 2);
	bn_pack_put_string(&pack, request->argv[0]);
	bn_pack_put_uint(&pack, 1, 2);
	bn_pack_put_string(&pack, request->environment[0]);
	check(!pack.bad);
	return pack.at;
}

static void
test_request_when_bytes_are_around_the_bound_then_both_sides_agree(void)
{
	static uint8_t bytes[BN_FRAME_EXEC_MAX];
	const size_t max = BN_EXEC_BYTES_MAX, sizes[] = { max - 1, max, max + 1 };
	const size_t variables[] = { 1, max / 2, max - 2 };

	for (size_t i = 0; i < 9; i++) {
		int expected = sizes[i / 3] > max ? -E2BIG : 0;
		BnExecRequest request = make_request(sizes[i / 3], variables[i % 3]), got = {};
		ssize_t n = bn_exec_request_render(&request, bytes, sizeof(bytes));

		check_int(bn_exec_request_check(&request), expected);
		check_int(n < 0 ? n : 0, expected);
		if (n < 0)
			n = (ssize_t)pack_unchecked(&request, bytes, sizeof(bytes));
		check_int(bn_exec_request_parse(bytes, (size_t)n, &got), expected);
		bn_exec_request_done(&got);
	}
}

static void
test_request_when_strings_are_around_the_bound_then_both_sides_agree(void)
{
	static uint8_t bytes[BN_FRAME_EXEC_MAX];
	char *many[BN_EXEC_STRINGS_MAX + 2], *none[] = { NULL };

	for (size_t i = 0; i < 6; i++) {
		size_t n = BN_EXEC_STRINGS_MAX - 1 + i / 2;
		int expected = n > BN_EXEC_STRINGS_MAX ? -E2BIG : 0;
		BnExecRequest request = { .user = (char *)"",
					  .workdir = (char *)"",
					  .argv = i % 2 ? many : none,
					  .environment = i % 2 ? none : many },
			      got = {};
		ssize_t size;

		for (size_t j = 0; j < n; j++)
			many[j] = (char *)"";
		many[n] = NULL;
		size = bn_exec_request_render(&request, bytes, sizeof(bytes));
		check_int(bn_exec_request_check(&request), expected);
		check_int(size < 0 ? size : 0, expected);
		if (size > 0)
			check_int(bn_exec_request_parse(bytes, (size_t)size, &got), 0);
		bn_exec_request_done(&got);
	}
}

TEST_MAIN(TEST(test_frame_when_rendered_then_parsed_the_same),
	  TEST(test_frame_when_incomplete_then_more_is_wanted),
	  TEST(test_frame_when_zeros_come_first_then_skipped),
	  TEST(test_frame_when_damaged_then_refused),
	  TEST(test_frame_when_one_byte_too_long_then_refused),
	  TEST(test_pack_when_beyond_its_end_then_bad_for_good),
	  TEST(test_string_when_hostile_then_bad),
	  TEST(test_hello_when_rendered_then_parsed_the_same),
	  TEST(test_request_when_rendered_then_parsed_the_same),
	  TEST(test_request_when_bytes_are_around_the_bound_then_both_sides_agree),
	  TEST(test_request_when_strings_are_around_the_bound_then_both_sides_agree))
