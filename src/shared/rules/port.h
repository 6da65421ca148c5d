/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A port of the host that is passed on to a guest, and how people write it: [ADDRESS:]HOST:GUEST[/udp]. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Room for an IPv6 address, without a scope, and its NUL. */
#define BN_PORT_ADDRESS_SIZE 46
/* Room for "[ADDRESS]:HOST:GUEST/udp" and its NUL. */
#define BN_PORT_SIZE (BN_PORT_ADDRESS_SIZE + sizeof("[]:65535:65535/udp"))

typedef struct BnPort {
	char address
		[BN_PORT_ADDRESS_SIZE]; /* of the host, in the one form that inet_ntop(3) gives it */
	uint16_t host;
	uint16_t guest;
	bool udp;
} BnPort;

/* Without ADDRESS it is 127.0.0.1: nobody but this host. An IPv6 address stands in brackets. 0, or -EINVAL and
 * *ret_error what is wrong, a text that nobody frees. */
int bn_port_parse(const char *text, BnPort *ret, const char **ret_error);

/* Always whole: "127.0.0.1:8080:80/tcp". */
void bn_port_render(const BnPort *port, char ret[static BN_PORT_SIZE]);

/* The host's side alone: "127.0.0.1:8080/tcp". */
void bn_port_render_host(const BnPort *port, char ret[static BN_PORT_SIZE]);

/* Whether both take the same of the host. */
bool bn_port_is_same_host(const BnPort *a, const BnPort *b);
