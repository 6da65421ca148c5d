/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is different about a VM that exists, from now on: which ports lead to it, whether it has peers, how far it
 * reaches. One after the other; where one cannot be had those before it are taken back. */
#include "service/manager/manager-private.h"
#include "shared/base/log.h"

typedef struct Set {
	BangerVm *vm;
	char *operation;
	BangerVmChange change; /* without the ports, which are borrowed */
	GArray *ports_before;
	bool peer_before;
	GError *error; /* what ends it, while it is taken back */
} Set;

static void
set_free(Set *set)
{
	g_object_unref(set->vm);
	g_free(set->operation);
	g_array_unref(set->ports_before);
	g_clear_error(&set->error);
	g_free(set);
}

static void
finish(GTask *task)
{
	BangerManager *self = g_task_get_source_object(task);
	Set *set = g_task_get_task_data(task);
	GError *error = NULL;

	if (banger_store_set_vm_network(self->store, banger_vm_get_spec(set->vm), &error))
		g_task_return_boolean(task, true);
	else
		g_task_return_error(task, error);
}

static void
give_up(GTask *task, GError *error)
{
	Set *set = g_task_get_task_data(task);

	(void)banger_vm_set_ports(set->vm, set->ports_before, /* error= */ NULL);
	g_task_return_error(task, error);
}

static void
on_peer_back(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	Set *set = g_task_get_task_data(task);
	g_autoptr(GError) error = NULL;

	if (!banger_vm_set_peer_finish(set->vm, result, &error))
		bn_log_warning("op=%s vm=%s: it stays as it was told to be among its peers, "
			       "ignoring: %s",
			       set->operation, banger_vm_get_spec(set->vm)->id, error->message);
	give_up(task, g_steal_pointer(&set->error));
}

static void
on_reach(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	Set *set = g_task_get_task_data(task);
	GError *error = NULL;

	if (banger_vm_set_reach_finish(set->vm, result, &error)) {
		finish(task);
	} else if (banger_vm_get_spec(set->vm)->peer != set->peer_before) {
		set->error = error;
		banger_vm_set_peer_async(set->vm, set->peer_before, set->operation, on_peer_back,
					 g_steal_pointer(&task));
	} else {
		give_up(task, error);
	}
}

static void
set_reach(GTask *task)
{
	Set *set = g_task_get_task_data(task);

	if (set->change.reach == _BANGER_REACH_INVALID)
		finish(task);
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
		give_up(task, error);
}

static bool
check(const Set *set, const GArray *ports, GError **error)
{
	BangerReach reach = set->change.reach == _BANGER_REACH_INVALID
				    ? banger_vm_get_spec(set->vm)->reach
				    : set->change.reach;

	/* One that was a peer may lose its network. */
	return (set->peer_before || banger_vm_spec_check_peer(reach, set->change.peer, error)) &&
	       banger_vm_spec_check_ports(reach, ports, error);
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
		      .ports_before = g_array_copy(spec->ports),
		      .peer_before = spec->peer };
	set->change.ports = NULL;
	g_task_set_task_data(task, set, (GDestroyNotify)set_free);
	if (!check(set, change->ports, &error) || !banger_vm_set_ports(vm, change->ports, &error))
		g_task_return_error(task, error);
	else if (change->peer != spec->peer)
		banger_vm_set_peer_async(vm, change->peer, operation, on_peer,
					 g_steal_pointer(&task));
	else
		set_reach(task);
}

bool
banger_manager_set_vm_finish(BangerManager *self, GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}
