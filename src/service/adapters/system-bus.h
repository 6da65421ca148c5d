/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection to the system bus that outlives the bus: an update may restart it. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

/* Makes `*bus`, which may be NULL, a connection that is open, where the bus can be reached; else NULL with an error. A
 * connection of the caller's own, not the process's. Of a local socket only the bus itself can make us wait, and then
 * everybody else waits too. */
bool banger_system_bus_ensure(GDBusConnection **bus, GError **error);
