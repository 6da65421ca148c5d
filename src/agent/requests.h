/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host asks of the guest besides running commands. */
#pragma once

#include <stdint.h>

#define AGENT_STATUS_SIZE (5 * 8 + 2 * 4)

/* The payload of STATUS, see shared/rules/frame.h. What cannot be found out is 0. */
void agent_get_status(uint8_t ret[static AGENT_STATUS_SIZE]);

void agent_set_clock(uint64_t realtime_ns);
