/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection to the system bus that outlives the bus: an update may restart it. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

/* Makes `*bus`, which may be NULL, a connection that is open, where the bus can be reached; else NULL with an error. A
 * connection of the caller's own, not the process's. Of a local socket only the bus itself can make us wait, and then
 * everybody else waits too. */
bool banger_system_bus_ensure(GDBusConnection **bus, GError **error);

/* A new one, without waiting for whoever has the socket; g_dbus_connection_new_for_address_finish() has it. False where
 * nobody knows its address: the callback is not called then. */
bool banger_system_bus_begin(GCancellable *cancellable, GAsyncReadyCallback callback, void *data);
