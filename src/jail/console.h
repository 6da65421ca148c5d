/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's console: kept while nobody reads it, up to a bound, and handed to one reader at a
 * time. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "shared/rules/limits.h"

enum { CONSOLE_POLL_SERIAL, CONSOLE_POLL_ERROR, CONSOLE_POLL_READER, _CONSOLE_POLL_MAX };

typedef struct Console {
	int serial; /* connection to the VMM's console socket */
	int error;  /* the VMM's standard output and error */
	int reader; /* our end of what was handed out; all three non-blocking, or -1 */
	size_t start, used;
	size_t n_input;
	char input[1024]; /* from the reader, not yet taken by the VMM */
	char ring[BN_CONSOLE_RING];
} Console;

/* Fills `ret` with what to wait for; -1 stands where there is nothing. */
void console_prepare(const Console *c, struct pollfd ret[static _CONSOLE_POLL_MAX]);

/* Moves what can be moved. True where the reader has gone: its end is closed then. */
bool console_move(Console *c, const struct pollfd polled[static _CONSOLE_POLL_MAX]);

/* Makes a new reader's descriptor; the one before is ended. Non-negative descriptor or negative
 * errno. */
int console_open(Console *c);

/* After the VMM's end: takes what it still left behind and gives the reader what it will take. */
void console_drain(Console *c);
