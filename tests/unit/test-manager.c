/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a manager makes of the record it finds and of requests that meet, with a real store and faked ports. */
#include "test.h"

#include <glib/gstdio.h>
#include <sqlite3.h>

#include "fakes/fake-ports.h"
#include "service/base/error.h"
#include "service/base/remove-tree.h"
#include "service/manager/manager.h"
#include "service/manager/migrations.h"

#define IMAGE  "11111111111111111111111111111111"
#define KERNEL "22222222222222222222222222222222"
#define WEB    "33333333333333333333333333333333"
#define STRAY  "44444444444444444444444444444444"

typedef struct Rig {
	char *directory;
	FakePorts *fakes;
	BangerStore *store;
	BangerKvmVerdict *kvm;
	BangerManager *manager;
	bool recovered;
	char *taken;
} Rig;

/* A job's end, kept after the job has gone. */
typedef struct End {
	bool done;
	GError *error;
} End;

static void
end_clear(End *end)
{
	g_clear_error(&end->error);
	end->done = false;
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(End, end_clear)

/* A store that knows an image and a kernel, and no manager yet. */
static void
rig_init(Rig *rig)
{
	BangerImageRow image = { .id = (char *)IMAGE,
				 .name = (char *)"base",
				 .digest = (char *)"",
				 .init = (char *)"",
				 .source = (char *)"" };
	BangerKernelRow kernel = { .id = (char *)KERNEL,
				   .name = (char *)"linux",
				   .release = (char *)"",
				   .digest = (char *)"",
				   .source = (char *)"" };

	rig->directory = g_dir_make_tmp("banger-manager-XXXXXX", NULL);
	check(rig->directory);
	rig->fakes = fake_ports_new();
	rig->store = banger_store_open(rig->directory, NULL);
	check(banger_store_add_image(rig->store, &image, NULL));
	check(banger_store_add_kernel(rig->store, &kernel, NULL));
	rig->kvm = banger_kvm_verdict_new(rig->fakes->ports.privileged);
}

static void
rig_done(Rig *rig)
{
	fake_ports_settle(rig->fakes);
	g_clear_object(&rig->manager);
	g_clear_object(&rig->store);
	g_clear_object(&rig->kvm);
	fake_ports_free(rig->fakes);
	check(banger_remove_tree(rig->directory, NULL));
	g_free(rig->directory);
	g_free(rig->taken);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Rig, rig_done)

static BangerVmSpec *
make_spec(bool ephemeral)
{
	BangerVmSpec *spec = banger_vm_spec_new();

	spec->id = g_strdup(WEB);
	spec->name = g_strdup("web");
	spec->image = g_strdup(IMAGE);
	spec->kernel = g_strdup(KERNEL);
	spec->ephemeral = ephemeral;
	return spec;
}

/* What a manager before left. */
static void
record(Rig *rig, BangerVmState state, bool ephemeral)
{
	g_autoptr(BangerVmSpec) spec = make_spec(ephemeral);

	check(banger_store_add_vm(rig->store, spec, NULL));
	check(banger_store_set_vm_ready(rig->store, WEB, NULL));
	check(banger_store_update_vm(rig->store, WEB, state, "", 1, NULL));
}

static void
on_recovered(GObject *source, GAsyncResult *result, gpointer data)
{
	banger_manager_recover_finish(BANGER_MANAGER(source), result);
	((Rig *)data)->recovered = true;
}

static void
rig_begin(Rig *rig)
{
	rig->manager = banger_manager_new(rig->store, &rig->fakes->ports, rig->kvm, NULL);
	check(rig->manager);
	banger_manager_recover_async(rig->manager, on_recovered, rig);
	fake_ports_settle(rig->fakes);
}

static const char *
take_log(Rig *rig)
{
	g_free(rig->taken);
	rig->taken = g_strchomp(g_strdup(rig->fakes->log->str));
	g_string_truncate(rig->fakes->log, 0);
	return rig->taken;
}

static BangerVm *
find_web(Rig *rig)
{
	return banger_manager_find_vm(rig->manager, "web", NULL);
}

static void
check_web(Rig *rig, BangerVmState state)
{
	BangerVm *vm = find_web(rig);
	g_autoptr(GPtrArray) rows = banger_store_list_vms(rig->store, NULL);
	BangerVmRow *row;

	check(vm);
	check_int(banger_vm_get_state(vm), state);
	check_int(rows->len, 1);
	row = g_ptr_array_index(rows, 0);
	check_int(row->state, state);
}

static void
check_no_web(Rig *rig)
{
	g_autoptr(GPtrArray) rows = banger_store_list_vms(rig->store, NULL);

	check(!find_web(rig));
	check_int(rows->len, 0);
}

static void
on_finished(BangerJob *job, End *end)
{
	const GError *error = banger_job_get_error(job);

	end->done = true;
	if (error)
		end->error = g_error_copy(error);
}

static void
watch(Rig *rig, BangerJob *job, End *end)
{
	check(job);
	g_signal_connect(job, "finished", G_CALLBACK(on_finished), end);
	fake_ports_settle(rig->fakes);
}

static BangerVm *
create_as(Rig *rig, bool ephemeral, bool start, End *end)
{
	g_autoptr(BangerVmSpec) spec = make_spec(ephemeral);
	BangerVm *vm = NULL;

	watch(rig, banger_manager_create_vm(rig->manager, spec, start, "operation", &vm, NULL),
	      end);
	return vm;
}

static BangerVm *
create(Rig *rig, bool start, End *end)
{
	return create_as(rig, /* ephemeral= */ false, start, end);
}

static void
walk(Rig *rig)
{
	static const char *const calls[] = { "create", "probe", "launch", "guest-open",
					     "set-clock" };

	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++)
		if (fake_ports_is_asked(rig->fakes, calls[i]))
			fake_ports_succeed(rig->fakes, calls[i]);
}

/* A VM that runs, found by this manager. */
static void
rig_run(Rig *rig)
{
	rig_init(rig);
	record(rig, BANGER_VM_RUNNING, /* ephemeral= */ false);
	rig->fakes->listed[0] = WEB;
	rig_begin(rig);
	fake_ports_succeed(rig->fakes, "list");
	fake_ports_succeed(rig->fakes, "open");
	fake_ports_succeed(rig->fakes, "guest-open");
	check(rig->recovered);
	(void)take_log(rig);
}

static void
finish_off(Rig *rig)
{
	g_auto(End) deleted = {};

	watch(rig,
	      banger_manager_delete_vm(rig->manager, find_web(rig), /* force= */ true, "", NULL),
	      &deleted);
	if (fake_ports_is_asked(rig->fakes, "release"))
		fake_ports_succeed(rig->fakes, "release");
	check(deleted.done && !deleted.error);
	check_no_web(rig);
}

static void
test_recover_when_nothing_may_run_then_the_helper_is_not_asked(void)
{
	g_auto(Rig) rig = {};

	rig_init(&rig);
	record(&rig, BANGER_VM_STOPPED, /* ephemeral= */ false);
	rig_begin(&rig);
	check(rig.recovered);
	check_str(take_log(&rig), "");
	check_web(&rig, BANGER_VM_STOPPED);
}

static void
test_recover_when_it_runs_then_running(void)
{
	g_auto(Rig) rig = {};

	rig_run(&rig);
	check_web(&rig, BANGER_VM_RUNNING);
	finish_off(&rig);
}

static void
test_recover_when_the_helper_cannot_list_then_nothing_is_ended(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) first = {}, started = {};

	rig_init(&rig);
	record(&rig, BANGER_VM_RUNNING, /* ephemeral= */ false);
	rig_begin(&rig);
	fake_ports_fail(rig.fakes, "list", BANGER_ERROR_HELPER_UNAVAILABLE);
	check(rig.recovered);
	check_str(take_log(&rig), "list");
	check_web(&rig, BANGER_VM_ERROR);
	/* Starting looks for it, and only that. */
	watch(&rig, banger_manager_start_vm(rig.manager, find_web(&rig), "", NULL), &first);
	fake_ports_fail(rig.fakes, "open", BANGER_ERROR_HELPER_UNAVAILABLE);
	check(g_error_matches(first.error, BANGER_ERROR, BANGER_ERROR_HELPER_UNAVAILABLE));
	watch(&rig, banger_manager_start_vm(rig.manager, find_web(&rig), "", NULL), &started);
	fake_ports_succeed(rig.fakes, "open");
	fake_ports_succeed(rig.fakes, "guest-open");
	check(started.done && !started.error);
	check_str(take_log(&rig), "open open vmm-new guest-new console-again guest-open");
	check_web(&rig, BANGER_VM_RUNNING);
	finish_off(&rig);
}

/* What was lost by one manager is found by the next. */
static void
test_recover_when_in_error_and_listed_then_looked_for(void)
{
	g_auto(Rig) rig = {};

	rig_init(&rig);
	record(&rig, BANGER_VM_ERROR, /* ephemeral= */ false);
	rig.fakes->listed[0] = WEB;
	rig_begin(&rig);
	fake_ports_succeed(rig.fakes, "list");
	fake_ports_succeed(rig.fakes, "open");
	fake_ports_succeed(rig.fakes, "guest-open");
	check_web(&rig, BANGER_VM_RUNNING);
	finish_off(&rig);
}

static void
test_recover_when_in_error_and_not_listed_then_left(void)
{
	g_auto(Rig) rig = {};

	rig_init(&rig);
	record(&rig, BANGER_VM_ERROR, /* ephemeral= */ false);
	rig_begin(&rig);
	fake_ports_succeed(rig.fakes, "list");
	check_str(take_log(&rig), "list");
	check_web(&rig, BANGER_VM_ERROR);
}

static void
test_recover_when_its_creation_was_interrupted_then_nothing_stays_of_it(void)
{
	g_auto(Rig) rig = {};
	g_autoptr(BangerVmSpec) spec = make_spec(/* ephemeral= */ false);

	rig_init(&rig);
	check(banger_store_add_vm(rig.store, spec, NULL));
	rig.fakes->listed[0] = WEB;
	rig_begin(&rig);
	check_no_web(&rig);
	fake_ports_succeed(rig.fakes, "list");
	fake_ports_succeed(rig.fakes, "release");
	check(rig.recovered);
	check_str(take_log(&rig), "destroy list release");
}

/* The answer to "what runs" is older than it. */
static void
test_recover_when_another_is_started_meanwhile_then_that_one_goes_on(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) created = {};
	g_autoptr(BangerVmSpec) other = make_spec(/* ephemeral= */ true);
	BangerVm *vm = NULL;

	g_free(other->id);
	other->id = g_strdup(STRAY);
	g_free(other->name);
	other->name = g_strdup("other");
	rig_init(&rig);
	record(&rig, BANGER_VM_RUNNING, /* ephemeral= */ false);
	rig.fakes->listed[0] = WEB;
	rig_begin(&rig);
	watch(&rig, banger_manager_create_vm(rig.manager, other, /* start= */ true, "", &vm, NULL),
	      &created);
	fake_ports_succeed(rig.fakes, "list");
	fake_ports_succeed(rig.fakes, "open");
	fake_ports_succeed(rig.fakes, "guest-open");
	check(rig.recovered);
	walk(&rig);
	check(created.done && !created.error);
	check_int(banger_vm_get_state(vm), BANGER_VM_RUNNING);
	check(!strstr(take_log(&rig), "release"));
	fake_ports_end_process(rig.fakes);
	fake_ports_settle(rig.fakes);
	fake_ports_succeed(rig.fakes, "release");
	finish_off(&rig);
}

static void
test_recover_when_one_is_deleted_meanwhile_then_not_looked_for(void)
{
	g_auto(Rig) rig = {};

	rig_init(&rig);
	record(&rig, BANGER_VM_ERROR, /* ephemeral= */ false);
	rig.fakes->listed[0] = WEB;
	rig_begin(&rig);
	finish_off(&rig);
	fake_ports_succeed(rig.fakes, "list");
	/* Whatever the helper has of it is nobody's now. */
	fake_ports_succeed(rig.fakes, "release");
	check(rig.recovered);
	check_str(take_log(&rig), "list destroy release");
}

static void
test_recover_when_nobody_owns_a_vmm_then_it_is_ended(void)
{
	g_auto(Rig) rig = {};

	rig_init(&rig);
	record(&rig, BANGER_VM_RUNNING, /* ephemeral= */ false);
	rig.fakes->listed[0] = STRAY;
	rig_begin(&rig);
	fake_ports_succeed(rig.fakes, "list");
	/* The stray one, and what there may be of ours. */
	fake_ports_succeed(rig.fakes, "release");
	check(!rig.recovered);
	fake_ports_succeed(rig.fakes, "release");
	check(rig.recovered);
	check_str(take_log(&rig), "list release release");
	check_web(&rig, BANGER_VM_STOPPED);
}

static void
test_recover_when_a_stopped_vm_has_a_vmm_then_it_is_ended(void)
{
	g_auto(Rig) rig = {};
	g_autoptr(BangerVmSpec) other = make_spec(/* ephemeral= */ false);

	rig_init(&rig);
	record(&rig, BANGER_VM_STOPPED, /* ephemeral= */ false);
	g_free(other->id);
	g_free(other->name);
	other->id = g_strdup(STRAY);
	other->name = g_strdup("other");
	check(banger_store_add_vm(rig.store, other, NULL));
	check(banger_store_set_vm_ready(rig.store, STRAY, NULL));
	check(banger_store_update_vm(rig.store, STRAY, BANGER_VM_ERROR, "", 1, NULL));
	rig.fakes->listed[0] = WEB;
	rig_begin(&rig);
	fake_ports_succeed(rig.fakes, "list");
	fake_ports_succeed(rig.fakes, "release");
	check(rig.recovered);
	check_str(take_log(&rig), "list release");
	check_int(banger_vm_get_state(find_web(&rig)), BANGER_VM_STOPPED);
}

static void
test_recover_when_ephemeral_then_deleted_whatever_its_state(void)
{
	static const BangerVmState states[] = { BANGER_VM_CREATED, BANGER_VM_STOPPED,
						BANGER_VM_ERROR, BANGER_VM_RUNNING };

	for (size_t i = 0; i < G_N_ELEMENTS(states); i++) {
		g_auto(Rig) rig = {};

		rig_init(&rig);
		record(&rig, states[i], /* ephemeral= */ true);
		rig_begin(&rig);
		if (fake_ports_is_asked(rig.fakes, "list"))
			fake_ports_succeed(rig.fakes, "list");
		if (fake_ports_is_asked(rig.fakes, "release"))
			fake_ports_succeed(rig.fakes, "release");
		check(rig.recovered);
		check_no_web(&rig);
	}
}

static void
test_discard_when_it_fails_then_it_may_be_tried_again(void)
{
	g_auto(Rig) rig = {};

	rig_run(&rig);
	banger_manager_discard_vm(rig.manager, find_web(&rig));
	banger_manager_discard_vm(rig.manager, find_web(&rig));
	fake_ports_settle(rig.fakes);
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
	check_str(take_log(&rig), "release");
	/* Its disks may be in use. */
	check_web(&rig, BANGER_VM_ERROR);
	banger_manager_discard_vm(rig.manager, find_web(&rig));
	fake_ports_settle(rig.fakes);
	fake_ports_succeed(rig.fakes, "release");
	check_str(take_log(&rig), "release destroy");
	check_no_web(&rig);
}

/* Nothing can be written to the column that says that a VM is complete. */
static void
refuse_ready(Rig *rig)
{
	g_autofree char *path = g_strdup_printf("%s/state-%d.db", rig->directory, BANGER_SCHEMA);
	sqlite3 *db = NULL;

	check_int(sqlite3_open(path, &db), SQLITE_OK);
	check_int(sqlite3_exec(db,
			       "CREATE TRIGGER refuse BEFORE UPDATE OF ready ON vm"
			       " BEGIN SELECT RAISE(ABORT, 'refused'); END",
			       NULL, NULL, NULL),
		  SQLITE_OK);
	check_int(sqlite3_close(db), SQLITE_OK);
}

static void
test_create_when_it_runs_and_cannot_be_recorded_then_ended_before_it_is_forgotten(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) created = {};

	rig_init(&rig);
	rig_begin(&rig);
	refuse_ready(&rig);
	(void)create(&rig, /* start= */ true, &created);
	walk(&rig);
	check(!created.done);
	check(find_web(&rig));
	fake_ports_succeed(rig.fakes, "release");
	check(created.error);
	check(g_str_has_suffix(take_log(&rig), "set-clock release destroy"));
	check_no_web(&rig);
}

static void
test_create_when_its_start_fails_and_it_cannot_be_released_then_kept_with_its_disk(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) created = {};

	rig_init(&rig);
	rig_begin(&rig);
	(void)create(&rig, /* start= */ true, &created);
	fake_ports_succeed(rig.fakes, "create");
	fake_ports_succeed(rig.fakes, "probe");
	fake_ports_succeed(rig.fakes, "launch");
	fake_ports_fail(rig.fakes, "guest-open", BANGER_ERROR_GUEST_UNREACHABLE);
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
	check(g_error_matches(created.error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE));
	check(!strstr(take_log(&rig), "destroy"));
	check_web(&rig, BANGER_VM_ERROR);
	/* The next manager knows it too. */
	g_clear_object(&rig.manager);
	rig.fakes->listed[0] = WEB;
	rig_begin(&rig);
	fake_ports_succeed(rig.fakes, "list");
	fake_ports_succeed(rig.fakes, "open");
	check_str(take_log(&rig), "list open vmm-new guest-new console-again guest-open");
	fake_ports_succeed(rig.fakes, "guest-open");
	finish_off(&rig);
	check_str(take_log(&rig), "release destroy");
}

static void
test_restart_when_ephemeral_and_running_then_refused(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) created = {};
	g_autoptr(GError) error = NULL;
	BangerVm *vm;

	rig_init(&rig);
	rig_begin(&rig);
	vm = create_as(&rig, /* ephemeral= */ true, /* start= */ true, &created);
	walk(&rig);
	check(!banger_manager_restart_vm(rig.manager, vm, 10, "", &error));
	check(g_error_matches(error, BANGER_ERROR, BANGER_ERROR_INVALID_STATE));
	check_str(error->message, "VM web is ephemeral: it goes when it stops");
	check_web(&rig, BANGER_VM_RUNNING);
	finish_off(&rig);
}

/* A name may look like the beginning of an id. */
static void
test_plan_when_its_name_begins_anothers_id_then_planned_as_it_would_be_created(void)
{
	g_auto(Rig) rig = {};
	g_autoptr(BangerVmSpec) spec = make_spec(/* ephemeral= */ false);
	g_autoptr(GError) taken = NULL;
	g_auto(GStrv) plan = NULL;

	rig_init(&rig);
	record(&rig, BANGER_VM_STOPPED, /* ephemeral= */ false);
	rig_begin(&rig);
	check(!banger_manager_plan_vm(rig.manager, spec, &taken));
	check(banger_error_is_already_exists(taken));
	check_str(taken->message, "a VM named web already exists");
	g_free(spec->name);
	spec->name = g_strdup("33");
	plan = banger_manager_plan_vm(rig.manager, spec, NULL);
	check(plan);
	check_str(plan[0], "reserve the name 33 (undo: forget it)");
	check(g_str_has_prefix(plan[1], "make an empty disk"));
	check_str(take_log(&rig), "");
}

static void
test_owner_when_it_goes_then_its_vm_does_and_one_deleted_before_is_held_by_nobody(void)
{
	for (int deleted_before = 0; deleted_before < 2; deleted_before++) {
		g_autoptr(GCancellable) owner = g_cancellable_new();
		g_auto(Rig) rig = {};
		g_auto(End) created = {};
		BangerVm *vm;

		rig_init(&rig);
		rig_begin(&rig);
		vm = create_as(&rig, /* ephemeral= */ true, /* start= */ false, &created);
		banger_manager_bind_vm(rig.manager, vm, owner);
		fake_ports_succeed(rig.fakes, "create");
		check(created.done && !created.error);
		g_object_add_weak_pointer(G_OBJECT(vm), (gpointer *)&vm);
		if (deleted_before) {
			finish_off(&rig);
			fake_ports_settle(rig.fakes);
			check(!vm);
		}
		g_cancellable_cancel(owner);
		fake_ports_settle(rig.fakes);
		check_no_web(&rig);
		check(!vm);
	}
}

static void
on_guest(GObject *source, GAsyncResult *result, gpointer data)
{
	(void)banger_vm_wait_guest_finish(BANGER_VM(source), result, data);
}

/* A disk is taken away from what has ended, and not from what has begun again meanwhile. */
static void
test_delete_when_a_restart_waits_for_the_same_end_then_not_started_again(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) restarted = {}, deleted = {};
	BangerVm *vm;

	rig_run(&rig);
	vm = find_web(&rig);
	watch(&rig, banger_manager_restart_vm(rig.manager, vm, 10, "", NULL), &restarted);
	watch(&rig, banger_manager_delete_vm(rig.manager, vm, /* force= */ true, "", NULL),
	      &deleted);
	fake_ports_succeed(rig.fakes, "release");
	check(g_error_matches(restarted.error, BANGER_ERROR, BANGER_ERROR_BUSY));
	check(deleted.done && !deleted.error);
	fake_ports_fail(rig.fakes, "shutdown", BANGER_ERROR_GUEST_UNREACHABLE);
	check_str(take_log(&rig), "shutdown release destroy");
	check_no_web(&rig);
}

static void
test_delete_when_held_then_neither_started_nor_looked_for_until_it_has_failed(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) stopped = {}, deleted = {}, started = {};
	g_autoptr(GError) start = NULL, guest = NULL;
	BangerVm *vm;

	rig_run(&rig);
	vm = find_web(&rig);
	watch(&rig, banger_manager_stop_vm(rig.manager, vm, 0, "", NULL), &stopped);
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
	watch(&rig, banger_manager_delete_vm(rig.manager, vm, /* force= */ false, "", NULL),
	      &deleted);
	check(!banger_manager_start_vm(rig.manager, vm, "", &start));
	check(g_error_matches(start, BANGER_ERROR, BANGER_ERROR_BUSY));
	check_str(start->message, "VM web is being deleted");
	banger_vm_wait_guest_async(vm, /* cancellable= */ NULL, on_guest, &guest);
	fake_ports_settle(rig.fakes);
	check(g_error_matches(guest, BANGER_ERROR, BANGER_ERROR_INVALID_STATE));
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
	check(deleted.error);
	check_str(take_log(&rig), "release release");
	watch(&rig, banger_manager_start_vm(rig.manager, vm, "", NULL), &started);
	fake_ports_succeed(rig.fakes, "open");
	fake_ports_succeed(rig.fakes, "guest-open");
	check(started.done && !started.error);
	finish_off(&rig);
}

static void
test_start_when_being_made_then_busy(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) created = {};
	g_autoptr(GError) start = NULL, delete = NULL;
	BangerVm *vm;

	rig_init(&rig);
	rig_begin(&rig);
	vm = create(&rig, /* start= */ false, &created);
	check(!banger_manager_start_vm(rig.manager, vm, "", &start));
	check(g_error_matches(start, BANGER_ERROR, BANGER_ERROR_BUSY));
	check(!banger_manager_delete_vm(rig.manager, vm, /* force= */ false, "", &delete));
	check(g_error_matches(delete, BANGER_ERROR, BANGER_ERROR_BUSY));
	fake_ports_succeed(rig.fakes, "create");
	check(created.done && !created.error);
	check_web(&rig, BANGER_VM_CREATED);
}

static void
test_delete_when_being_made_and_forced_then_undone_once(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) created = {}, deleted = {};
	BangerVm *vm;

	rig_init(&rig);
	rig_begin(&rig);
	vm = create(&rig, /* start= */ false, &created);
	watch(&rig, banger_manager_delete_vm(rig.manager, vm, /* force= */ true, "", NULL),
	      &deleted);
	check(!deleted.done);
	fake_ports_fail(rig.fakes, "create", BANGER_ERROR_CANCELLED);
	check(g_error_matches(created.error, BANGER_ERROR, BANGER_ERROR_CANCELLED));
	check(deleted.done && !deleted.error);
	check_str(take_log(&rig), "create destroy");
	check_no_web(&rig);
}

/* The record says that it is stopped, the helper that it has one. */
static void
test_start_when_the_helper_has_one_already_then_it_is_taken_over_or_replaced(void)
{
	for (int found = 0; found < 2; found++) {
		g_auto(Rig) rig = {};
		g_auto(End) started = {};

		rig_init(&rig);
		record(&rig, BANGER_VM_STOPPED, /* ephemeral= */ false);
		rig_begin(&rig);
		watch(&rig, banger_manager_start_vm(rig.manager, find_web(&rig), "", NULL),
		      &started);
		fake_ports_succeed(rig.fakes, "probe");
		fake_ports_fail(rig.fakes, "launch", BANGER_ERROR_ALREADY_EXISTS);
		if (found) {
			fake_ports_succeed(rig.fakes, "open");
		} else {
			fake_ports_fail(rig.fakes, "open", BANGER_ERROR_NOT_FOUND);
			fake_ports_succeed(rig.fakes, "release");
		}
		walk(&rig);
		check(started.done && !started.error);
		check_web(&rig, BANGER_VM_RUNNING);
		finish_off(&rig);
	}
}

static void
test_session_when_something_runs_then_the_host_waits_for_us(void)
{
	g_auto(Rig) rig = {};

	rig_run(&rig);
	check(rig.fakes->held);
	finish_off(&rig);
	check(!rig.fakes->held);
}

static void
test_session_when_the_host_goes_down_then_guests_are_asked_to_shut_down(void)
{
	g_auto(Rig) rig = {};

	rig_run(&rig);
	g_signal_emit_by_name(rig.fakes->ports.session, "shutdown");
	fake_ports_settle(rig.fakes);
	check_str(take_log(&rig), "shutdown");
	check(rig.fakes->held);
	fake_ports_succeed(rig.fakes, "shutdown");
	fake_ports_end_process(rig.fakes);
	fake_ports_settle(rig.fakes);
	fake_ports_succeed(rig.fakes, "release");
	check_web(&rig, BANGER_VM_STOPPED);
	check(!rig.fakes->held);
}

static void
test_session_when_the_host_has_slept_then_guests_hear_the_time(void)
{
	g_auto(Rig) rig = {};

	rig_run(&rig);
	g_signal_emit_by_name(rig.fakes->ports.session, "resumed");
	fake_ports_settle(rig.fakes);
	check_str(take_log(&rig), "set-clock");
	fake_ports_succeed(rig.fakes, "set-clock");
	finish_off(&rig);
}

static void
on_all_stopped(GObject *source, GAsyncResult *result, gpointer data)
{
	banger_manager_stop_all_finish(BANGER_MANAGER(source), result);
	*(bool *)data = true;
}

static void
test_stop_all_when_some_runs_then_done_with_the_last(void)
{
	g_auto(Rig) rig = {};
	bool done = false;

	rig_run(&rig);
	banger_manager_stop_all_async(rig.manager, 0, on_all_stopped, &done);
	fake_ports_settle(rig.fakes);
	check(!done);
	/* What cannot be released keeps nobody from going. */
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
	check(done);
	check_web(&rig, BANGER_VM_ERROR);
	done = false;
	banger_manager_stop_all_async(rig.manager, 0, on_all_stopped, &done);
	fake_ports_settle(rig.fakes);
	check(done);
	(void)take_log(&rig);
}

TEST_MAIN(TEST(test_recover_when_nothing_may_run_then_the_helper_is_not_asked),
	  TEST(test_recover_when_it_runs_then_running),
	  TEST(test_recover_when_the_helper_cannot_list_then_nothing_is_ended),
	  TEST(test_recover_when_in_error_and_listed_then_looked_for),
	  TEST(test_recover_when_in_error_and_not_listed_then_left),
	  TEST(test_recover_when_its_creation_was_interrupted_then_nothing_stays_of_it),
	  TEST(test_recover_when_another_is_started_meanwhile_then_that_one_goes_on),
	  TEST(test_recover_when_one_is_deleted_meanwhile_then_not_looked_for),
	  TEST(test_recover_when_nobody_owns_a_vmm_then_it_is_ended),
	  TEST(test_recover_when_a_stopped_vm_has_a_vmm_then_it_is_ended),
	  TEST(test_recover_when_ephemeral_then_deleted_whatever_its_state),
	  TEST(test_discard_when_it_fails_then_it_may_be_tried_again),
	  TEST(test_create_when_it_runs_and_cannot_be_recorded_then_ended_before_it_is_forgotten),
	  TEST(test_create_when_its_start_fails_and_it_cannot_be_released_then_kept_with_its_disk),
	  TEST(test_restart_when_ephemeral_and_running_then_refused),
	  TEST(test_delete_when_a_restart_waits_for_the_same_end_then_not_started_again),
	  TEST(test_delete_when_held_then_neither_started_nor_looked_for_until_it_has_failed),
	  TEST(test_plan_when_its_name_begins_anothers_id_then_planned_as_it_would_be_created),
	  TEST(test_owner_when_it_goes_then_its_vm_does_and_one_deleted_before_is_held_by_nobody),
	  TEST(test_start_when_being_made_then_busy),
	  TEST(test_delete_when_being_made_and_forced_then_undone_once),
	  TEST(test_start_when_the_helper_has_one_already_then_it_is_taken_over_or_replaced),
	  TEST(test_session_when_something_runs_then_the_host_waits_for_us),
	  TEST(test_session_when_the_host_goes_down_then_guests_are_asked_to_shut_down),
	  TEST(test_session_when_the_host_has_slept_then_guests_hear_the_time),
	  TEST(test_stop_all_when_some_runs_then_done_with_the_last))
