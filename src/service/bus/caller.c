/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/bus/caller.h"

typedef struct Watch {
	BangerBus *bus;
	guint id;
	GCancellable *gone;
} Watch;

static void
watch_free(Watch *watch)
{
	g_bus_unwatch_name(watch->id);
	g_object_unref(watch->gone);
	g_free(watch);
}

GHashTable *
banger_caller_table_new(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)watch_free);
}

static void
on_vanished(GDBusConnection *connection, const char *name, gpointer data)
{
	Watch *watch = data;
	g_autoptr(GCancellable) gone = g_object_ref(watch->gone);

	/* A unique name never comes back. */
	(void)g_hash_table_remove(watch->bus->watches, name);
	g_cancellable_cancel(gone);
}

GCancellable *
banger_caller_watch(BangerBus *bus, GDBusMethodInvocation *invocation)
{
	const char *sender = g_dbus_method_invocation_get_sender(invocation);
	Watch *watch = g_hash_table_lookup(bus->watches, sender);

	if (!watch) {
		watch = g_new0(Watch, 1);
		watch->bus = bus;
		watch->gone = g_cancellable_new();
		watch->id = g_bus_watch_name_on_connection(
			bus->connection, sender, G_BUS_NAME_WATCHER_FLAGS_NONE,
			/* appeared= */ NULL, on_vanished, watch, /* free= */ NULL);
		g_hash_table_insert(bus->watches, g_strdup(sender), watch);
	}
	return g_object_ref(watch->gone);
}
