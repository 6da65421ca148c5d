/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.freedesktop.login1(5): PrepareForShutdown and PrepareForSleep, a "delay" inhibitor, and Linger of our user;
 * org.freedesktop.systemd1(5): SystemState of the user's manager. */
#include "service/adapters/session-logind.h"

#include <gio/gunixfdlist.h>
#include <stdint.h>
#include <unistd.h>

#include "service/adapters/system-bus.h"
#include "shared/base/cleanup.h"

#define LOGIN1         "org.freedesktop.login1"
#define LOGIN1_PATH    "/org/freedesktop/login1"
#define LOGIN1_MANAGER LOGIN1 ".Manager"
#define SYSTEMD1       "org.freedesktop.systemd1"
#define SYSTEMD1_PATH  "/org/freedesktop/systemd1"
#define PROPERTIES     "org.freedesktop.DBus.Properties"

struct _BangerSessionLogind {
	GObject parent;

	GDBusConnection *session_bus;
	GDBusConnection *system_bus; /* NULL: nobody was asked yet, or it has gone */
	bool connecting;
	GCancellable *gone;
	guint shutdown, sleep; /* subscriptions, of the system bus */
	unsigned live;         /* VMs: an inhibitor is wanted while there are any */
	int inhibitor;
	bool is_managed; /* by the user's own systemd, which ends with the last session */
	bool lingers;
};

static void banger_session_logind_iface_init(BangerSessionInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE(BangerSessionLogind, banger_session_logind, G_TYPE_OBJECT,
			      G_IMPLEMENT_INTERFACE(BANGER_TYPE_SESSION,
						    banger_session_logind_iface_init))

static void
drop_system_bus(BangerSessionLogind *self)
{
	if (!self->system_bus)
		return;
	g_signal_handlers_disconnect_by_data(self->system_bus, self);
	g_dbus_connection_signal_unsubscribe(self->system_bus, self->shutdown);
	g_dbus_connection_signal_unsubscribe(self->system_bus, self->sleep);
	g_clear_object(&self->system_bus);
}

static void
banger_session_logind_dispose(GObject *object)
{
	BangerSessionLogind *self = BANGER_SESSION_LOGIND(object);

	g_cancellable_cancel(self->gone);
	drop_system_bus(self);
	g_clear_object(&self->session_bus);
	bn_closep(&self->inhibitor);
	G_OBJECT_CLASS(banger_session_logind_parent_class)->dispose(object);
}

static void
banger_session_logind_finalize(GObject *object)
{
	g_object_unref(BANGER_SESSION_LOGIND(object)->gone);
	G_OBJECT_CLASS(banger_session_logind_parent_class)->finalize(object);
}

static void
banger_session_logind_class_init(BangerSessionLogindClass *klass)
{
	G_OBJECT_CLASS(klass)->dispose = banger_session_logind_dispose;
	G_OBJECT_CLASS(klass)->finalize = banger_session_logind_finalize;
}

static void
banger_session_logind_init(BangerSessionLogind *self)
{
	self->gone = g_cancellable_new();
	self->inhibitor = -1;
}

static void
on_prepare(GDBusConnection *bus, const char *sender, const char *path, const char *interface,
	   const char *signal, GVariant *parameters, gpointer data)
{
	BangerSessionLogind *self = data;
	gboolean begins;

	if (!g_variant_is_of_type(parameters, G_VARIANT_TYPE("(b)")))
		return;
	g_variant_get(parameters, "(b)", &begins);
	if (g_str_equal(signal, "PrepareForShutdown") && begins)
		g_signal_emit_by_name(self, "shutdown");
	else if (g_str_equal(signal, "PrepareForSleep") && !begins)
		g_signal_emit_by_name(self, "resumed");
}

static guint
subscribe(BangerSessionLogind *self, const char *signal)
{
	return g_dbus_connection_signal_subscribe(self->system_bus, LOGIN1, LOGIN1_MANAGER, signal,
						  LOGIN1_PATH, /* arg0= */ NULL,
						  G_DBUS_SIGNAL_FLAGS_NONE, on_prepare, self,
						  /* free= */ NULL);
}

/* Never starts anybody: who is not there says nothing. */
static void
call(BangerSessionLogind *self, GDBusConnection *bus, const char *name, const char *path,
     const char *interface, const char *method, GVariant *arguments, const char *reply,
     GAsyncReadyCallback callback, void *data)
{
	g_dbus_connection_call_with_unix_fd_list(bus, name, path, interface, method, arguments,
						 G_VARIANT_TYPE(reply),
						 G_DBUS_CALL_FLAGS_NO_AUTO_START, /* timeout= */ -1,
						 /* fds= */ NULL, self->gone, callback, data);
}

static GVariant *
finish_call(GObject *bus, GAsyncResult *result, GUnixFDList **ret_fds)
{
	return g_dbus_connection_call_with_unix_fd_list_finish(G_DBUS_CONNECTION(bus), ret_fds,
							       result, /* error= */ NULL);
}

/* What a property is, as a boolean or a string; NULL where nobody said. */
static GVariant *
finish_property(GObject *bus, GAsyncResult *result, const GVariantType *type)
{
	g_autoptr(GVariant) reply = finish_call(bus, result, /* fds= */ NULL);
	g_autoptr(GVariant) value = NULL;

	if (!reply)
		return NULL;
	g_variant_get(reply, "(v)", &value);
	return g_variant_is_of_type(value, type) ? g_steal_pointer(&value) : NULL;
}

static void
get_property(BangerSessionLogind *self, GDBusConnection *bus, const char *name, const char *path,
	     const char *interface, const char *property, GAsyncReadyCallback callback, void *data)
{
	call(self, bus, name, path, PROPERTIES, "Get", g_variant_new("(ss)", interface, property),
	     "(v)", callback, data);
}

static void
set_fact(BangerSessionLogind *self, bool *fact, bool value)
{
	if (*fact == value)
		return;
	*fact = value;
	g_signal_emit_by_name(self, "changed");
}

static void
on_linger(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(BangerSessionLogind) self = data;
	g_autoptr(GVariant) value = finish_property(source, result, G_VARIANT_TYPE_BOOLEAN);

	if (value)
		set_fact(self, &self->lingers, g_variant_get_boolean(value));
}

static void
on_user(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(BangerSessionLogind) self = data;
	g_autoptr(GVariant) reply = finish_call(source, result, /* fds= */ NULL);
	const char *path;

	if (!reply)
		return;
	g_variant_get(reply, "(&o)", &path);
	get_property(self, G_DBUS_CONNECTION(source), LOGIN1, path, LOGIN1 ".User", "Linger",
		     on_linger, g_object_ref(self));
}

static void
on_managed(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(BangerSessionLogind) self = data;
	g_autoptr(GVariant) value = finish_property(source, result, G_VARIANT_TYPE_STRING);

	set_fact(self, &self->is_managed, value != NULL);
}

static void
on_inhibited(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(BangerSessionLogind) self = data;
	g_autoptr(GUnixFDList) fds = NULL;
	g_autoptr(GVariant) reply = finish_call(source, result, &fds);
	int fd = -1;

	if (reply && fds && g_unix_fd_list_get_length(fds) == 1)
		fd = g_unix_fd_list_get(fds, 0, /* error= */ NULL);
	if (self->live > 0 && self->inhibitor < 0)
		self->inhibitor = BN_TAKE_FD(fd);
	bn_closep(&fd);
}

/* Asked anew whenever something begins to run: nobody tells that a user began or ceased to linger. */
static void
look(BangerSessionLogind *self)
{
	call(self, self->system_bus, LOGIN1, LOGIN1_PATH, LOGIN1_MANAGER, "GetUser",
	     g_variant_new("(u)", (uint32_t)getuid()), "(o)", on_user, g_object_ref(self));
	get_property(self, self->session_bus, SYSTEMD1, SYSTEMD1_PATH, SYSTEMD1 ".Manager",
		     "SystemState", on_managed, g_object_ref(self));
}

static void
inhibit(BangerSessionLogind *self)
{
	call(self, self->system_bus, LOGIN1, LOGIN1_PATH, LOGIN1_MANAGER, "Inhibit",
	     g_variant_new("(ssss)", "shutdown", "banger", "Virtual machines are stopped first",
			   "delay"),
	     "(h)", on_inhibited, g_object_ref(self));
}

static void connect_bus(BangerSessionLogind *self);

/* What was told it went with it. */
static void
on_bus_closed(GDBusConnection *bus, gboolean vanished, GError *error, BangerSessionLogind *self)
{
	drop_system_bus(self);
	bn_closep(&self->inhibitor);
	if (self->live > 0)
		connect_bus(self);
}

static void
on_connected(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(BangerSessionLogind) self = data;
	g_autoptr(GDBusConnection) bus =
		g_dbus_connection_new_for_address_finish(result, /* error= */ NULL);

	self->connecting = false;
	if (!bus || g_cancellable_is_cancelled(self->gone))
		return;
	self->system_bus = g_steal_pointer(&bus);
	self->shutdown = subscribe(self, "PrepareForShutdown");
	self->sleep = subscribe(self, "PrepareForSleep");
	g_signal_connect_object(self->system_bus, "closed", G_CALLBACK(on_bus_closed), self, 0);
	if (self->live == 0)
		return;
	look(self);
	inhibit(self);
}

/* Where nobody listens the next VM tries again. */
static void
connect_bus(BangerSessionLogind *self)
{
	g_autoptr(BangerSessionLogind) pending = g_object_ref(self);

	if (self->connecting || !banger_system_bus_begin(self->gone, on_connected, pending))
		return;
	self->connecting = true;
	g_steal_pointer(&pending);
}

static void
hold(BangerSession *session, unsigned live)
{
	BangerSessionLogind *self = BANGER_SESSION_LOGIND(session);
	unsigned before = self->live;

	self->live = live;
	if (live == 0)
		bn_closep(&self->inhibitor);
	if (live > before && !self->system_bus) {
		connect_bus(self);
	} else if (live > before) {
		look(self);
		if (before == 0)
			inhibit(self);
	}
}

static bool
ends_processes(BangerSession *session)
{
	BangerSessionLogind *self = BANGER_SESSION_LOGIND(session);

	return self->is_managed && !self->lingers;
}

static void
on_state(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	g_autoptr(GVariant) value = finish_property(source, result, G_VARIANT_TYPE_STRING);

	g_task_return_boolean(task,
			      value && g_str_equal(g_variant_get_string(value, NULL), "stopping"));
}

static void
is_ending(BangerSession *session, GAsyncReadyCallback callback, void *data)
{
	BangerSessionLogind *self = BANGER_SESSION_LOGIND(session);
	GTask *task = g_task_new(self, /* cancellable= */ NULL, callback, data);

	get_property(self, self->session_bus, SYSTEMD1, SYSTEMD1_PATH, SYSTEMD1 ".Manager",
		     "SystemState", on_state, task);
}

static bool
is_ending_finish(BangerSession *session, GAsyncResult *result)
{
	return g_task_propagate_boolean(G_TASK(result), /* error= */ NULL);
}

static void
banger_session_logind_iface_init(BangerSessionInterface *iface)
{
	iface->hold = hold;
	iface->ends_processes = ends_processes;
	iface->is_ending = is_ending;
	iface->is_ending_finish = is_ending_finish;
}

BangerSession *
banger_session_logind_new(GDBusConnection *session_bus)
{
	BangerSessionLogind *self = g_object_new(BANGER_TYPE_SESSION_LOGIND, NULL);

	self->session_bus = g_object_ref(session_bus);
	return BANGER_SESSION(self);
}
