/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a daemon does that finds the state of the one before it: compare the record with what really
 * runs, and mend the record. */
#include "service/base/error.h"
#include "service/manager/manager-private.h"
#include "shared/base/log.h"

/* Ends when every VM has been looked after: each of them holds one count. */
typedef struct Recovery {
	unsigned pending;
	GList *vms; /* those there were when it began, with references: what comes later is nobody's but ours */
} Recovery;

static void
recovery_free(Recovery *recovery)
{
	g_list_free_full(recovery->vms, g_object_unref);
	g_free(recovery);
}

static void
unpend(GTask *task)
{
	Recovery *recovery = g_task_get_task_data(task);

	if (--recovery->pending == 0)
		g_task_return_boolean(task, true);
}

/* Its owner was told of the daemon's end by its own call's failure. */
static void
discard_ephemeral(BangerManager *self, BangerVm *vm)
{
	if (banger_vm_get_spec(vm)->ephemeral)
		banger_manager_discard_vm(self, vm);
}

static void
on_vm_recovered(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerManager *self = g_task_get_source_object(task);
	BangerVm *vm = BANGER_VM(source);

	/* What went wrong is in its LastError. */
	(void)banger_vm_recover_finish(vm, result, /* error= */ NULL);
	discard_ephemeral(self, vm);
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

/* In error is also what nobody could say of whether it runs. */
static bool
may_run(BangerVm *vm)
{
	BangerVmState state = banger_vm_get_state(vm);

	return banger_vm_state_is_live(state) || state == BANGER_VM_ERROR;
}

static void
release_strays(BangerManager *self, GTask *task, char **ids)
{
	Recovery *recovery = g_task_get_task_data(task);
	BangerPrivileged *privileged = self->ports->privileged;

	for (char **id = ids; id && *id; id++) {
		BangerVm *vm = g_hash_table_lookup(self->vms, *id);

		if (vm && may_run(vm))
			continue;
		bn_log_notice("vm=%s: no VM that runs owns this VMM: ending it", *id);
		recovery->pending++;
		BANGER_PRIVILEGED_GET_IFACE(privileged)
			->release(privileged, *id, "", on_stray_released, g_object_ref(task));
	}
}

/* `ids`: NULL where the helper could not say, for `unknown`. */
static void
recover_vm(BangerManager *self, GTask *task, BangerVm *vm, char **ids, const GError *unknown)
{
	Recovery *recovery = g_task_get_task_data(task);
	bool live = banger_vm_state_is_live(banger_vm_get_state(vm));
	bool listed = ids && g_strv_contains((const char *const *)ids, banger_vm_get_spec(vm)->id);

	if (live && !ids)
		banger_vm_lose(vm, unknown);
	if (ids && (live || (listed && may_run(vm)))) {
		recovery->pending++;
		banger_vm_recover_async(vm, listed, on_vm_recovered, g_object_ref(task));
	} else {
		discard_ephemeral(self, vm);
	}
}

/* While the helper was asked, somebody may have deleted or started it: then the helper's answer is older. */
static bool
is_left_to_us(BangerManager *self, BangerVm *vm)
{
	return g_hash_table_lookup(self->vms, banger_vm_get_spec(vm)->id) == vm &&
	       !banger_vm_is_attended(vm);
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
	bool bridge = false;

	if (BANGER_PRIVILEGED_GET_IFACE(privileged)
		    ->list_finish(privileged, result, &ids, &bridge, &error))
		banger_manager_find_network(self, bridge);
	else
		bn_log_error("the helper cannot say what runs: %s", error->message);
	/* Before anything is looked for, which has ended by then what it does not find. */
	release_strays(self, task, ids);
	for (GList *l = recovery->vms; l; l = l->next)
		if (is_left_to_us(self, l->data))
			recover_vm(self, task, l->data, ids, error);
	unpend(task);
}

/* Removes what interrupted creations left. Returns whether the helper may hold something of them. */
static bool
forget_incomplete(BangerManager *self)
{
	bool any = self->incomplete->len > 0;

	for (guint i = 0; i < self->incomplete->len; i++) {
		BangerVm *vm = g_ptr_array_index(self->incomplete, i);
		g_autoptr(GError) error = NULL;

		bn_log_notice("vm=%s: its creation was interrupted: removing what there is",
			      banger_vm_get_spec(vm)->id);
		if (!banger_manager_forget_vm(self, vm, &error))
			bn_log_error("%s", error->message);
	}
	g_ptr_array_set_size(self->incomplete, 0);
	return any;
}

/* Whether the helper may hold something of any; the others' owners are gone. */
static bool
sort_out(BangerManager *self)
{
	g_autoptr(GList) vms = banger_manager_list_vms(self);
	bool any = false;

	for (GList *l = vms; l; l = l->next) {
		if (may_run(l->data))
			any = true;
		else
			discard_ephemeral(self, l->data);
	}
	return any;
}

void
banger_manager_recover_async(BangerManager *self, GAsyncReadyCallback callback, void *data)
{
	g_autoptr(GTask) task = g_task_new(self, /* cancellable= */ NULL, callback, data);
	BangerPrivileged *privileged = self->ports->privileged;
	bool incomplete = forget_incomplete(self);
	bool any = sort_out(self);
	g_autoptr(GList) vms = banger_manager_list_vms(self);
	Recovery *recovery = g_new0(Recovery, 1);

	banger_manager_remove_remains(self);
	for (GList *l = vms; l; l = l->next)
		recovery->vms = g_list_prepend(recovery->vms, g_object_ref(l->data));
	g_task_set_task_data(task, recovery, (GDestroyNotify)recovery_free);
	recovery->pending = 1;
	/* Nothing ran: the helper need not be woken. */
	if (!incomplete && !any && !banger_manager_may_find_network(self))
		unpend(task);
	else
		BANGER_PRIVILEGED_GET_IFACE(privileged)
			->list(privileged, on_listed, g_object_ref(task));
}

void
banger_manager_recover_finish(BangerManager *self, GAsyncResult *result)
{
	(void)g_task_propagate_boolean(G_TASK(result), /* error= */ NULL);
	banger_manager_recover_network(self);
}
