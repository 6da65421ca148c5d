/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/base/names.h"
#include "service/bus/bus.h"

static gboolean
handle_delete(BangerDBusKernel *skeleton, GDBusMethodInvocation *invocation, GVariant *options,
	      BangerBus *bus)
{
	GError *error = NULL;
	const char *operation;

	if (!banger_bus_read_options(options, NULL, &operation, &error) ||
	    !banger_manager_delete_kernel(bus->manager, banger_dbus_kernel_get_id(skeleton),
					  operation, &error))
		return banger_bus_refuse(invocation, error);
	banger_dbus_kernel_complete_delete(skeleton, invocation);
	return TRUE;
}

static gboolean
handle_make_default(BangerDBusKernel *skeleton, GDBusMethodInvocation *invocation,
		    GVariant *options, BangerBus *bus)
{
	GError *error = NULL;
	const char *operation;

	if (!banger_bus_read_options(options, NULL, &operation, &error) ||
	    !banger_manager_set_default_kernel(bus->manager, banger_dbus_kernel_get_id(skeleton),
					       operation, &error))
		return banger_bus_refuse(invocation, error);
	banger_dbus_kernel_complete_make_default(skeleton, invocation);
	return TRUE;
}

void
banger_bus_add_kernel(BangerBus *bus, const BangerKernelRow *row)
{
	BangerDBusKernel *skeleton = banger_dbus_kernel_skeleton_new();
	g_autofree char *path = banger_path_new("kernel", row->id);

	banger_dbus_kernel_set_id(skeleton, row->id);
	banger_dbus_kernel_set_name(skeleton, row->name);
	banger_dbus_kernel_set_digest(skeleton, row->digest);
	banger_dbus_kernel_set_disk_usage(skeleton, row->disk_usage);
	banger_dbus_kernel_set_release(skeleton, row->release);
	banger_dbus_kernel_set_source(skeleton, row->source);
	banger_dbus_kernel_set_created(skeleton, (guint64)row->created_us);
	g_signal_connect(skeleton, "handle-delete", G_CALLBACK(handle_delete), bus);
	g_signal_connect(skeleton, "handle-make-default", G_CALLBACK(handle_make_default), bus);
	banger_bus_export(bus, path, G_DBUS_INTERFACE_SKELETON(skeleton));
}
