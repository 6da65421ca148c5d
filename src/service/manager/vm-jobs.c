/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The jobs that make, start, stop and delete VMs. */
#include "service/base/error.h"
#include "service/base/names.h"
#include "service/manager/manager-private.h"
#include "shared/base/log.h"

/* Carried from the beginning of a job to its end. */
typedef struct Work {
	BangerManager *manager;
	BangerVm *vm;
	BangerJob *job;
	bool creates;
	GError *error; /* why a creation that had succeeded is taken back */
	bool looked;   /* whether it runs already, and it does not */
} Work;

static Work *
work_new(BangerManager *manager, BangerVm *vm, BangerJobKind kind, const char *operation)
{
	Work *work = g_new0(Work, 1);
	g_autofree char *path = banger_path_new("vm", banger_vm_get_spec(vm)->id);

	work->manager = g_object_ref(manager);
	work->vm = g_object_ref(vm);
	work->job = banger_manager_begin_job(manager, kind, path, operation);
	return work;
}

static void
work_free(Work *work)
{
	g_clear_error(&work->error);
	g_object_unref(work->job);
	g_object_unref(work->vm);
	g_object_unref(work->manager);
	g_free(work);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Work, work_free)

static void
on_progress(const char *text, double progress, void *data)
{
	banger_job_set_stage(data, text, progress);
}

/* A VM that was asked for in one breath with its start leaves nothing where either fails. */
static void
forget_failed(Work *work)
{
	g_autoptr(GError) error = NULL;

	if (!banger_manager_forget_vm(work->manager, work->vm, &error))
		bn_log_error("vm=%s: what was made of it could not be removed, ignoring: %s",
			     banger_vm_get_spec(work->vm)->id, error->message);
}

/* Of what the helper could not release there must be a name left to release it by. */
static void
keep_held(Work *work)
{
	const char *id = banger_vm_get_spec(work->vm)->id;
	g_autoptr(GError) error = NULL;

	if (!banger_store_set_vm_ready(work->manager->store, id, &error))
		bn_log_error("vm=%s: it could not be recorded, ignoring: %s", id, error->message);
}

static void
on_unrecorded_ended(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(Work) work = data;
	g_autoptr(GError) error = NULL;

	if (banger_vm_end_finish(work->vm, result, &error))
		forget_failed(work);
	banger_job_finish(work->job, g_steal_pointer(&work->error));
}

static void
finish_creation(Work *work, GError *error)
{
	g_autoptr(Work) owned = work;

	if (!error && banger_store_set_vm_ready(work->manager->store,
						banger_vm_get_spec(work->vm)->id, &error)) {
		banger_job_finish(work->job, NULL);
	} else if (banger_vm_state_is_live(banger_vm_get_state(work->vm))) {
		/* It runs, and after the next start of ours it would not exist. */
		work->error = error;
		banger_vm_end_async(work->vm, banger_job_get_operation(work->job),
				    on_unrecorded_ended, g_steal_pointer(&owned));
	} else {
		if (banger_vm_is_held(work->vm))
			keep_held(work);
		else
			forget_failed(work);
		banger_job_finish(work->job, error);
	}
}

static void look_first(Work *work);

static void
on_brought_up(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(Work) work = data;
	GError *error = NULL;

	(void)banger_vm_bring_up_finish(work->vm, result, &error);
	if (work->creates)
		finish_creation(g_steal_pointer(&work), error);
	else if (banger_error_is_already_exists(error) && !work->looked) {
		g_clear_error(&error);
		look_first(g_steal_pointer(&work));
	} else
		banger_job_finish(work->job, error);
}

static void
bring_up(Work *work, BangerPlanFlags flags)
{
	banger_vm_bring_up_async(work->vm, flags, banger_job_get_operation(work->job), on_progress,
				 work->job, banger_job_get_cancellable(work->job), on_brought_up,
				 work);
}

static void
on_looked(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(Work) work = data;
	GError *error = NULL;

	work->looked = true;
	if (banger_vm_recover_finish(work->vm, result, &error) &&
	    !banger_vm_state_is_live(banger_vm_get_state(work->vm)))
		bring_up(g_steal_pointer(&work), BANGER_PLAN_START);
	else
		banger_job_finish(work->job, error);
}

/* The helper has something of it, or may have: if that runs, it runs. */
static void
look_first(Work *work)
{
	banger_job_set_stage(work->job, "looking whether it runs", -1);
	banger_vm_recover_async(work->vm, /* lives= */ true, on_looked, work);
}

/* What is planned is what is run; before either the name is reserved. */
static BangerPlanFlags
creation_flags(bool start)
{
	return BANGER_PLAN_MAKE | (start ? BANGER_PLAN_START : 0);
}

char **
banger_manager_plan_vm(BangerManager *self, const BangerVmSpec *spec, GError **error)
{
	BangerPlan plan = banger_launch_plan_make(creation_flags(/* start= */ true), spec);
	g_autoptr(GStrvBuilder) lines = g_strv_builder_new();
	g_autofree char *reserve =
		g_strdup_printf("reserve the name %s (undo: forget it)", spec->name);
	g_auto(GStrv) steps = NULL;
	const BangerImageRow *image = banger_manager_find_image(self, spec->image, error);
	const BangerKernelRow *kernel =
		image ? banger_manager_find_kernel(self, spec->kernel, error) : NULL;

	if (!kernel || !banger_manager_check_free(self->vms, banger_manager_name_of_vm, "a VM",
						  spec->name, error))
		return NULL;
	steps = banger_launch_plan_render(&plan, spec, image->name, kernel->name);
	g_strv_builder_add(lines, reserve);
	g_strv_builder_addv(lines, (const char **)steps);
	return g_strv_builder_end(lines);
}

BangerJob *
banger_manager_create_vm(BangerManager *self, BangerVmSpec *spec, bool start, const char *operation,
			 BangerVm **ret_vm, GError **error)
{
	g_autoptr(BangerVm) vm = NULL;
	BangerJob *job;
	Work *work;

	if (!banger_store_add_vm(self->store, spec, error))
		return NULL;
	vm = banger_vm_new(spec, self->ports, self->kvm, self->network);
	banger_manager_adopt_vm(self, vm);
	work = work_new(self, vm, start ? BANGER_JOB_START : BANGER_JOB_CREATE, operation);
	work->creates = true;
	job = work->job;
	*ret_vm = vm;
	bring_up(work, creation_flags(start));
	return job;
}

static bool
check_made(BangerVm *vm, GError **error)
{
	if (!banger_vm_is_being_made(vm))
		return true;
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_BUSY, "VM %s is still being made",
		    banger_vm_get_spec(vm)->name);
	return false;
}

static BangerJob *
start(BangerManager *self, BangerVm *vm, BangerJobKind kind, const char *operation, GError **error)
{
	BangerJob *job;
	Work *work;

	if (!check_made(vm, error) || (banger_vm_get_state(vm) != BANGER_VM_PAUSED &&
				       !banger_vm_check_event(vm, BANGER_VM_EV_START, error)))
		return NULL;
	work = work_new(self, vm, kind, operation);
	job = work->job;
	if (banger_vm_is_held(vm))
		look_first(work);
	else
		bring_up(work, BANGER_PLAN_START);
	return job;
}

BangerJob *
banger_manager_start_vm(BangerManager *self, BangerVm *vm, const char *operation, GError **error)
{
	return start(self, vm, BANGER_JOB_START, operation, error);
}

static void
on_stopped(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(Work) work = data;
	GError *error = NULL;

	if (banger_vm_stop_finish(work->vm, result, &error) &&
	    banger_job_get_kind(work->job) == BANGER_JOB_RESTART)
		bring_up(g_steal_pointer(&work), BANGER_PLAN_START);
	else
		banger_job_finish(work->job, error);
}

static BangerJob *
stop(BangerManager *self, BangerVm *vm, BangerJobKind kind, unsigned timeout_s,
     const char *operation, GError **error)
{
	BangerJob *job;
	Work *work;

	if (banger_vm_get_state(vm) != BANGER_VM_STOPPING &&
	    !banger_vm_check_event(vm, BANGER_VM_EV_STOP, error))
		return NULL;
	work = work_new(self, vm, kind, operation);
	job = work->job;
	banger_job_set_stage(job, "stopping", -1);
	/* A guest that has begun to shut down cannot be called back. */
	banger_job_set_uncancellable(job);
	banger_vm_stop_async(vm, timeout_s, banger_job_get_operation(job), on_stopped, work);
	return job;
}

BangerJob *
banger_manager_stop_vm(BangerManager *self, BangerVm *vm, unsigned timeout_s, const char *operation,
		       GError **error)
{
	return stop(self, vm, BANGER_JOB_STOP, timeout_s, operation, error);
}

BangerJob *
banger_manager_restart_vm(BangerManager *self, BangerVm *vm, unsigned timeout_s,
			  const char *operation, GError **error)
{
	bool live = banger_vm_state_is_live(banger_vm_get_state(vm));

	if (live && banger_vm_get_spec(vm)->ephemeral) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_STATE,
			    "VM %s is ephemeral: it goes when it stops",
			    banger_vm_get_spec(vm)->name);
		return NULL;
	}
	return live ? stop(self, vm, BANGER_JOB_RESTART, timeout_s, operation, error)
		    : start(self, vm, BANGER_JOB_RESTART, operation, error);
}

static void
on_ended_for_delete(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(Work) work = data;
	GError *error = NULL;

	/* What may still use its disks keeps them. */
	if (!banger_vm_end_finish(work->vm, result, &error) ||
	    !banger_manager_forget_vm(work->manager, work->vm, &error)) {
		bn_log_error("vm=%s: it could not be deleted: %s", banger_vm_get_spec(work->vm)->id,
			     error->message);
		banger_vm_give_up_deletion(work->vm);
	}
	banger_job_finish(work->job, error);
}

BangerJob *
banger_manager_delete_vm(BangerManager *self, BangerVm *vm, bool force, const char *operation,
			 GError **error)
{
	const BangerVmSpec *spec = banger_vm_get_spec(vm);
	bool live = banger_vm_state_is_live(banger_vm_get_state(vm));
	BangerJob *job;
	Work *work;

	if (!force && !check_made(vm, error))
		return NULL;
	if (live && !force) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_STATE,
			    "VM %s is in state %s: stop it first, or delete it with force",
			    spec->name, banger_vm_state_to_string(banger_vm_get_state(vm)));
		return NULL;
	}
	work = work_new(self, vm, BANGER_JOB_DELETE, operation);
	job = work->job;
	banger_job_set_stage(job, "deleting", -1);
	banger_job_set_uncancellable(job);
	banger_vm_begin_deletion(vm);
	banger_vm_end_async(vm, banger_job_get_operation(job), on_ended_for_delete, work);
	return job;
}

void
banger_manager_discard_vm(BangerManager *self, BangerVm *vm)
{
	g_autoptr(GError) error = NULL;

	if (!g_hash_table_contains(self->vms, banger_vm_get_spec(vm)->id))
		return;
	if (banger_vm_is_being_deleted(vm))
		return;
	if (!banger_manager_delete_vm(self, vm, /* force= */ true, /* operation= */ NULL, &error))
		bn_log_error("vm=%s: it could not be deleted, ignoring: %s",
			     banger_vm_get_spec(vm)->id, error->message);
}

/* An owner's bond to one VM. */
typedef struct Bond {
	BangerManager *manager;
	BangerVm *vm; /* no reference: it goes when it is deleted, however long its owner stays */
} Bond;

static void
bond_free(gpointer data, GClosure *closure)
{
	Bond *bond = data;

	g_object_unref(bond->manager);
	g_free(bond);
}

static void
on_owner_gone(GCancellable *gone, Bond *bond)
{
	banger_manager_discard_vm(bond->manager, bond->vm);
}

void
banger_manager_bind_vm(BangerManager *self, BangerVm *vm, GCancellable *gone)
{
	Bond *bond = g_new0(Bond, 1);
	GClosure *closure = g_cclosure_new(G_CALLBACK(on_owner_gone), bond, bond_free);

	bond->manager = g_object_ref(self);
	bond->vm = vm;
	/* Ends the bond with the VM, and holds that while the owner's going is told. */
	g_object_watch_closure(G_OBJECT(vm), closure);
	(void)g_signal_connect_closure(gone, "cancelled", closure, /* after= */ FALSE);
}
