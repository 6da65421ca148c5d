/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many calls, and with them descriptors, the helper holds: for one caller and for all.
 *
 * A connection to the bus ends where a descriptor that comes over it finds no room, and the helper with it. So
 * whatever callers do, the sum of what is held for them stays below what the process may have. */
#pragma once

#include <stdint.h>

#include "op-wire.h"
#include "shared/base/macro.h"
#include "shared/rules/limits.h"

/* RLIMIT_NOFILE: what the unit says, and what the process itself tries to have where it was started otherwise. */
#define BUDGET_DESCRIPTORS 65536

/* Calls of one user, waiting and running. */
#define BUDGET_CALLS_PER_USER 128
/* Calls of one connection whose user the bus has not told yet, which takes one round trip. */
#define BUDGET_ARRIVALS_PER_SENDER BUDGET_CALLS_PER_USER
/* What one of these holds at most: what it brought, what it is answered with, and what its worker opens meanwhile. */
#define BUDGET_CALL_DESCRIPTORS (OP_WIRE_FDS_MAX + 4 + 8)

/* Of all connections and all users. */
typedef struct Budget {
	unsigned arrivals;
	unsigned calls;
} Budget;

/* For a process that may have so many: a quarter is its own, and the message's that it reads just now. */
static inline Budget
budget_make(uint64_t descriptors)
{
	uint64_t n = BN_MIN(descriptors, (uint64_t)BUDGET_DESCRIPTORS);

	return (Budget){ .arrivals = (unsigned)(n / 4 / OP_WIRE_FDS_MAX),
			 .calls = (unsigned)(n / 2 / BUDGET_CALL_DESCRIPTORS) };
}
