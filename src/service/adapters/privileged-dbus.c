/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/privileged-dbus.h"

#include "helper-calls.h"
#include "service/adapters/system-bus.h"
#include "service/base/error.h"
#include "shared/rules/ipv4.h"

#define POLKIT_NAME      "org.freedesktop.PolicyKit1"
#define POLKIT_PATH      "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"

struct _BangerPrivilegedDBus {
	GObject parent;

	GDBusConnection *bus; /* NULL before the first call */
	bool may_ask;
};

static void banger_privileged_dbus_iface_init(BangerPrivilegedInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE(BangerPrivilegedDBus, banger_privileged_dbus, G_TYPE_OBJECT,
			      G_IMPLEMENT_INTERFACE(BANGER_TYPE_PRIVILEGED,
						    banger_privileged_dbus_iface_init))

static void
banger_privileged_dbus_finalize(GObject *object)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(object);

	g_clear_object(&self->bus);
	G_OBJECT_CLASS(banger_privileged_dbus_parent_class)->finalize(object);
}

static void
banger_privileged_dbus_class_init(BangerPrivilegedDBusClass *klass)
{
	G_OBJECT_CLASS(klass)->finalize = banger_privileged_dbus_finalize;
}

static void
banger_privileged_dbus_init(BangerPrivilegedDBus *self)
{
}

BangerPrivileged *
banger_privileged_dbus_new(bool may_ask)
{
	BangerPrivilegedDBus *self = g_object_new(BANGER_TYPE_PRIVILEGED_DBUS, NULL);

	self->may_ask = may_ask;
	return BANGER_PRIVILEGED(self);
}

/* What the bus says in the helper's place, in the words of a user's situation. */
static bool
convert(GError **error)
{
	static const char unreachable[] = "banger-helper does not answer: ";
	static const struct {
		GDBusError from;
		BangerError to;
		const char *prefix;
	} errors[] = {
		{ G_DBUS_ERROR_SERVICE_UNKNOWN, BANGER_ERROR_HELPER_UNAVAILABLE, unreachable },
		{ G_DBUS_ERROR_NAME_HAS_NO_OWNER, BANGER_ERROR_HELPER_UNAVAILABLE, unreachable },
		{ G_DBUS_ERROR_SPAWN_EXEC_FAILED, BANGER_ERROR_HELPER_UNAVAILABLE, unreachable },
		{ G_DBUS_ERROR_SPAWN_CHILD_EXITED, BANGER_ERROR_HELPER_UNAVAILABLE, unreachable },
		{ G_DBUS_ERROR_SPAWN_CHILD_SIGNALED, BANGER_ERROR_HELPER_UNAVAILABLE, unreachable },
		{ G_DBUS_ERROR_SPAWN_FAILED, BANGER_ERROR_HELPER_UNAVAILABLE, unreachable },
		{ G_DBUS_ERROR_SPAWN_SERVICE_INVALID, BANGER_ERROR_HELPER_UNAVAILABLE,
		  unreachable },
		{ G_DBUS_ERROR_SPAWN_PERMISSIONS_INVALID, BANGER_ERROR_HELPER_UNAVAILABLE,
		  unreachable },
		/* The bus waited for it to start; no call of ours has a limit of its own. */
		{ G_DBUS_ERROR_TIMED_OUT, BANGER_ERROR_HELPER_UNAVAILABLE, unreachable },
		/* It was there, and may have done what it was asked for. */
		{ G_DBUS_ERROR_NO_REPLY, BANGER_ERROR_ABORTED, "banger-helper ended meanwhile: " },
		{ G_DBUS_ERROR_DISCONNECTED, BANGER_ERROR_ABORTED, "the system bus ended: " },
		{ G_DBUS_ERROR_ACCESS_DENIED, BANGER_ERROR_NOT_AUTHORIZED,
		  "the system bus's policy: " },
	};
	bool closed;

	if (!error || !*error)
		return false;
	/* The same, seen at our end of the connection. */
	closed = g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_CLOSED);
	for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
		g_autoptr(GError) of_bus = NULL;

		if (!g_error_matches(*error, G_DBUS_ERROR, (int)errors[i].from) &&
		    !(closed && errors[i].from == G_DBUS_ERROR_DISCONNECTED))
			continue;
		of_bus = g_steal_pointer(error);
		(void)g_dbus_error_strip_remote_error(of_bus);
		g_set_error(error, BANGER_ERROR, (int)errors[i].to, "%s%s", errors[i].prefix,
			    of_bus->message);
		return false;
	}
	banger_error_convert(*error);
	return false;
}

/* The task of one call, or NULL after it has failed for want of a bus. */
static GTask *
begin(BangerPrivileged *port, GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	GTask *task = g_task_new(port, cancellable, callback, data);
	g_autoptr(GError) error = NULL;

	if (banger_system_bus_ensure(&BANGER_PRIVILEGED_DBUS(port)->bus, &error))
		return task;
	g_task_return_new_error(task, BANGER_ERROR, BANGER_ERROR_HELPER_UNAVAILABLE,
				"there is no system bus: %s", error->message);
	g_object_unref(task);
	return NULL;
}

/* Every call's answer is kept as it came; the port's own finish function reads it. */
static void
on_answer(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;

	g_task_return_pointer(task, g_object_ref(result), g_object_unref);
}

static GAsyncResult *
take_answer(GAsyncResult *result, GError **error)
{
	return g_task_propagate_pointer(G_TASK(result), error);
}

/* Over which an answer came: perhaps not the present one. It lives as long as the answer. */
static GDBusConnection *
bus_of(GAsyncResult *answer)
{
	g_autoptr(GObject) source = g_async_result_get_source_object(answer);

	return G_DBUS_CONNECTION(source);
}

static void
probe_kvm(BangerPrivileged *port, GCancellable *cancellable, GAsyncReadyCallback callback,
	  void *data)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(port);
	GTask *task = begin(port, cancellable, callback, data);

	if (task)
		banger_helper_call_probe_kvm(self->bus, self->may_ask, cancellable, on_answer,
					     task);
}

static bool
probe_kvm_finish(BangerPrivileged *port, GAsyncResult *result, bool *ret_usable, char **ret_reason,
		 GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);

	return answer && (banger_helper_call_probe_kvm_finish(bus_of(answer), answer, ret_usable,
							      ret_reason, error) ||
			  convert(error));
}

static void
ensure_bridge(BangerPrivileged *port, const char *operation, GAsyncReadyCallback callback,
	      void *data)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(port);
	GTask *task = begin(port, /* cancellable= */ NULL, callback, data);

	if (task)
		banger_helper_call_ensure_bridge(self->bus, self->may_ask, operation,
						 /* cancellable= */ NULL, on_answer, task);
}

/* The helper is trusted, and what it says is read all the same. */
static bool
read_address(const char *text, uint32_t *ret, GError **error)
{
	if (bn_ipv4_parse(text, ret) >= 0)
		return true;
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_FAILED,
		    "banger-helper answered with an address that is none");
	return false;
}

static void
take_sockets(GUnixFDList *list, int ret[static 2])
{
	g_autofree int *fds = NULL;
	int n = 0;

	if (g_unix_fd_list_get_length(list) != 2)
		return;
	fds = g_unix_fd_list_steal_fds(list, &n);
	ret[0] = fds[0];
	ret[1] = fds[1];
}

static bool
ensure_bridge_finish(BangerPrivileged *port, GAsyncResult *result, BangerBridge *ret,
		     GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);
	g_auto(BangerBridge) bridge = BANGER_BRIDGE_INIT;
	g_autoptr(GUnixFDList) dns = NULL;
	g_autofree char *address = NULL;
	uint32_t length = 0;

	if (!answer)
		return false;
	if (!banger_helper_call_ensure_bridge_finish(bus_of(answer), answer, &bridge.interface,
						     &address, &length, &dns, &bridge.note, error))
		return convert(error);
	if (!read_address(address, &bridge.address, error))
		return false;
	bridge.length = (uint8_t)MIN(length, 32);
	take_sockets(dns, bridge.dns);
	*ret = bridge;
	bridge = (BangerBridge)BANGER_BRIDGE_INIT;
	return true;
}

static void
remove_bridge(BangerPrivileged *port, GAsyncReadyCallback callback, void *data)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(port);
	GTask *task = begin(port, /* cancellable= */ NULL, callback, data);

	/* Of nobody's doing: nobody is asked. */
	if (task)
		banger_helper_call_remove_bridge(self->bus, /* may_ask= */ false,
						 /* operation= */ "", /* cancellable= */ NULL,
						 on_answer, task);
}

static bool
remove_bridge_finish(BangerPrivileged *port, GAsyncResult *result, GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);

	return answer && (banger_helper_call_remove_bridge_finish(bus_of(answer), answer, error) ||
			  convert(error));
}

static void
create_tap(BangerPrivileged *port, const char *vm, const char *operation, uint32_t host, bool peer,
	   GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(port);
	GTask *task = begin(port, cancellable, callback, data);

	if (task)
		banger_helper_call_create_tap(self->bus, self->may_ask, vm, operation, host, peer,
					      cancellable, on_answer, task);
}

static bool
create_tap_finish(BangerPrivileged *port, GAsyncResult *result, BangerTap *ret, GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);
	g_auto(BangerTap) tap = BANGER_TAP_INIT;
	g_autofree char *address = NULL;

	if (!answer)
		return false;
	/* The hardware address goes with the other, and the helper makes it so in the VMM too. */
	if (!banger_helper_call_create_tap_finish(bus_of(answer), answer, &tap.fd, &address,
						  /* ret_mac= */ NULL, &tap.mtu, error))
		return convert(error);
	if (!read_address(address, &tap.address, error))
		return false;
	*ret = tap;
	tap.fd = -1;
	return true;
}

static void
delete_tap(BangerPrivileged *port, const char *vm, const char *operation,
	   GAsyncReadyCallback callback, void *data)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(port);
	GTask *task = begin(port, /* cancellable= */ NULL, callback, data);

	if (task)
		banger_helper_call_delete_tap(self->bus, self->may_ask, vm, operation,
					      /* cancellable= */ NULL, on_answer, task);
}

static bool
delete_tap_finish(BangerPrivileged *port, GAsyncResult *result, GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);

	return answer && (banger_helper_call_delete_tap_finish(bus_of(answer), answer, error) ||
			  convert(error));
}

static void
set_peer(BangerPrivileged *port, const char *vm, const char *operation, bool peer,
	 GAsyncReadyCallback callback, void *data)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(port);
	GTask *task = begin(port, /* cancellable= */ NULL, callback, data);

	if (task)
		banger_helper_call_set_peer(self->bus, self->may_ask, vm, operation, peer,
					    /* cancellable= */ NULL, on_answer, task);
}

static bool
set_peer_finish(BangerPrivileged *port, GAsyncResult *result, GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);

	return answer && (banger_helper_call_set_peer_finish(bus_of(answer), answer, error) ||
			  convert(error));
}

static void
enable_nat(BangerPrivileged *port, const char *vm, const char *operation, bool lan,
	   GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(port);
	GTask *task = begin(port, cancellable, callback, data);

	if (task)
		banger_helper_call_enable_nat(self->bus, self->may_ask, vm, operation, lan,
					      cancellable, on_answer, task);
}

static bool
enable_nat_finish(BangerPrivileged *port, GAsyncResult *result, GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);

	return answer && (banger_helper_call_enable_nat_finish(bus_of(answer), answer, error) ||
			  convert(error));
}

static void
disable_nat(BangerPrivileged *port, const char *vm, const char *operation,
	    GAsyncReadyCallback callback, void *data)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(port);
	GTask *task = begin(port, /* cancellable= */ NULL, callback, data);

	if (task)
		banger_helper_call_disable_nat(self->bus, self->may_ask, vm, operation,
					       /* cancellable= */ NULL, on_answer, task);
}

static bool
disable_nat_finish(BangerPrivileged *port, GAsyncResult *result, GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);

	return answer && (banger_helper_call_disable_nat_finish(bus_of(answer), answer, error) ||
			  convert(error));
}

static void
enable_names(BangerPrivileged *port, GAsyncReadyCallback callback, void *data)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(port);
	GTask *task = begin(port, /* cancellable= */ NULL, callback, data);

	/* Nobody waits for it: nobody is asked. */
	if (task)
		banger_helper_call_enable_name_routing(self->bus, /* may_ask= */ false,
						       /* operation= */ "", /* cancellable= */ NULL,
						       on_answer, task);
}

static bool
enable_names_finish(BangerPrivileged *port, GAsyncResult *result, GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);

	return answer &&
	       (banger_helper_call_enable_name_routing_finish(bus_of(answer), answer, error) ||
		convert(error));
}

static void
launch(BangerPrivileged *port, const BangerLaunch *l, GCancellable *cancellable,
       GAsyncReadyCallback callback, void *data)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(port);
	GTask *task = begin(port, cancellable, callback, data);
	const BnVmmSpec *spec = l->spec;

	if (task)
		banger_helper_call_launch_vmm(
			self->bus, self->may_ask, l->vm, l->operation,
			bn_vmm_kind_to_string(spec->kind), spec->kvm, spec->vcpus,
			spec->memory_bytes, spec->cmdline, l->kernel, l->initramfs, l->disks,
			spec->n_disks, &l->network, spec->network, cancellable, on_answer, task);
}

static bool
launch_finish(BangerPrivileged *port, GAsyncResult *result, BangerVmmHandles *ret, GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);

	return answer && (banger_helper_call_launch_vmm_finish(
				  bus_of(answer), answer, &ret->control, &ret->agent, &ret->console,
				  &ret->process, error) ||
			  convert(error));
}

static void
open_vmm(BangerPrivileged *port, const char *vm, const char *operation,
	 GAsyncReadyCallback callback, void *data)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(port);
	GTask *task = begin(port, /* cancellable= */ NULL, callback, data);

	if (task)
		banger_helper_call_open_vmm(self->bus, self->may_ask, vm, operation,
					    /* cancellable= */ NULL, on_answer, task);
}

static bool
open_vmm_finish(BangerPrivileged *port, GAsyncResult *result, BangerVmmHandles *ret, GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);

	return answer && (banger_helper_call_open_vmm_finish(bus_of(answer), answer, &ret->control,
							     &ret->agent, &ret->console,
							     &ret->process, error) ||
			  convert(error));
}

static void
signal_vmm(BangerPrivileged *port, const char *vm, const char *operation, uint32_t signal_number,
	   GAsyncReadyCallback callback, void *data)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(port);
	GTask *task = begin(port, /* cancellable= */ NULL, callback, data);

	if (task)
		banger_helper_call_signal_vmm(self->bus, self->may_ask, vm, operation,
					      signal_number,
					      /* cancellable= */ NULL, on_answer, task);
}

static bool
signal_vmm_finish(BangerPrivileged *port, GAsyncResult *result, GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);

	return answer && (banger_helper_call_signal_vmm_finish(bus_of(answer), answer, error) ||
			  convert(error));
}

static void
release(BangerPrivileged *port, const char *vm, const char *operation, GAsyncReadyCallback callback,
	void *data)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(port);
	GTask *task = begin(port, /* cancellable= */ NULL, callback, data);

	if (task)
		banger_helper_call_release_vm(self->bus, self->may_ask, vm, operation,
					      /* cancellable= */ NULL, on_answer, task);
}

static bool
release_finish(BangerPrivileged *port, GAsyncResult *result, char **ret_ended, GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);

	return answer &&
	       (banger_helper_call_release_vm_finish(bus_of(answer), answer, ret_ended, error) ||
		convert(error));
}

static void
list(BangerPrivileged *port, GAsyncReadyCallback callback, void *data)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(port);
	GTask *task = begin(port, /* cancellable= */ NULL, callback, data);

	if (task)
		banger_helper_call_list_resources(self->bus, self->may_ask, /* cancellable= */ NULL,
						  on_answer, task);
}

static bool
list_finish(BangerPrivileged *port, GAsyncResult *result, char ***ret, bool *ret_bridge,
	    GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);
	g_autoptr(GVariant) resources = NULL;
	g_autoptr(GStrvBuilder) ids = g_strv_builder_new();
	GVariantIter iter;
	const char *vm, *kind;
	bool bridge = false;

	if (!answer)
		return false;
	if (!banger_helper_call_list_resources_finish(bus_of(answer), answer, &resources, error))
		return convert(error);
	g_variant_iter_init(&iter, resources);
	while (g_variant_iter_next(&iter, "(&s&s&s&s)", &vm, &kind, NULL, NULL)) {
		/* The bridge is no VM's. A VM may stand there twice, for its tap too: no harm. */
		if (*vm)
			g_strv_builder_add(ids, vm);
		bridge = bridge || g_str_equal(kind, "bridge");
	}
	*ret = g_strv_builder_end(ids);
	if (ret_bridge)
		*ret_bridge = bridge;
	return true;
}

/* Of the same subject that the helper asks about, the connection, and as it does; but for the details, which nobody but
 * root may give, and nobody is asked. org.freedesktop.PolicyKit1.Authority(8). */
static void
look_leave(BangerPrivileged *port, const char *action, GAsyncReadyCallback callback, void *data)
{
	BangerPrivilegedDBus *self = BANGER_PRIVILEGED_DBUS(port);
	GTask *task = begin(port, /* cancellable= */ NULL, callback, data);
	GVariantDict subject;

	if (!task)
		return;
	g_variant_dict_init(&subject, NULL);
	g_variant_dict_insert(&subject, "name", "s", g_dbus_connection_get_unique_name(self->bus));
	g_dbus_connection_call(self->bus, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
			       "CheckAuthorization",
			       g_variant_new("((s@a{sv})sa{ss}us)", "system-bus-name",
					     g_variant_dict_end(&subject), action,
					     /* details= */ NULL, /* flags= */ 0,
					     /* cancellation= */ ""),
			       G_VARIANT_TYPE("((bba{ss}))"), G_DBUS_CALL_FLAGS_NONE,
			       /* timeout= */ -1, /* cancellable= */ NULL, on_answer, task);
}

static bool
look_leave_finish(BangerPrivileged *port, GAsyncResult *result, BangerLeave *ret, GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);
	g_autoptr(GVariant) reply = NULL;
	gboolean is_authorized, is_challenge;

	if (!answer)
		return false;
	reply = g_dbus_connection_call_finish(bus_of(answer), answer, error);
	if (!reply) {
		(void)g_dbus_error_strip_remote_error(*error);
		g_prefix_error(error, "polkit does not answer: ");
		return false;
	}
	g_variant_get(reply, "((bba{ss}))", &is_authorized, &is_challenge, NULL);
	*ret = is_authorized  ? BANGER_LEAVE_YES
	       : is_challenge ? BANGER_LEAVE_ASKS
			      : BANGER_LEAVE_NO;
	return true;
}

static void
banger_privileged_dbus_iface_init(BangerPrivilegedInterface *iface)
{
	iface->probe_kvm = probe_kvm;
	iface->probe_kvm_finish = probe_kvm_finish;
	iface->ensure_bridge = ensure_bridge;
	iface->ensure_bridge_finish = ensure_bridge_finish;
	iface->remove_bridge = remove_bridge;
	iface->remove_bridge_finish = remove_bridge_finish;
	iface->create_tap = create_tap;
	iface->create_tap_finish = create_tap_finish;
	iface->delete_tap = delete_tap;
	iface->delete_tap_finish = delete_tap_finish;
	iface->set_peer = set_peer;
	iface->set_peer_finish = set_peer_finish;
	iface->enable_nat = enable_nat;
	iface->enable_nat_finish = enable_nat_finish;
	iface->disable_nat = disable_nat;
	iface->disable_nat_finish = disable_nat_finish;
	iface->enable_names = enable_names;
	iface->enable_names_finish = enable_names_finish;
	iface->launch = launch;
	iface->launch_finish = launch_finish;
	iface->open = open_vmm;
	iface->open_finish = open_vmm_finish;
	iface->signal = signal_vmm;
	iface->signal_finish = signal_vmm_finish;
	iface->release = release;
	iface->release_finish = release_finish;
	iface->list = list;
	iface->list_finish = list_finish;
	iface->look_leave = look_leave;
	iface->look_leave_finish = look_leave_finish;
}
