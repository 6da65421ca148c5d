/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "shared/rules/port.h"
#include "test.h"

static const struct {
	const char *text, *whole; /* NULL: refused */
	const char *why;          /* a word of it */
} rows[] = {
	{ "8080:80", "127.0.0.1:8080:80/tcp", NULL },
	{ "8080:80/tcp", "127.0.0.1:8080:80/tcp", NULL },
	{ "53:5353/udp", "127.0.0.1:53:5353/udp", NULL },
	{ "1:65535", "127.0.0.1:1:65535/tcp", NULL },
	{ "0.0.0.0:8080:80", "0.0.0.0:8080:80/tcp", NULL },
	{ "[::1]:8080:80", "[::1]:8080:80/tcp", NULL },
	{ "[0:0::0:1]:8080:80/udp", "[::1]:8080:80/udp", NULL },
	{ "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535:65535/udp",
	  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535:65535/udp", NULL },
	{ "", NULL, "HOST:GUEST" },
	{ "80", NULL, "HOST:GUEST" },
	{ ":80", NULL, "numbers" },
	{ "80:", NULL, "numbers" },
	{ "8080:80:", NULL, "ADDRESS" },
	{ "0:80", NULL, "numbers" },
	{ "80:0", NULL, "numbers" },
	{ "65536:80", NULL, "numbers" },
	{ "80:65536", NULL, "numbers" },
	{ "-1:80", NULL, "numbers" },
	{ "+1:80", NULL, "numbers" },
	{ " 1:80", NULL, "numbers" },
	{ "0x50:80", NULL, "numbers" },
	{ "8080:http", NULL, "numbers" },
	{ "8080:80/", NULL, "tcp or udp" },
	{ "8080:80/sctp", NULL, "tcp or udp" },
	{ "8080:80/TCP", NULL, "tcp or udp" },
	{ ":8080:80", NULL, "ADDRESS" },
	{ "localhost:8080:80", NULL, "ADDRESS" },
	{ "1.2.3:8080:80", NULL, "ADDRESS" },
	{ "::1:8080:80", NULL, "ADDRESS" },
	{ "[::1:8080:80", NULL, "ADDRESS" },
	{ "[]:8080:80", NULL, "ADDRESS" },
	{ "[1.2.3.4]:8080:80", NULL, "ADDRESS" },
	{ "[fe80::1%eth0]:8080:80", NULL, "ADDRESS" },
	{ "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535:65535/udpxxxxxxxxxx", NULL,
	  "HOST:GUEST" },
};

static void
test_parse_when_any_text_then_whole_or_why_not(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char text[BN_PORT_SIZE] = "";
		const char *why = NULL;
		BnPort port;
		int r = bn_port_parse(rows[i].text, &port, &why);

		check_int(r, rows[i].whole ? 0 : -EINVAL);
		if (rows[i].whole) {
			bn_port_render(&port, text);
			check_str(text, rows[i].whole);
		} else if (!strstr(why, rows[i].why)) {
			check_str(why, rows[i].why);
		}
	}
}

static void
test_host_when_compared_then_the_guest_does_not_count(void)
{
	char text[BN_PORT_SIZE];
	const char *why;
	BnPort a, b;

	check_int(bn_port_parse("[::1]:80:1/udp", &a, &why), 0);
	check_int(bn_port_parse("[::1]:80:2/udp", &b, &why), 0);
	check(bn_port_is_same_host(&a, &b));
	b.udp = false;
	check(!bn_port_is_same_host(&a, &b));
	bn_port_render_host(&a, text);
	check_str(text, "[::1]:80/udp");
}

TEST_MAIN(TEST(test_parse_when_any_text_then_whole_or_why_not),
	  TEST(test_host_when_compared_then_the_guest_does_not_count))
