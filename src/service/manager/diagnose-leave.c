/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/manager/diagnose-leave.h"

#include "service/manager/manager-private.h"

/* Without any that is needed a VM cannot be started, or not be got rid of; without the others it has no network. KVM
 * and the names of VMs have rows of their own. */
static const struct {
	const char *name;
	bool is_needed;
} actions[] = {
	{ "org.banger.helper.launch-vmm", true },     { "org.banger.helper.open-vmm", true },
	{ "org.banger.helper.signal-vmm", true },     { "org.banger.helper.release-vm", true },
	{ "org.banger.helper.list-resources", true }, { "org.banger.helper.ensure-bridge", false },
	{ "org.banger.helper.create-tap", false },    { "org.banger.helper.enable-nat", false },
};

#define CHECK "authorization"

typedef struct Look {
	GVariantBuilder *rows;
	size_t next;
	bool all; /* so far */
} Look;

static void look(GTask *task);

static void
tell(Look *look, size_t action, BangerLeave leave)
{
	bool asks = leave == BANGER_LEAVE_ASKS, is_needed = actions[action].is_needed;
	g_autofree char *finding = g_strdup_printf(
		"%s %s%s", actions[action].name, asks ? "takes a password" : "is not allowed",
		is_needed ? "" : "; VMs without a network do without");

	if (leave == BANGER_LEAVE_YES)
		return;
	look->all = false;
	g_variant_builder_add(
		look->rows, "(ssss)", asks || !is_needed ? "warn" : "fail", CHECK, finding,
		"the group 'banger' allows it where no rule forbids it: ask an administrator");
}

static void
on_leave(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerPrivileged *privileged = BANGER_PRIVILEGED(source);
	Look *about = g_task_get_task_data(task);
	g_autoptr(GError) error = NULL;
	BangerLeave leave;

	if (!BANGER_PRIVILEGED_GET_IFACE(privileged)
		     ->look_leave_finish(privileged, result, &leave, &error)) {
		g_variant_builder_add(about->rows, "(ssss)", "fail", CHECK, error->message,
				      "see 'systemctl status polkit'");
		g_task_return_boolean(task, true);
		return;
	}
	tell(about, about->next++, leave);
	look(g_steal_pointer(&task));
}

/* One after the other, so that the rows are in their order. */
static void
look(GTask *task)
{
	BangerManager *manager = g_task_get_source_object(task);
	BangerPrivileged *privileged = manager->ports->privileged;
	Look *about = g_task_get_task_data(task);

	if (about->next < G_N_ELEMENTS(actions)) {
		BANGER_PRIVILEGED_GET_IFACE(privileged)
			->look_leave(privileged, actions[about->next].name, on_leave, task);
		return;
	}
	if (about->all)
		g_variant_builder_add(about->rows, "(ssss)", "pass", CHECK,
				      "polkit allows what VMs need", "");
	g_task_return_boolean(task, true);
	g_object_unref(task);
}

void
banger_diagnose_leave_async(BangerManager *manager, GVariantBuilder *rows,
			    GAsyncReadyCallback callback, void *data)
{
	GTask *task = g_task_new(manager, /* cancellable= */ NULL, callback, data);
	Look *about = g_new0(Look, 1);

	about->rows = rows;
	about->all = true;
	g_task_set_task_data(task, about, g_free);
	look(task);
}

void
banger_diagnose_leave_finish(GAsyncResult *result)
{
	(void)g_task_propagate_boolean(G_TASK(result), /* error= */ NULL);
}
