/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/bus/refusal.h"

#include "service/base/error.h"

struct BangerRefusal {
	GDBusConnection *connection;
	guint filter;
	char *name, *message; /* of the error */
	GSourceFunc done;
	void *data;
};

/* Runs in the connection's own thread, and only reads. A filter, and no object: whatever is called, the answer is
 * the same. */
static GDBusMessage *
on_message(GDBusConnection *connection, GDBusMessage *message, gboolean incoming, gpointer data)
{
	g_autoptr(GDBusMessage) call = message;
	g_autoptr(GDBusMessage) answer = NULL;
	BangerRefusal *self = data;

	if (!incoming ||
	    g_dbus_message_get_message_type(message) != G_DBUS_MESSAGE_TYPE_METHOD_CALL)
		return g_steal_pointer(&call);
	answer = g_dbus_message_new_method_error_literal(call, self->name, self->message);
	if (!(g_dbus_message_get_flags(call) & G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED))
		(void)g_dbus_connection_send_message(connection, answer,
						     G_DBUS_SEND_MESSAGE_FLAGS_NONE,
						     /* ret_serial= */ NULL, /* error= */ NULL);
	(void)g_idle_add(self->done, self->data);
	return NULL;
}

static void
free_texts(gpointer data)
{
	BangerRefusal *self = data;

	g_free(self->name);
	g_free(self->message);
	g_free(self);
}

BangerRefusal *
banger_refusal_new(GDBusConnection *connection, const GError *why, GSourceFunc done, void *data)
{
	BangerRefusal *self = g_new0(BangerRefusal, 1);
	g_autoptr(GError) error = g_error_copy(why);

	banger_error_convert(error);
	self->connection = g_object_ref(connection);
	self->name = g_dbus_error_encode_gerror(error);
	self->message = g_strdup(error->message);
	self->done = done;
	self->data = data;
	/* Its thread may be in the filter still when that is removed. */
	self->filter = g_dbus_connection_add_filter(connection, on_message, self, free_texts);
	return self;
}

void
banger_refusal_free(BangerRefusal *self)
{
	g_autoptr(GDBusConnection) connection = self->connection;

	g_dbus_connection_remove_filter(connection, self->filter);
}
