/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/bus/bus.h"

#include <gio/gunixfdlist.h>

#include "service/base/error.h"
#include "service/base/names.h"
#include "service/bus/caller.h"
#include "service/bus/manager-dbus.h"
#include "shared/rules/names.h"

/* More than any method has beside "operation". */
#define OPTIONS_MAX 16

gboolean
banger_bus_refuse(GDBusMethodInvocation *invocation, GError *error)
{
	banger_error_convert(error);
	g_dbus_method_invocation_take_error(invocation, error);
	return TRUE;
}

bool
banger_bus_read_options(GVariant *options, const BangerOption *table, const char **ret_operation,
			GError **error)
{
	BangerOption all[OPTIONS_MAX + 2] = { { "operation", "s", ret_operation } };

	for (size_t n = 0; table && table[n].key; n++) {
		g_assert(n < OPTIONS_MAX);
		all[n + 1] = table[n];
	}
	*ret_operation = "";
	if (!banger_options_read(options, all, error))
		return false;
	if (bn_names_is_operation(*ret_operation))
		return true;
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT,
		    "option 'operation': must be 32 lower-case hex digits");
	return false;
}

void
banger_bus_export(BangerBus *bus, const char *path, GDBusInterfaceSkeleton *skeleton)
{
	g_autoptr(GDBusObjectSkeleton) object = g_dbus_object_skeleton_new(path);

	g_dbus_object_skeleton_add_interface(object, skeleton);
	g_dbus_object_manager_server_export(bus->objects, object);
	g_object_unref(skeleton);
}

int
banger_bus_get_fd(GUnixFDList *fds, int32_t index, const char *what, GError **error)
{
	/* The index is the sender's word. */
	if (!fds || index < 0 || index >= g_unix_fd_list_get_length(fds)) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT,
			    "'%s': no such descriptor came with the message", what);
		return -1;
	}
	return g_unix_fd_list_get(fds, index, error);
}

static void
unexport(BangerBus *bus, const char *kind, const char *id)
{
	g_autofree char *path = banger_path_new(kind, id);

	(void)g_dbus_object_manager_server_unexport(bus->objects, path);
}

static void
on_vm_added(BangerManager *manager, BangerVm *vm, BangerBus *bus)
{
	banger_bus_add_vm(bus, vm);
}

static void
on_vm_removed(BangerManager *manager, BangerVm *vm, BangerBus *bus)
{
	unexport(bus, "vm", banger_vm_get_spec(vm)->id);
}

static void
on_image_added(BangerManager *manager, const BangerImageRow *row, BangerBus *bus)
{
	banger_bus_add_image(bus, row);
}

static void
on_image_removed(BangerManager *manager, const BangerImageRow *row, BangerBus *bus)
{
	unexport(bus, "image", row->id);
}

static void
on_kernel_added(BangerManager *manager, const BangerKernelRow *row, BangerBus *bus)
{
	banger_bus_add_kernel(bus, row);
}

static void
on_kernel_removed(BangerManager *manager, const BangerKernelRow *row, BangerBus *bus)
{
	unexport(bus, "kernel", row->id);
}

static void
on_job_added(BangerManager *manager, BangerJob *job, BangerBus *bus)
{
	banger_bus_add_job(bus, job);
}

static void
connect_manager(BangerBus *bus)
{
	BangerManager *manager = bus->manager;

	g_signal_connect(manager, "vm-added", G_CALLBACK(on_vm_added), bus);
	g_signal_connect(manager, "vm-removed", G_CALLBACK(on_vm_removed), bus);
	g_signal_connect(manager, "image-added", G_CALLBACK(on_image_added), bus);
	g_signal_connect(manager, "image-removed", G_CALLBACK(on_image_removed), bus);
	g_signal_connect(manager, "kernel-added", G_CALLBACK(on_kernel_added), bus);
	g_signal_connect(manager, "kernel-removed", G_CALLBACK(on_kernel_removed), bus);
	g_signal_connect(manager, "job-added", G_CALLBACK(on_job_added), bus);
}

static void
add_present(BangerBus *bus)
{
	g_autoptr(GList) images = banger_manager_list_images(bus->manager);
	g_autoptr(GList) kernels = banger_manager_list_kernels(bus->manager);
	g_autoptr(GList) vms = banger_manager_list_vms(bus->manager);

	for (GList *l = images; l; l = l->next)
		banger_bus_add_image(bus, l->data);
	for (GList *l = kernels; l; l = l->next)
		banger_bus_add_kernel(bus, l->data);
	for (GList *l = vms; l; l = l->next)
		banger_bus_add_vm(bus, l->data);
}

BangerBus *
banger_bus_new(GDBusConnection *connection, BangerManager *manager, GError **error)
{
	g_autoptr(BangerBus) bus = g_new0(BangerBus, 1);

	bus->connection = g_object_ref(connection);
	bus->manager = g_object_ref(manager);
	bus->watches = banger_caller_table_new();
	bus->ended_jobs = g_queue_new();
	bus->objects = g_dbus_object_manager_server_new(BANGER_OBJECT_PATH);
	bus->skeleton = banger_manager_dbus_new(bus);
	connect_manager(bus);
	add_present(bus);
	g_dbus_object_manager_server_set_connection(bus->objects, connection);
	if (!g_dbus_interface_skeleton_export(G_DBUS_INTERFACE_SKELETON(bus->skeleton), connection,
					      BANGER_OBJECT_PATH, error))
		return NULL;
	return g_steal_pointer(&bus);
}

void
banger_bus_free(BangerBus *bus)
{
	if (!bus)
		return;
	if (bus->manager)
		g_signal_handlers_disconnect_by_data(bus->manager, bus);
	if (bus->skeleton)
		g_dbus_interface_skeleton_unexport(G_DBUS_INTERFACE_SKELETON(bus->skeleton));
	g_clear_object(&bus->skeleton);
	g_clear_object(&bus->objects);
	g_clear_pointer(&bus->watches, g_hash_table_unref);
	g_queue_free_full(bus->ended_jobs, g_free);
	g_clear_object(&bus->manager);
	g_clear_object(&bus->connection);
	g_free(bus);
}
