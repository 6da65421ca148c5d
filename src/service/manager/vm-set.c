/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is different about a VM that exists, from now on: which ports lead to it, whether it has peers, how far it
 * reaches. First what may fail, and can be taken back, one after the other; then it is recorded; and last what cannot:
 * the ports that go, with all that is open there. */
#include "service/base/error.h"
#include "service/manager/manager-private.h"
#include "shared/base/log.h"

typedef struct Set {
	BangerVm *vm;
	char *operation;
	BangerVmChange change;
	GArray *ports, *taken; /* those of the change */
	BangerReach reach_before;
	bool peer_before;
	GError *error; /* what ends it, while it is taken back */
} Set;

static void
set_free(Set *set)
{
	g_object_unref(set->vm);
	g_free(set->operation);
	g_array_unref(set->ports);
	g_array_unref(set->taken);
	g_clear_error(&set->error);
	g_free(set);
}

/* `error`: NULL where all of it was had. */
static void
end(GTask *task, GError *error)
{
	BangerManager *self = g_task_get_source_object(task);
	Set *set = g_task_get_task_data(task);

	(void)g_hash_table_remove(self->changing, set->vm);
	if (error)
		g_task_return_error(task, error);
	else
		g_task_return_boolean(task, true);
}

static void
warn(const Set *set, const char *what, const GError *error)
{
	bn_log_warning("op=%s vm=%s: %s, ignoring: %s", set->operation,
		       banger_vm_get_spec(set->vm)->id, what, error->message);
}

static void
give_up(GTask *task)
{
	Set *set = g_task_get_task_data(task);

	banger_vm_give_back_ports(set->vm, set->taken);
	end(task, g_steal_pointer(&set->error));
}

static void
on_peer_back(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	Set *set = g_task_get_task_data(task);
	g_autoptr(GError) error = NULL;

	if (!banger_vm_set_peer_finish(set->vm, result, &error))
		warn(set, "it stays as it was told to be among its peers", error);
	give_up(task);
}

static void
take_peer_back(GTask *task)
{
	Set *set = g_task_get_task_data(task);

	if (banger_vm_get_spec(set->vm)->peer == set->peer_before)
		give_up(task);
	else
		banger_vm_set_peer_async(set->vm, set->peer_before, set->operation, on_peer_back,
					 g_object_ref(task));
}

static void
on_reach_back(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	Set *set = g_task_get_task_data(task);
	g_autoptr(GError) error = NULL;

	if (!banger_vm_set_reach_finish(set->vm, result, &error))
		warn(set, "it reaches as far as it was told to", error);
	take_peer_back(task);
}

static void
take_back(GTask *task, GError *error)
{
	Set *set = g_task_get_task_data(task);

	set->error = error;
	if (banger_vm_get_spec(set->vm)->reach == set->reach_before)
		take_peer_back(task);
	else
		banger_vm_set_reach_async(set->vm, set->reach_before, set->operation, on_reach_back,
					  g_object_ref(task));
}

static void
record(GTask *task)
{
	BangerManager *self = g_task_get_source_object(task);
	Set *set = g_task_get_task_data(task);
	g_autoptr(BangerVmSpec) spec = banger_vm_spec_dup(banger_vm_get_spec(set->vm));
	GError *error = NULL;

	g_array_unref(spec->ports);
	spec->ports = g_array_ref(set->ports);
	if (!banger_store_set_vm_network(self->store, spec, &error)) {
		take_back(task, error);
		return;
	}
	banger_vm_keep_ports(set->vm, set->ports);
	end(task, /* error= */ NULL);
}

static void
on_reach(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	Set *set = g_task_get_task_data(task);
	GError *error = NULL;

	if (banger_vm_set_reach_finish(set->vm, result, &error))
		record(task);
	else
		take_back(task, error);
}

static void
set_reach(GTask *task)
{
	Set *set = g_task_get_task_data(task);

	if (set->change.reach == _BANGER_REACH_INVALID)
		record(task);
	else
		banger_vm_set_reach_async(set->vm, set->change.reach, set->operation, on_reach,
					  g_object_ref(task));
}

static void
on_peer(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	Set *set = g_task_get_task_data(task);
	GError *error = NULL;

	if (banger_vm_set_peer_finish(set->vm, result, &error))
		set_reach(task);
	else
		take_back(task, error);
}

static void
set_peer(GTask *task)
{
	Set *set = g_task_get_task_data(task);

	if (!set->change.sets_peer || set->change.peer == set->peer_before)
		set_reach(task);
	else
		banger_vm_set_peer_async(set->vm, set->change.peer, set->operation, on_peer,
					 g_object_ref(task));
}

static bool
check_free(BangerManager *self, BangerVm *vm, GError **error)
{
	if (!g_hash_table_contains(self->changing, vm))
		return true;
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_BUSY,
		    "VM %s is being changed already: wait until that is done, and try again",
		    banger_vm_get_spec(vm)->name);
	return false;
}

/* One that is a peer may lose its network; to be asked for both at once makes no sense. */
static bool
check(const Set *set, GError **error)
{
	const BangerVmChange *change = &set->change;
	bool sets_reach = change->reach != _BANGER_REACH_INVALID;
	BangerReach reach = sets_reach ? change->reach : set->reach_before;

	return (!change->sets_peer || banger_vm_spec_check_peer(reach, change->peer, error)) &&
	       banger_vm_spec_check_ports(reach, set->ports, error) &&
	       (!sets_reach || banger_vm_check_reach(set->vm, reach, error));
}

void
banger_manager_set_vm_async(BangerManager *self, BangerVm *vm, const BangerVmChange *change,
			    const char *operation, GAsyncReadyCallback callback, void *data)
{
	const BangerVmSpec *spec = banger_vm_get_spec(vm);
	g_autoptr(GTask) task = g_task_new(self, /* cancellable= */ NULL, callback, data);
	Set *set = g_new0(Set, 1);
	GError *error = NULL;

	*set = (Set){ .vm = g_object_ref(vm),
		      .operation = g_strdup(operation),
		      .change = *change,
		      .ports = g_array_copy((GArray *)change->ports),
		      .taken = g_array_copy((GArray *)change->taken),
		      .reach_before = spec->reach,
		      .peer_before = spec->peer };
	set->change.ports = set->change.taken = NULL; /* the caller's */
	g_task_set_task_data(task, set, (GDestroyNotify)set_free);
	if (!check_free(self, vm, &error) || !check(set, &error) ||
	    !banger_vm_take_ports(vm, set->taken, &error)) {
		g_task_return_error(task, error);
		return;
	}
	(void)g_hash_table_add(self->changing, vm);
	set_peer(task);
}

bool
banger_manager_set_vm_finish(BangerManager *self, GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}
