/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/bus/manager-dbus.h"

#include <fcntl.h>
#include <string.h>

#include "service/base/error.h"
#include "service/base/names.h"
#include "service/bus/caller.h"
#include "service/manager/diagnose.h"
#include "shared/base/cleanup.h"

/* What an image may say of its origin, in bytes. */
#define SOURCE_MAX 255

/* What CreateVM and PlanVM are given. */
typedef struct CreateOptions {
	BangerVmSpec *spec;
	bool start;
	const char *operation;
} CreateOptions;

static void
create_options_clear(CreateOptions *options)
{
	g_clear_pointer(&options->spec, banger_vm_spec_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CreateOptions, create_options_clear)

static bool
read_create_options(BangerBus *bus, GVariant *options, CreateOptions *ret, GError **error)
{
	BangerVmSpec *spec = ret->spec = banger_vm_spec_new();
	const char *name = NULL, *image = NULL, *kernel = NULL;
	const char *vmm = "qemu-microvm", *accelerator = "auto", *init = "auto";
	const char *network = "none";
	g_autofree const char **publish = NULL;
	const BangerOption table[] = {
		{ "name", "s", &name },
		{ "image", "s", &image },
		{ "kernel", "s", &kernel },
		{ "vcpus", "u", &spec->vcpus },
		{ "memory", "t", &spec->memory_bytes },
		{ "disk", "t", &spec->disk_bytes },
		{ "vmm", "s", &vmm },
		{ "accelerator", "s", &accelerator },
		{ "init", "s", &init },
		{ "network", "s", &network },
		{ "peer", "b", &spec->peer },
		{ "publish", "as", &publish },
		{ "start", "b", &ret->start },
		{ "ephemeral", "b", &spec->ephemeral },
		{},
	};

	if (!banger_bus_read_options(options, table, &ret->operation, error))
		return false;
	spec->name = g_strdup(name);
	spec->image = g_strdup(image);
	spec->kernel = g_strdup(kernel);
	spec->vmm = bn_vmm_kind_from_string(vmm);
	spec->accelerator = banger_accelerator_from_string(accelerator);
	spec->reach = banger_reach_from_string(network);
	return banger_vm_spec_set_init(spec, init, error) &&
	       banger_port_list_add(spec->ports, publish, error) &&
	       banger_manager_resolve_spec(bus->manager, spec, error);
}

static gboolean
handle_create_vm(BangerDBusManager *skeleton, GDBusMethodInvocation *invocation, GVariant *options,
		 BangerBus *bus)
{
	g_auto(CreateOptions) create = {};
	g_autofree char *path = NULL;
	GError *error = NULL;
	BangerVm *vm;
	BangerJob *job;

	if (!read_create_options(bus, options, &create, &error))
		return banger_bus_refuse(invocation, error);
	job = banger_manager_create_vm(bus->manager, create.spec, create.start, create.operation,
				       &vm, &error);
	if (!job)
		return banger_bus_refuse(invocation, error);
	path = banger_path_new("vm", create.spec->id);
	banger_dbus_manager_complete_create_vm(skeleton, invocation, path,
					       banger_job_get_path(job));
	if (create.spec->ephemeral) {
		g_autoptr(GCancellable) gone = banger_caller_watch(bus, invocation);

		banger_manager_bind_vm(bus->manager, vm, gone);
	}
	return TRUE;
}

static gboolean
handle_plan_vm(BangerDBusManager *skeleton, GDBusMethodInvocation *invocation, GVariant *options,
	       BangerBus *bus)
{
	g_auto(CreateOptions) create = {};
	g_auto(GStrv) lines = NULL;
	GError *error = NULL;

	if (!read_create_options(bus, options, &create, &error))
		return banger_bus_refuse(invocation, error);
	lines = banger_manager_plan_vm(bus->manager, create.spec, &error);
	if (!lines)
		return banger_bus_refuse(invocation, error);
	banger_dbus_manager_complete_plan_vm(skeleton, invocation, (const char *const *)lines);
	return TRUE;
}

static gboolean
handle_find_vm(BangerDBusManager *skeleton, GDBusMethodInvocation *invocation,
	       const char *reference, BangerBus *bus)
{
	GError *error = NULL;
	BangerVm *vm = banger_manager_find_vm(bus->manager, reference, &error);
	g_autofree char *path = NULL;

	if (!vm)
		return banger_bus_refuse(invocation, error);
	path = banger_path_new("vm", banger_vm_get_spec(vm)->id);
	banger_dbus_manager_complete_find_vm(skeleton, invocation, path);
	return TRUE;
}

static gboolean
handle_find_image(BangerDBusManager *skeleton, GDBusMethodInvocation *invocation,
		  const char *reference, BangerBus *bus)
{
	GError *error = NULL;
	const BangerImageRow *row = banger_manager_find_image(bus->manager, reference, &error);
	g_autofree char *path = NULL;

	if (!row)
		return banger_bus_refuse(invocation, error);
	path = banger_path_new("image", row->id);
	banger_dbus_manager_complete_find_image(skeleton, invocation, path);
	return TRUE;
}

static gboolean
handle_find_kernel(BangerDBusManager *skeleton, GDBusMethodInvocation *invocation,
		   const char *reference, BangerBus *bus)
{
	GError *error = NULL;
	const BangerKernelRow *row = banger_manager_find_kernel(bus->manager, reference, &error);
	g_autofree char *path = NULL;

	if (!row)
		return banger_bus_refuse(invocation, error);
	path = banger_path_new("kernel", row->id);
	banger_dbus_manager_complete_find_kernel(skeleton, invocation, path);
	return TRUE;
}

/* A file that came with the call, to be read; the caller's to close, or -1. */
static int
get_input(GUnixFDList *fds, int32_t index, const char *what, GError **error)
{
	_cleanup_close_ int fd = banger_bus_get_fd(fds, index, what, error);

	if (fd < 0 || (fcntl(fd, F_GETFL) & O_ACCMODE) != O_WRONLY)
		return BN_TAKE_FD(fd);
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT,
		    "'%s': is not open for reading", what);
	return -1;
}

static gboolean
handle_import_image(BangerDBusManager *skeleton, GDBusMethodInvocation *invocation,
		    GUnixFDList *fds, GVariant *archive, GVariant *options, BangerBus *bus)
{
	g_autoptr(BangerImageRequest) request = banger_image_request_new();
	const char *name = NULL, *source = "imported from an archive", *operation;
	bool make_default = false;
	const BangerOption table[] = {
		{ "name", "s", &name },
		{ "default", "b", &make_default },
		{ "source", "s", &source },
		{},
	};
	GError *error = NULL;
	BangerJob *job;

	if (!banger_bus_read_options(options, table, &operation, &error))
		return banger_bus_refuse(invocation, error);
	if (!name)
		g_set_error(&error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT,
			    "option 'name' is required");
	else if (strlen(source) > SOURCE_MAX)
		g_set_error(&error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT,
			    "option 'source': at most %d bytes", SOURCE_MAX);
	if (error)
		return banger_bus_refuse(invocation, error);
	request->archive = get_input(fds, g_variant_get_handle(archive), "archive", &error);
	if (request->archive < 0)
		return banger_bus_refuse(invocation, error);
	request->name = g_strdup(name);
	request->source = g_strdup(source);
	job = banger_manager_make_image(bus->manager, g_steal_pointer(&request), make_default,
					operation, &error);
	if (!job)
		return banger_bus_refuse(invocation, error);
	banger_dbus_manager_complete_import_image(skeleton, invocation, /* fds= */ NULL,
						  banger_job_get_path(job));
	return TRUE;
}

static gboolean
handle_build_image(BangerDBusManager *skeleton, GDBusMethodInvocation *invocation,
		   GVariant *options, BangerBus *bus)
{
	g_autoptr(BangerImageRequest) request = banger_image_request_new();
	g_autofree const char **packages = NULL;
	const char *name = NULL, *suite = "bookworm", *mirror = NULL, *operation;
	bool make_default = false;
	const BangerOption table[] = {
		{ "name", "s", &name },
		{ "suite", "s", &suite },
		{ "packages", "as", &packages },
		{ "mirror", "s", &mirror },
		{ "default", "b", &make_default },
		{},
	};
	GError *error = NULL;
	BangerJob *job;

	if (!banger_bus_read_options(options, table, &operation, &error))
		return banger_bus_refuse(invocation, error);
	request->name = g_strdup(name ? name : suite);
	request->source = g_strdup_printf("built from Debian %s", suite);
	request->suite = g_strdup(suite);
	request->packages = g_strdupv((char **)packages);
	request->mirror = g_strdup(mirror);
	job = banger_manager_make_image(bus->manager, g_steal_pointer(&request), make_default,
					operation, &error);
	if (!job)
		return banger_bus_refuse(invocation, error);
	banger_dbus_manager_complete_build_image(skeleton, invocation, banger_job_get_path(job));
	return TRUE;
}

/* A descriptor among the options; -1 and success where the key is absent. */
static bool
get_option_fd(GUnixFDList *fds, int32_t index, const char *key, int *ret, GError **error)
{
	if (index == G_MININT32)
		return true;
	*ret = get_input(fds, index, key, error);
	return *ret >= 0;
}

static BangerKernelRequest *
read_kernel_request(GUnixFDList *fds, GVariant *options, bool *ret_default,
		    const char **ret_operation, GError **error)
{
	g_autoptr(BangerKernelRequest) request = banger_kernel_request_new();
	const char *name = NULL, *fetch = NULL, *suite = NULL, *mirror = NULL;
	int32_t package = G_MININT32, vmlinuz = G_MININT32, modules = G_MININT32;
	const BangerOption table[] = {
		{ "name", "s", &name },
		{ "default", "b", ret_default },
		{ "package", "h", &package },
		{ "vmlinuz", "h", &vmlinuz },
		{ "modules", "h", &modules },
		{ "fetch", "s", &fetch },
		{ "suite", "s", &suite },
		{ "mirror", "s", &mirror },
		{},
	};
	int sources = 0;

	if (!banger_bus_read_options(options, table, ret_operation, error))
		return NULL;
	sources += package != G_MININT32;
	sources += vmlinuz != G_MININT32;
	sources += fetch != NULL;
	if (sources != 1 || (modules != G_MININT32 && vmlinuz == G_MININT32) ||
	    ((suite || mirror) && !fetch)) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT,
			    "give one of the options 'package', 'vmlinuz' (with or without "
			    "'modules') and 'fetch' (with or without 'suite' and 'mirror')");
		return NULL;
	}
	if (!get_option_fd(fds, package, "package", &request->package, error) ||
	    !get_option_fd(fds, vmlinuz, "vmlinuz", &request->vmlinuz, error) ||
	    !get_option_fd(fds, modules, "modules", &request->modules, error))
		return NULL;
	request->name = g_strdup(name);
	request->fetch = g_strdup(fetch);
	request->suite = g_strdup(suite ? suite : "bookworm");
	request->mirror = g_strdup(mirror);
	return g_steal_pointer(&request);
}

static gboolean
handle_import_kernel(BangerDBusManager *skeleton, GDBusMethodInvocation *invocation,
		     GUnixFDList *fds, GVariant *options, BangerBus *bus)
{
	g_autoptr(BangerKernelRequest) request = NULL;
	const char *operation;
	bool make_default = false;
	GError *error = NULL;
	BangerJob *job;

	request = read_kernel_request(fds, options, &make_default, &operation, &error);
	if (!request)
		return banger_bus_refuse(invocation, error);
	job = banger_manager_make_kernel(bus->manager, g_steal_pointer(&request), make_default,
					 operation, &error);
	if (!job)
		return banger_bus_refuse(invocation, error);
	banger_dbus_manager_complete_import_kernel(skeleton, invocation, /* fds= */ NULL,
						   banger_job_get_path(job));
	return TRUE;
}

static void
on_diagnosed(GObject *source, GAsyncResult *result, gpointer data)
{
	GDBusMethodInvocation *invocation = data;
	GVariant *rows = banger_diagnose_finish(result);

	g_dbus_method_invocation_return_value(invocation, g_variant_new("(@a(ssss))", rows));
}

static gboolean
handle_diagnose(BangerDBusManager *skeleton, GDBusMethodInvocation *invocation, BangerBus *bus)
{
	banger_diagnose_async(bus->manager, on_diagnosed, invocation);
	return TRUE;
}

static void
on_changed(BangerManager *manager, void *nothing, BangerBus *bus)
{
	const char *image = banger_manager_get_default_image(manager);
	const char *kernel = banger_manager_get_default_kernel(manager);
	g_autofree char *image_path = *image ? banger_path_new("image", image) : g_strdup("/");
	g_autofree char *kernel_path = *kernel ? banger_path_new("kernel", kernel) : g_strdup("/");

	banger_dbus_manager_set_default_image(bus->skeleton, image_path);
	banger_dbus_manager_set_default_kernel(bus->skeleton, kernel_path);
}

static void
on_kvm_changed(BangerKvmVerdict *kvm, BangerDBusManager *skeleton)
{
	banger_dbus_manager_set_accelerator(skeleton, banger_kvm_verdict_get(kvm));
	banger_dbus_manager_set_accelerator_reason(skeleton, banger_kvm_verdict_get_reason(kvm));
}

static void
on_session_changed(BangerSession *session, BangerDBusManager *skeleton)
{
	banger_dbus_manager_set_ends_with_session(
		skeleton, BANGER_SESSION_GET_IFACE(session)->ends_processes(session));
}

/* What may change without the manager's knowing; it outlives the bus. */
static void
follow_others(BangerManager *manager, BangerDBusManager *skeleton)
{
	BangerKvmVerdict *kvm = banger_manager_get_kvm(manager);
	BangerSession *session = banger_manager_get_ports(manager)->session;

	on_kvm_changed(kvm, skeleton);
	g_signal_connect_object(kvm, "changed", G_CALLBACK(on_kvm_changed), skeleton, 0);
	on_session_changed(session, skeleton);
	g_signal_connect_object(session, "changed", G_CALLBACK(on_session_changed), skeleton, 0);
}

BangerDBusManager *
banger_manager_dbus_new(BangerBus *bus)
{
	BangerDBusManager *skeleton = banger_dbus_manager_skeleton_new();
	const struct {
		const char *signal;
		GCallback handler;
	} handlers[] = {
		{ "handle-create-vm", G_CALLBACK(handle_create_vm) },
		{ "handle-plan-vm", G_CALLBACK(handle_plan_vm) },
		{ "handle-find-vm", G_CALLBACK(handle_find_vm) },
		{ "handle-find-image", G_CALLBACK(handle_find_image) },
		{ "handle-find-kernel", G_CALLBACK(handle_find_kernel) },
		{ "handle-import-image", G_CALLBACK(handle_import_image) },
		{ "handle-build-image", G_CALLBACK(handle_build_image) },
		{ "handle-import-kernel", G_CALLBACK(handle_import_kernel) },
		{ "handle-diagnose", G_CALLBACK(handle_diagnose) },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(handlers); i++)
		g_signal_connect(skeleton, handlers[i].signal, handlers[i].handler, bus);
	bus->skeleton = skeleton;
	banger_dbus_manager_set_version(skeleton, BANGER_VERSION);
	on_changed(bus->manager, NULL, bus);
	g_signal_connect(bus->manager, "changed", G_CALLBACK(on_changed), bus);
	follow_others(bus->manager, skeleton);
	return skeleton;
}
