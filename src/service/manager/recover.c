/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a daemon does that finds the state of the one before it: compare the record with what really
 * runs, and mend the record. */
#include "service/base/error.h"
#include "service/manager/manager-private.h"
#include "shared/base/log.h"

/* Ends when every VM has been looked after: each of them holds one count. */
typedef struct Recovery {
	unsigned pending;
} Recovery;

static void
unpend(GTask *task)
{
	Recovery *recovery = g_task_get_task_data(task);

	if (--recovery->pending == 0)
		g_task_return_boolean(task, true);
}

static void
on_vm_recovered(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerManager *self = g_task_get_source_object(task);
	BangerVm *vm = BANGER_VM(source);

	banger_vm_recover_finish(vm, result);
	/* Its owner was told of the daemon's end by its own call's failure. */
	if (banger_vm_get_spec(vm)->ephemeral)
		banger_manager_discard_vm(self, vm);
	unpend(task);
}

static void
on_stray_released(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerPrivileged *privileged = BANGER_PRIVILEGED(source);
	g_autoptr(GError) error = NULL;
	g_autofree char *ended = NULL;

	if (!BANGER_PRIVILEGED_GET_IFACE(privileged)
		     ->release_finish(privileged, result, &ended, &error))
		bn_log_warning("a VMM that no VM owns could not be ended, ignoring: %s",
			       error->message);
	unpend(task);
}

static void
release_strays(BangerManager *self, GTask *task, char **ids)
{
	Recovery *recovery = g_task_get_task_data(task);
	BangerPrivileged *privileged = self->ports->privileged;

	for (char **id = ids; id && *id; id++) {
		if (g_hash_table_contains(self->vms, *id))
			continue;
		bn_log_notice("vm=%s: no VM owns this VMM: ending it", *id);
		recovery->pending++;
		BANGER_PRIVILEGED_GET_IFACE(privileged)
			->release(privileged, *id, "", on_stray_released, g_object_ref(task));
	}
}

static void
on_listed(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerManager *self = g_task_get_source_object(task);
	Recovery *recovery = g_task_get_task_data(task);
	BangerPrivileged *privileged = BANGER_PRIVILEGED(source);
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) ids = NULL;
	g_autoptr(GList) vms = banger_manager_list_vms(self);

	if (!BANGER_PRIVILEGED_GET_IFACE(privileged)->list_finish(privileged, result, &ids, &error))
		bn_log_error("the helper cannot say what runs: %s", error->message);
	for (GList *l = vms; l; l = l->next) {
		BangerVm *vm = l->data;
		const char *id = banger_vm_get_spec(vm)->id;

		if (!banger_vm_state_is_live(banger_vm_get_state(vm)))
			continue;
		recovery->pending++;
		banger_vm_recover_async(vm, ids && g_strv_contains((const char *const *)ids, id),
					on_vm_recovered, g_object_ref(task));
	}
	release_strays(self, task, ids);
	unpend(task);
}

/* Removes what an interrupted creation left. Returns whether the helper may hold something of it. */
static bool
forget_incomplete(BangerManager *self)
{
	g_autoptr(GList) vms = banger_manager_list_vms(self);
	bool any = false;

	for (GList *l = vms; l; l = l->next) {
		BangerVm *vm = l->data;
		g_autoptr(GError) error = NULL;

		if (!g_object_get_data(G_OBJECT(vm), "incomplete"))
			continue;
		any = true;
		bn_log_notice("vm=%s: its creation was interrupted: removing what there is",
			      banger_vm_get_spec(vm)->id);
		if (!banger_manager_forget_vm(self, vm, &error))
			bn_log_error("%s", error->message);
	}
	return any;
}

static bool
has_live(BangerManager *self)
{
	g_autoptr(GList) vms = banger_manager_list_vms(self);

	for (GList *l = vms; l; l = l->next)
		if (banger_vm_state_is_live(banger_vm_get_state(l->data)))
			return true;
	return false;
}

void
banger_manager_recover_async(BangerManager *self, GAsyncReadyCallback callback, void *data)
{
	g_autoptr(GTask) task = g_task_new(self, /* cancellable= */ NULL, callback, data);
	BangerPrivileged *privileged = self->ports->privileged;
	bool incomplete = forget_incomplete(self);
	Recovery *recovery = g_new0(Recovery, 1);

	g_task_set_task_data(task, recovery, g_free);
	recovery->pending = 1;
	/* Nothing ran: the helper need not be woken. */
	if (!incomplete && !has_live(self))
		unpend(task);
	else
		BANGER_PRIVILEGED_GET_IFACE(privileged)
			->list(privileged, on_listed, g_object_ref(task));
}

void
banger_manager_recover_finish(BangerManager *self, GAsyncResult *result)
{
	(void)g_task_propagate_boolean(G_TASK(result), /* error= */ NULL);
}
