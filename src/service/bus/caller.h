/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clients that something depends on: what happens when one leaves the bus. */
#pragma once

#include "service/bus/bus.h"

GHashTable *banger_caller_table_new(void);

/* Cancelled when the client that sent this call leaves the bus. One watch serves all of a client's calls.
 * A reference of the caller's. */
GCancellable *banger_caller_watch(BangerBus *bus, GDBusMethodInvocation *invocation);
