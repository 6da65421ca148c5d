/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How what stands in the VMM's place behaves as bangerd meets it: manners by name, one for each VM of that name. */
#pragma once

#include <stdbool.h>

#include "hostile.h"
#include "shared/rules/frame.h"

/* What a terminal would obey: its title, clearing, a colour by a byte that is no UTF-8. */
#define ESCAPES                                                                                    \
	"\033]0;owned\a\033[2J\x9b"                                                                \
	"31m"
/* Blocks of a flood, and bytes of each. */
#define MUCH  512
#define BLOCK 65536

/* When something else is done than a good one would do. */
typedef enum Point {
	AT_START,   /* before anybody is let in */
	AT_CONTROL, /* instead of QEMU's greeting */
	AT_HELLO,   /* instead of the agent's */
	AT_COMMAND,
	AT_SHUTDOWN,
} Point;

/* `act` is told the request's stream, and returns true where it goes on as a good one would. */
typedef struct Manner {
	const char *name;
	Point point;
	bool (*act)(uint16_t stream);
} Manner;

/* Each ends with one without a name. */
extern const Manner control_manners[], guest_manners[];
/* How often somebody was let in. */
extern unsigned sessions;

void send_all(int sock, const void *data, size_t size);
void send_text(int sock, const char *text);
void send_frame(BnFrameType type, uint16_t stream, const void *payload, size_t size);
/* A line on the console, which is what a test waits for. */
void tell(const char *text);
/* For as long as somebody takes it; tells when that was much, or what stopped it. */
void flood(int sock, const char *text, size_t size);
/* The answer to RESET, or its first `size` bytes; `other`: changes the nonce. */
void greet(uint16_t version, uint8_t other, size_t size);
/* A command that succeeds. */
void serve(uint16_t stream);
