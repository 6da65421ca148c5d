/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/manager/diagnose.h"

#include "service/base/error.h"
#include "service/manager/diagnose-leave.h"
#include "service/manager/diagnose-network.h"
#include "service/manager/manager-private.h"

/* Below this a VM with the default disk is likely to be paused soon. */
#define FREE_SPACE_LOW (2 * BN_GIB)

static void
add(GVariantBuilder *rows, const char *result, const char *check, const char *finding,
    const char *remedy)
{
	g_variant_builder_add(rows, "(ssss)", result, check, finding, remedy);
}

static void
check_program(GVariantBuilder *rows, BangerManager *manager, const char *check, const char *path,
	      const char *result, const char *package)
{
	g_autofree char *remedy = g_strdup_printf("install the package '%s'", package);
	g_autofree char *finding = g_strdup_printf("%s is missing", path);

	if (manager->ports->can_run(path))
		add(rows, "pass", check, path, "");
	else
		add(rows, result, check, finding, remedy);
}

/* As the helper looks at it before it runs it. */
static void
check_vmm(GVariantBuilder *rows, BangerManager *manager)
{
	static const char path[] = "/usr/bin/qemu-system-x86_64";

	if (manager->ports->can_run(path) && !manager->ports->is_roots(path))
		add(rows, "fail", "VMM",
		    "/usr/bin/qemu-system-x86_64 is not root's alone to write, or a directory above it is not",
		    "'chown root' and 'chmod go-w' make it so");
	else
		check_program(rows, manager, "VMM", path, "fail", "qemu-system-x86");
}

static void
check_own_program(GVariantBuilder *rows, BangerManager *manager, const char *check,
		  const char *path)
{
	g_autofree char *finding = g_strdup_printf("%s is missing", path);

	if (manager->ports->can_run(path))
		add(rows, "pass", check, path, "");
	else
		add(rows, "fail", check, finding, "install banger again");
}

static void
check_subids(GVariantBuilder *rows, BangerManager *manager)
{
	if (manager->ports->has_subids())
		add(rows, "pass", "subordinate ids", "/etc/subuid, /etc/subgid", "");
	else
		add(rows, "warn", "subordinate ids",
		    "you have no entry in /etc/subuid and /etc/subgid",
		    "ask an administrator for 'usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER'");
}

static void
check_programs(GVariantBuilder *rows, BangerManager *manager)
{
	check_vmm(rows, manager);
	check_own_program(rows, manager, "jail", BANGER_LIBEXECDIR "/banger-jail");
	check_own_program(rows, manager, "agent", BANGER_LIBEXECDIR "/banger-vsock-agent");
	check_program(rows, manager, "image build", "/usr/bin/mmdebstrap", "warn", "mmdebstrap");
	check_program(rows, manager, "image build as a user", "/usr/bin/newuidmap", "warn",
		      "uidmap");
	check_subids(rows, manager);
}

static void
check_defaults(GVariantBuilder *rows, BangerManager *manager)
{
	g_autoptr(GError) error = NULL;
	const BangerImageRow *image = banger_manager_find_image(manager, "", &error);
	const BangerKernelRow *kernel;

	if (image)
		add(rows, "pass", "default image", image->name, "");
	else
		add(rows, "warn", "default image", "there is none", "banger image build --default");
	g_clear_error(&error);
	kernel = banger_manager_find_kernel(manager, "", &error);
	if (kernel)
		add(rows, "pass", "default kernel", kernel->release, "");
	else
		add(rows, "warn", "default kernel", "there is none",
		    "banger kernel import --fetch --default");
}

static void
check_space(GVariantBuilder *rows, BangerManager *manager)
{
	const char *directory;
	uint64_t free_bytes;
	g_autofree char *finding = NULL;

	if (!manager->ports->get_space(&directory, &free_bytes))
		return;
	finding = g_strdup_printf("%s has %" G_GUINT64_FORMAT " MiB free", directory,
				  free_bytes / BN_MIB);
	if (free_bytes >= FREE_SPACE_LOW)
		add(rows, "pass", "disk space", finding, "");
	else
		add(rows, "warn", "disk space", finding,
		    "delete images and VMs that are not needed: 'banger image list', 'banger vm list'");
}

static void
check_session(GVariantBuilder *rows, BangerManager *manager)
{
	BangerSession *session = manager->ports->session;

	if (BANGER_SESSION_GET_IFACE(session)->ends_processes(session))
		add(rows, "warn", "log-out", "VMs are shut down when your last session ends",
		    "loginctl enable-linger");
}

static void
check_vms(GVariantBuilder *rows, BangerManager *manager)
{
	g_autoptr(GList) vms = banger_manager_list_vms(manager);

	for (GList *l = vms; l; l = l->next) {
		const char *problem = banger_vm_get_last_error(l->data);
		g_autofree char *check =
			g_strdup_printf("VM %s", banger_vm_get_spec(l->data)->name);

		if (*problem)
			add(rows, "warn", check, problem, "banger vm show, banger vm logs");
	}
}

static const char *
helper_remedy(const GError *error)
{
	return banger_error_is_not_authorized(error)
		       ? "ask an administrator to add you to the group 'banger'"
		       : "see 'journalctl -u banger-helper'";
}

/* All that is found out without the helper. */
static void
finish(GTask *task)
{
	BangerManager *manager = g_task_get_source_object(task);
	GVariantBuilder *rows = g_task_get_task_data(task);

	check_programs(rows, manager);
	check_defaults(rows, manager);
	check_space(rows, manager);
	check_session(rows, manager);
	banger_diagnose_network(manager, rows);
	check_vms(rows, manager);
	g_task_return_pointer(task, g_variant_builder_end(rows), NULL);
}

static void
on_decided(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	GVariantBuilder *rows = g_task_get_task_data(task);
	g_autoptr(GError) error = NULL;
	g_autofree char *reason = NULL;
	bool usable = false;

	if (!banger_kvm_verdict_decide_finish(result, &usable, &reason, &error))
		add(rows, "warn", "acceleration", error->message, helper_remedy(error));
	else if (usable)
		add(rows, "pass", "acceleration", reason, "");
	else
		add(rows, "warn", "acceleration", reason,
		    *banger_kvm_verdict_get(BANGER_KVM_VERDICT(source))
			    ? "VMs run under emulation, about ten times slower"
			    : "ask an administrator to add you to the group 'banger'");
	finish(task);
}

/* A VMM outlives the state that it was started from. It is not ended for that: another state may know it. */
static void
check_strays(GVariantBuilder *rows, BangerManager *manager, char **ids)
{
	for (char **id = ids; *id; id++) {
		g_autofree char *check = g_strdup_printf("VMM of VM %s", *id);
		g_autofree char *remedy = g_strdup_printf(
			"if no other bangerd of yours has it: busctl call " BN_HELPER_BUS_NAME
			" " BN_HELPER_PATH " " BN_HELPER_INTERFACE " ReleaseVM ss %s ''",
			*id);

		if (!g_hash_table_contains(manager->vms, *id))
			add(rows, "warn", check, "the helper has it, and there is no such VM here",
			    remedy);
	}
}

/* Asked each time: the verdict on KVM may be of a helper that has gone since. */
static void
on_listed(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerManager *manager = g_task_get_source_object(task);
	BangerPrivileged *privileged = BANGER_PRIVILEGED(source);
	GVariantBuilder *rows = g_task_get_task_data(task);
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) ids = NULL;

	if (!BANGER_PRIVILEGED_GET_IFACE(privileged)
		     ->list_finish(privileged, result, &ids, /* ret_bridge= */ NULL, &error)) {
		add(rows, "fail", "helper", error->message, helper_remedy(error));
		finish(task);
		return;
	}
	add(rows, "pass", "helper", "org.banger.Helper answers", "");
	check_strays(rows, manager, ids);
	banger_kvm_verdict_decide_async(manager->kvm, BANGER_ACCELERATOR_AUTO,
					/* cancellable= */ NULL, on_decided,
					g_steal_pointer(&task));
}

static void
on_leave(GObject *source, GAsyncResult *result, gpointer data)
{
	BangerManager *manager = BANGER_MANAGER(source);
	BangerPrivileged *privileged = manager->ports->privileged;

	banger_diagnose_leave_finish(result);
	BANGER_PRIVILEGED_GET_IFACE(privileged)->list(privileged, on_listed, data);
}

void
banger_diagnose_async(BangerManager *manager, GAsyncReadyCallback callback, void *data)
{
	GTask *task = g_task_new(manager, /* cancellable= */ NULL, callback, data);
	GVariantBuilder *rows = g_variant_builder_new(G_VARIANT_TYPE("a(ssss)"));

	g_task_set_task_data(task, rows, (GDestroyNotify)g_variant_builder_unref);
	add(rows, "pass", "bangerd", BANGER_VERSION, "");
	banger_diagnose_leave_async(manager, rows, on_leave, task);
}

GVariant *
banger_diagnose_finish(GAsyncResult *result)
{
	return g_task_propagate_pointer(G_TASK(result), /* error= */ NULL);
}
