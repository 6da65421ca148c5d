/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/rules/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/str-util.h"

static const char bad_form[] = "must be [ADDRESS:]HOST:GUEST, with /udp behind it for UDP";
static const char bad_address[] =
	"ADDRESS must be one of IPv4, or one of IPv6 in brackets; 0.0.0.0 is all of this host's";
static const char bad_number[] = "HOST and GUEST must be port numbers, 1 to 65535";

static int
fail(const char *text, const char **ret_error)
{
	*ret_error = text;
	return -EINVAL;
}

static bool
parse_number(const char *text, uint16_t *ret)
{
	uint64_t number;

	if (bn_str_parse_u64(text, UINT16_MAX, &number) < 0 || number == 0)
		return false;
	*ret = (uint16_t)number;
	return true;
}

/* "1.2.3.4" or "[::1]"; of several ways to write one address one is kept. */
static bool
parse_address(char *text, char ret[static BN_PORT_ADDRESS_SIZE])
{
	size_t length = strlen(text);
	uint8_t binary[sizeof(struct in6_addr)];
	bool v6 = length > 2 && text[0] == '[' && text[length - 1] == ']';

	if (v6) {
		text[length - 1] = '\0';
		text++;
	}
	return inet_pton(v6 ? AF_INET6 : AF_INET, text, binary) == 1 &&
	       inet_ntop(v6 ? AF_INET6 : AF_INET, binary, ret, BN_PORT_ADDRESS_SIZE);
}

/* Cuts off what stands behind the last `separator`; NULL where there is none. */
static char *
cut_last(char *text, char separator)
{
	char *at = strrchr(text, separator);

	if (!at)
		return NULL;
	*at = '\0';
	return at + 1;
}

int
bn_port_parse(const char *text, BnPort *ret, const char **ret_error)
{
	BnPort port = { .address = "127.0.0.1" };
	char copy[BN_PORT_SIZE];
	char *protocol, *guest, *host;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return fail(bad_form, ret_error);
	protocol = cut_last(copy, '/');
	port.udp = protocol && strcmp(protocol, "udp") == 0;
	if (protocol && !port.udp && strcmp(protocol, "tcp") != 0)
		return fail("behind / must be tcp or udp", ret_error);
	guest = cut_last(copy, ':');
	if (!guest)
		return fail(bad_form, ret_error);
	host = cut_last(copy, ':');
	if (host && !parse_address(copy, port.address))
		return fail(bad_address, ret_error);
	if (!parse_number(host ? host : copy, &port.host) || !parse_number(guest, &port.guest))
		return fail(bad_number, ret_error);
	*ret = port;
	return 0;
}

static const char *
protocol_of(const BnPort *port)
{
	return port->udp ? "udp" : "tcp";
}

static bool
is_v6(const BnPort *port)
{
	return strchr(port->address, ':');
}

void
bn_port_render(const BnPort *port, char ret[static BN_PORT_SIZE])
{
	(void)snprintf(ret, BN_PORT_SIZE, is_v6(port) ? "[%s]:%u:%u/%s" : "%s:%u:%u/%s",
		       port->address, port->host, port->guest, protocol_of(port));
}

void
bn_port_render_host(const BnPort *port, char ret[static BN_PORT_SIZE])
{
	(void)snprintf(ret, BN_PORT_SIZE, is_v6(port) ? "[%s]:%u/%s" : "%s:%u/%s", port->address,
		       port->host, protocol_of(port));
}

bool
bn_port_is_same_host(const BnPort *a, const BnPort *b)
{
	return a->host == b->host && a->udp == b->udp && strcmp(a->address, b->address) == 0;
}
