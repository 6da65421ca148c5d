/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/system-bus.h"

#define FLAGS                                                                                      \
	(G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |                                           \
	 G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION)

bool
banger_system_bus_ensure(GDBusConnection **bus, GError **error)
{
	g_autofree char *address = NULL;

	if (*bus && !g_dbus_connection_is_closed(*bus))
		return true;
	g_clear_object(bus);
	address =
		g_dbus_address_get_for_bus_sync(G_BUS_TYPE_SYSTEM, /* cancellable= */ NULL, error);
	if (!address)
		return false;
	*bus = g_dbus_connection_new_for_address_sync(address, FLAGS, /* observer= */ NULL,
						      /* cancellable= */ NULL, error);
	return *bus != NULL;
}

bool
banger_system_bus_begin(GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	g_autofree char *address = g_dbus_address_get_for_bus_sync(
		G_BUS_TYPE_SYSTEM, /* cancellable= */ NULL, /* error= */ NULL);

	if (address)
		g_dbus_connection_new_for_address(address, FLAGS, /* observer= */ NULL, cancellable,
						  callback, data);
	return address != NULL;
}
