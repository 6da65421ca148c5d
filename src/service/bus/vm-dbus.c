/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gunixfdlist.h>

#include "service/base/error.h"
#include "service/base/names.h"
#include "service/bus/bus.h"
#include "service/bus/exec-dbus.h"
#include "shared/base/cleanup.h"
#include "shared/rules/ipv4.h"

/* A guest that is asked to shut down gets as long as systemd gives a unit by default. */
#define STOP_TIMEOUT_S 90

typedef struct VmExport {
	BangerBus *bus;
	BangerVm *vm;
} VmExport;

static void
vm_export_free(gpointer data, GClosure *closure)
{
	VmExport *export = data;

	g_object_unref(export->vm);
	g_free(export);
}

static gboolean
handle_start(BangerDBusVM *skeleton, GDBusMethodInvocation *invocation, GVariant *options,
	     VmExport *export)
{
	GError *error = NULL;
	const char *operation;
	BangerJob *job;

	if (!banger_bus_read_options(options, NULL, &operation, &error))
		return banger_bus_refuse(invocation, error);
	job = banger_manager_start_vm(export->bus->manager, export->vm, operation, &error);
	if (!job)
		return banger_bus_refuse(invocation, error);
	banger_dbus_vm_complete_start(skeleton, invocation, banger_job_get_path(job));
	return TRUE;
}

static gboolean
handle_stop(BangerDBusVM *skeleton, GDBusMethodInvocation *invocation, GVariant *options,
	    VmExport *export)
{
	uint32_t timeout_s = STOP_TIMEOUT_S;
	const BangerOption table[] = { { "timeout", "u", &timeout_s }, {} };
	GError *error = NULL;
	const char *operation;
	BangerJob *job;

	if (!banger_bus_read_options(options, table, &operation, &error))
		return banger_bus_refuse(invocation, error);
	job = banger_manager_stop_vm(export->bus->manager, export->vm, timeout_s, operation,
				     &error);
	if (!job)
		return banger_bus_refuse(invocation, error);
	banger_dbus_vm_complete_stop(skeleton, invocation, banger_job_get_path(job));
	return TRUE;
}

static gboolean
handle_restart(BangerDBusVM *skeleton, GDBusMethodInvocation *invocation, GVariant *options,
	       VmExport *export)
{
	uint32_t timeout_s = STOP_TIMEOUT_S;
	const BangerOption table[] = { { "timeout", "u", &timeout_s }, {} };
	GError *error = NULL;
	const char *operation;
	BangerJob *job;

	if (!banger_bus_read_options(options, table, &operation, &error))
		return banger_bus_refuse(invocation, error);
	job = banger_manager_restart_vm(export->bus->manager, export->vm, timeout_s, operation,
					&error);
	if (!job)
		return banger_bus_refuse(invocation, error);
	banger_dbus_vm_complete_restart(skeleton, invocation, banger_job_get_path(job));
	return TRUE;
}

static gboolean
handle_delete(BangerDBusVM *skeleton, GDBusMethodInvocation *invocation, GVariant *options,
	      VmExport *export)
{
	bool forced = false;
	const BangerOption table[] = { { "force", "b", &forced }, {} };
	GError *error = NULL;
	const char *operation;
	BangerJob *job;

	if (!banger_bus_read_options(options, table, &operation, &error))
		return banger_bus_refuse(invocation, error);
	job = banger_manager_delete_vm(export->bus->manager, export->vm, forced, operation, &error);
	if (!job)
		return banger_bus_refuse(invocation, error);
	banger_dbus_vm_complete_delete(skeleton, invocation, banger_job_get_path(job));
	return TRUE;
}

static void
on_killed(GObject *source, GAsyncResult *result, gpointer data)
{
	GDBusMethodInvocation *invocation = data;
	GError *error = NULL;

	if (banger_vm_kill_finish(BANGER_VM(source), result, &error))
		g_dbus_method_invocation_return_value(invocation, NULL);
	else
		(void)banger_bus_refuse(invocation, error);
}

static gboolean
handle_kill(BangerDBusVM *skeleton, GDBusMethodInvocation *invocation, GVariant *options,
	    VmExport *export)
{
	uint32_t signal_number = 9;
	const BangerOption table[] = { { "signal", "u", &signal_number }, {} };
	GError *error = NULL;
	const char *operation;

	if (!banger_bus_read_options(options, table, &operation, &error))
		return banger_bus_refuse(invocation, error);
	banger_vm_kill_async(export->vm, signal_number, operation, on_killed, invocation);
	return TRUE;
}

static void
on_set(GObject *source, GAsyncResult *result, gpointer data)
{
	GDBusMethodInvocation *invocation = data;
	GError *error = NULL;

	if (banger_manager_set_vm_finish(BANGER_MANAGER(source), result, &error))
		g_dbus_method_invocation_return_value(invocation, NULL);
	else
		(void)banger_bus_refuse(invocation, error);
}

static gboolean
handle_set(BangerDBusVM *skeleton, GDBusMethodInvocation *invocation, GVariant *options,
	   VmExport *export)
{
	const BangerVmSpec *spec = banger_vm_get_spec(export->vm);
	g_autofree const char **publish = NULL, **unpublish = NULL;
	const char *network = NULL, *operation;
	bool peer = false;
	const BangerOption table[] = {
		{ "network", "s", &network },
		{ "peer", "b", &peer },
		{ "publish", "as", &publish },
		{ "unpublish", "as", &unpublish },
		{},
	};
	g_autoptr(GArray) ports = g_array_copy(spec->ports), taken = banger_port_list_new();
	BangerVmChange change = { .reach = _BANGER_REACH_INVALID, .ports = ports, .taken = taken };
	GError *error = NULL;

	if (!banger_bus_read_options(options, table, &operation, &error) ||
	    !banger_port_list_remove(ports, unpublish, &error) ||
	    !banger_port_list_add(ports, publish, &error) ||
	    !banger_port_list_add(taken, publish, &error))
		return banger_bus_refuse(invocation, error);
	if (network)
		change.reach = banger_reach_from_string(network);
	if (network && !banger_reach_check(change.reach, &error))
		return banger_bus_refuse(invocation, error);
	change.sets_peer = g_variant_lookup(options, "peer", "b", NULL);
	change.peer = peer;
	banger_manager_set_vm_async(export->bus->manager, export->vm, &change, operation, on_set,
				    invocation);
	return TRUE;
}

static void
return_fd(GDBusMethodInvocation *invocation, int fd, GError *error)
{
	g_autoptr(GUnixFDList) fds = NULL;
	_cleanup_close_ int owned = fd;

	if (owned < 0) {
		(void)banger_bus_refuse(invocation, error);
		return;
	}
	fds = g_unix_fd_list_new_from_array(&owned, 1);
	owned = -1;
	g_dbus_method_invocation_return_value_with_unix_fd_list(invocation, g_variant_new("(h)", 0),
								fds);
}

static gboolean
handle_open_console(BangerDBusVM *skeleton, GDBusMethodInvocation *invocation, GUnixFDList *fds,
		    GVariant *options, VmExport *export)
{
	const BangerOption none[] = { {} };
	BangerConsole *console = banger_vm_get_console(export->vm);
	GError *error = NULL;
	int fd = -1;

	if (!banger_options_read(options, none, &error))
		return banger_bus_refuse(invocation, error);
	if (console)
		fd = BANGER_CONSOLE_GET_IFACE(console)->open(console, &error);
	else
		g_set_error(&error, BANGER_ERROR, BANGER_ERROR_INVALID_STATE,
			    "the VM does not run: start it first");
	return_fd(invocation, fd, error);
	return TRUE;
}

static gboolean
handle_open_log(BangerDBusVM *skeleton, GDBusMethodInvocation *invocation, GUnixFDList *fds,
		GVariant *options, VmExport *export)
{
	bool follow = false;
	const BangerOption table[] = { { "follow", "b", &follow }, {} };
	BangerConsole *console = banger_vm_get_console(export->vm);
	g_autoptr(BangerConsole) closed = NULL;
	GError *error = NULL;
	int fd;

	if (!banger_options_read(options, table, &error))
		return banger_bus_refuse(invocation, error);
	if (banger_vm_get_started_us(export->vm) == 0)
		return banger_bus_refuse(invocation,
					 g_error_new(BANGER_ERROR, BANGER_ERROR_INVALID_STATE,
						     "the VM has never run: start it first"));
	if (!console)
		console = closed = banger_manager_get_ports(export->bus->manager)
					   ->console_new(banger_vm_get_spec(export->vm)->id,
							 /* fd= */ -1, /* fresh= */ false);
	fd = BANGER_CONSOLE_GET_IFACE(console)->open_log(console, follow, &error);
	return_fd(invocation, fd, error);
	return TRUE;
}

static void
on_statistics(GObject *source, GAsyncResult *result, gpointer data)
{
	GDBusMethodInvocation *invocation = data;
	BangerGuest *guest = BANGER_GUEST(source);
	BangerGuestStatistics s = {};
	GError *error = NULL;
	GVariantDict dict;

	if (!BANGER_GUEST_GET_IFACE(guest)->get_statistics_finish(guest, result, &s, &error)) {
		(void)banger_bus_refuse(invocation, error);
		return;
	}
	g_variant_dict_init(&dict, NULL);
	g_variant_dict_insert(&dict, "memory-total", "t", s.memory_total);
	g_variant_dict_insert(&dict, "memory-available", "t", s.memory_available);
	g_variant_dict_insert(&dict, "disk-total", "t", s.disk_total);
	g_variant_dict_insert(&dict, "disk-available", "t", s.disk_available);
	g_variant_dict_insert(&dict, "uptime", "t", s.uptime_us);
	g_variant_dict_insert(&dict, "processes", "u", s.processes);
	g_variant_dict_insert(&dict, "load", "d", s.load);
	g_dbus_method_invocation_return_value(invocation,
					      g_variant_new("(@a{sv})", g_variant_dict_end(&dict)));
}

static void
on_guest_for_statistics(GObject *source, GAsyncResult *result, gpointer data)
{
	GDBusMethodInvocation *invocation = data;
	GError *error = NULL;
	g_autoptr(BangerGuest) guest =
		banger_vm_wait_guest_finish(BANGER_VM(source), result, &error);

	if (guest)
		BANGER_GUEST_GET_IFACE(guest)->get_statistics(guest, on_statistics, invocation);
	else
		(void)banger_bus_refuse(invocation, error);
}

static gboolean
handle_get_statistics(BangerDBusVM *skeleton, GDBusMethodInvocation *invocation, VmExport *export)
{
	banger_vm_wait_guest_async(export->vm, /* cancellable= */ NULL, on_guest_for_statistics,
				   invocation);
	return TRUE;
}

static void
show_network(BangerVm *vm, BangerDBusVM *skeleton)
{
	const BangerVmSpec *spec = banger_vm_get_spec(vm);
	g_auto(GStrv) ports = banger_port_list_render(spec->ports);
	uint32_t address = banger_vm_get_address(vm);
	char text[BN_IPV4_SIZE] = "";

	if (address)
		bn_ipv4_render(address, text);
	banger_dbus_vm_set_network(skeleton, banger_reach_to_string(spec->reach));
	banger_dbus_vm_set_peer(skeleton, spec->peer);
	banger_dbus_vm_set_address(skeleton, text);
	banger_dbus_vm_set_ports(skeleton, (const char *const *)ports);
}

static void
on_network_changed(BangerNetwork *network, BangerDBusVM *skeleton)
{
	show_network(g_object_get_data(G_OBJECT(skeleton), "vm"), skeleton);
}

static void
on_changed(BangerVm *vm, BangerDBusVM *skeleton)
{
	banger_dbus_vm_set_state(skeleton, banger_vm_state_to_string(banger_vm_get_state(vm)));
	banger_dbus_vm_set_last_error(skeleton, banger_vm_get_last_error(vm));
	banger_dbus_vm_set_accelerator(skeleton, banger_vm_get_accelerator(vm));
	banger_dbus_vm_set_accelerator_reason(skeleton, banger_vm_get_accelerator_reason(vm));
	banger_dbus_vm_set_started(skeleton, (guint64)banger_vm_get_started_us(vm));
	banger_dbus_vm_set_boot_id(skeleton, banger_vm_get_boot_id(vm));
	show_network(vm, skeleton);
}

static void
set_constants(BangerDBusVM *skeleton, const BangerVmSpec *spec)
{
	g_autofree char *image = banger_path_new("image", spec->image);
	g_autofree char *kernel = banger_path_new("kernel", spec->kernel);

	banger_dbus_vm_set_id(skeleton, spec->id);
	banger_dbus_vm_set_name(skeleton, spec->name);
	banger_dbus_vm_set_image(skeleton, image);
	banger_dbus_vm_set_kernel(skeleton, kernel);
	banger_dbus_vm_set_vcpus(skeleton, spec->vcpus);
	banger_dbus_vm_set_memory(skeleton, spec->memory_bytes);
	banger_dbus_vm_set_disk(skeleton, spec->disk_bytes);
	banger_dbus_vm_set_vmm(skeleton, bn_vmm_kind_to_string(spec->vmm));
	banger_dbus_vm_set_driver(skeleton, "overlay");
	banger_dbus_vm_set_ephemeral(skeleton, spec->ephemeral);
	banger_dbus_vm_set_created(skeleton, (guint64)spec->created_us);
}

void
banger_bus_add_vm(BangerBus *bus, BangerVm *vm)
{
	BangerDBusVM *skeleton = banger_dbus_vm_skeleton_new();
	VmExport *export = g_new0(VmExport, 1);
	const BangerVmSpec *spec = banger_vm_get_spec(vm);
	g_autofree char *path = banger_path_new("vm", spec->id);
	const struct {
		const char *signal;
		GCallback handler;
	} handlers[] = {
		{ "handle-stop", G_CALLBACK(handle_stop) },
		{ "handle-restart", G_CALLBACK(handle_restart) },
		{ "handle-set", G_CALLBACK(handle_set) },
		{ "handle-kill", G_CALLBACK(handle_kill) },
		{ "handle-delete", G_CALLBACK(handle_delete) },
		{ "handle-open-console", G_CALLBACK(handle_open_console) },
		{ "handle-open-log", G_CALLBACK(handle_open_log) },
		{ "handle-get-statistics", G_CALLBACK(handle_get_statistics) },
	};

	export->bus = bus;
	export->vm = g_object_ref(vm);
	set_constants(skeleton, spec);
	on_changed(vm, skeleton);
	/* The first handler owns what all of them use. */
	g_signal_connect_data(skeleton, "handle-start", G_CALLBACK(handle_start), export,
			      vm_export_free, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(handlers); i++)
		g_signal_connect(skeleton, handlers[i].signal, handlers[i].handler, export);
	banger_exec_dbus_connect(bus, vm, skeleton);
	g_signal_connect_object(vm, "changed", G_CALLBACK(on_changed), skeleton, 0);
	/* Its address is one of the bridge. */
	g_signal_connect_object(banger_manager_get_network(bus->manager), "changed",
				G_CALLBACK(on_network_changed), skeleton, 0);
	g_object_set_data(G_OBJECT(skeleton), "vm", vm);
	banger_bus_export(bus, path, G_DBUS_INTERFACE_SKELETON(skeleton));
}
