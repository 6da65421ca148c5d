/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/privileged-dbus.h"

#include "helper-calls.h"
#include "service/adapters/system-bus.h"
#include "service/base/error.h"

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
list_finish(BangerPrivileged *port, GAsyncResult *result, char ***ret, GError **error)
{
	g_autoptr(GAsyncResult) answer = take_answer(result, error);
	g_autoptr(GVariant) resources = NULL;
	g_autoptr(GStrvBuilder) ids = g_strv_builder_new();
	GVariantIter iter;
	const char *vm;

	if (!answer)
		return false;
	if (!banger_helper_call_list_resources_finish(bus_of(answer), answer, &resources, error))
		return convert(error);
	g_variant_iter_init(&iter, resources);
	while (g_variant_iter_next(&iter, "(&s&s&s&s)", &vm, NULL, NULL, NULL))
		g_strv_builder_add(ids, vm);
	*ret = g_strv_builder_end(ids);
	return true;
}

static void
banger_privileged_dbus_iface_init(BangerPrivilegedInterface *iface)
{
	iface->probe_kvm = probe_kvm;
	iface->probe_kvm_finish = probe_kvm_finish;
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
}
