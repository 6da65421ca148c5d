/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One line per call, of one shape whatever became of it. */
#pragma once

#include <stdint.h>

#include "helper/op.h"

/* bn_clock_us(); 0 for a stage that was not reached. */
typedef struct AuditStamps {
	uint64_t received;
	uint64_t authorized;
	uint64_t claimed;
	uint64_t ran;
} AuditStamps;

/* op=… method=… uid=… vm=… result=… us=… received_us=… authorized_us=… claimed_us=… ran_us=… */
void audit_call(const OpCall *call, const AuditStamps *stamps);
