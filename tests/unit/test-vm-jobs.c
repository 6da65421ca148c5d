/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a manager makes of requests, and of those that meet. */
#include <sqlite3.h>

#include "fakes/manager-rig.h"
#include "service/manager/migrations.h"

static void
test_discard_when_it_fails_then_it_may_be_tried_again(void)
{
	g_auto(Rig) rig = {};

	rig_run(&rig);
	banger_manager_discard_vm(rig.manager, rig_find_web(&rig));
	banger_manager_discard_vm(rig.manager, rig_find_web(&rig));
	fake_ports_settle(rig.fakes);
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
	check_str(rig_take_log(&rig), "release");
	/* Its disks may be in use. */
	rig_check_web(&rig, BANGER_VM_ERROR);
	banger_manager_discard_vm(rig.manager, rig_find_web(&rig));
	fake_ports_settle(rig.fakes);
	fake_ports_succeed(rig.fakes, "release");
	check_str(rig_take_log(&rig), "release destroy");
	rig_check_no_web(&rig);
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
	(void)rig_create(&rig, /* start= */ true, &created);
	rig_walk(&rig);
	check(!created.done);
	check(rig_find_web(&rig));
	fake_ports_succeed(rig.fakes, "release");
	check(created.error);
	check(g_str_has_suffix(rig_take_log(&rig), "set-clock release destroy"));
	rig_check_no_web(&rig);
}

static void
test_create_when_its_start_fails_and_it_cannot_be_released_then_kept_with_its_disk(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) created = {};

	rig_init(&rig);
	rig_begin(&rig);
	(void)rig_create(&rig, /* start= */ true, &created);
	fake_ports_succeed(rig.fakes, "create");
	fake_ports_succeed(rig.fakes, "probe");
	fake_ports_succeed(rig.fakes, "launch");
	fake_ports_fail(rig.fakes, "guest-open", BANGER_ERROR_GUEST_UNREACHABLE);
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
	check(g_error_matches(created.error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE));
	check(!strstr(rig_take_log(&rig), "destroy"));
	rig_check_web(&rig, BANGER_VM_ERROR);
	/* The next manager knows it too. */
	g_clear_object(&rig.manager);
	rig.fakes->listed[0] = WEB;
	rig_begin(&rig);
	fake_ports_succeed(rig.fakes, "list");
	fake_ports_succeed(rig.fakes, "open");
	check_str(rig_take_log(&rig), "list open vmm-new guest-new console-again guest-open");
	fake_ports_succeed(rig.fakes, "guest-open");
	rig_finish_off(&rig);
	check_str(rig_take_log(&rig), "release destroy");
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
	vm = rig_create_as(&rig, /* ephemeral= */ true, /* start= */ true, &created);
	rig_walk(&rig);
	check(!banger_manager_restart_vm(rig.manager, vm, 10, "", &error));
	check(g_error_matches(error, BANGER_ERROR, BANGER_ERROR_INVALID_STATE));
	check_str(error->message, "VM web is ephemeral: it goes when it stops");
	rig_check_web(&rig, BANGER_VM_RUNNING);
	rig_finish_off(&rig);
}

/* A name may look like the beginning of an id. */
static void
test_plan_when_its_name_begins_anothers_id_then_planned_as_it_would_be_created(void)
{
	g_auto(Rig) rig = {};
	g_autoptr(BangerVmSpec) spec = rig_make_spec(/* ephemeral= */ false);
	g_autoptr(GError) taken = NULL;
	g_auto(GStrv) plan = NULL;

	rig_init(&rig);
	rig_record(&rig, BANGER_VM_STOPPED, /* ephemeral= */ false);
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
	check_str(rig_take_log(&rig), "");
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
		vm = rig_create_as(&rig, /* ephemeral= */ true, /* start= */ false, &created);
		banger_manager_bind_vm(rig.manager, vm, owner);
		fake_ports_succeed(rig.fakes, "create");
		check(created.done && !created.error);
		g_object_add_weak_pointer(G_OBJECT(vm), (gpointer *)&vm);
		if (deleted_before) {
			rig_finish_off(&rig);
			fake_ports_settle(rig.fakes);
			check(!vm);
		}
		g_cancellable_cancel(owner);
		fake_ports_settle(rig.fakes);
		rig_check_no_web(&rig);
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
	vm = rig_find_web(&rig);
	rig_watch(&rig, banger_manager_restart_vm(rig.manager, vm, 10, "", NULL), &restarted);
	rig_watch(&rig, banger_manager_delete_vm(rig.manager, vm, /* force= */ true, "", NULL),
		  &deleted);
	fake_ports_succeed(rig.fakes, "release");
	check(g_error_matches(restarted.error, BANGER_ERROR, BANGER_ERROR_BUSY));
	check(deleted.done && !deleted.error);
	fake_ports_fail(rig.fakes, "shutdown", BANGER_ERROR_GUEST_UNREACHABLE);
	check_str(rig_take_log(&rig), "shutdown release destroy");
	rig_check_no_web(&rig);
}

static void
test_delete_when_held_then_neither_started_nor_looked_for_until_it_has_failed(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) stopped = {}, deleted = {}, started = {};
	g_autoptr(GError) start = NULL, guest = NULL;
	BangerVm *vm;

	rig_run(&rig);
	vm = rig_find_web(&rig);
	rig_watch(&rig, banger_manager_stop_vm(rig.manager, vm, 0, "", NULL), &stopped);
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
	rig_watch(&rig, banger_manager_delete_vm(rig.manager, vm, /* force= */ false, "", NULL),
		  &deleted);
	check(!banger_manager_start_vm(rig.manager, vm, "", &start));
	check(g_error_matches(start, BANGER_ERROR, BANGER_ERROR_BUSY));
	check_str(start->message, "VM web is being deleted");
	banger_vm_wait_guest_async(vm, /* cancellable= */ NULL, on_guest, &guest);
	fake_ports_settle(rig.fakes);
	check(g_error_matches(guest, BANGER_ERROR, BANGER_ERROR_INVALID_STATE));
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
	check(deleted.error);
	check_str(rig_take_log(&rig), "release release");
	rig_watch(&rig, banger_manager_start_vm(rig.manager, vm, "", NULL), &started);
	fake_ports_succeed(rig.fakes, "open");
	fake_ports_succeed(rig.fakes, "guest-open");
	check(started.done && !started.error);
	rig_finish_off(&rig);
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
	vm = rig_create(&rig, /* start= */ false, &created);
	check(!banger_manager_start_vm(rig.manager, vm, "", &start));
	check(g_error_matches(start, BANGER_ERROR, BANGER_ERROR_BUSY));
	check(!banger_manager_delete_vm(rig.manager, vm, /* force= */ false, "", &delete));
	check(g_error_matches(delete, BANGER_ERROR, BANGER_ERROR_BUSY));
	fake_ports_succeed(rig.fakes, "create");
	check(created.done && !created.error);
	rig_check_web(&rig, BANGER_VM_CREATED);
}

static void
test_delete_when_being_made_and_forced_then_undone_once(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) created = {}, deleted = {};
	BangerVm *vm;

	rig_init(&rig);
	rig_begin(&rig);
	vm = rig_create(&rig, /* start= */ false, &created);
	rig_watch(&rig, banger_manager_delete_vm(rig.manager, vm, /* force= */ true, "", NULL),
		  &deleted);
	check(!deleted.done);
	fake_ports_fail(rig.fakes, "create", BANGER_ERROR_CANCELLED);
	check(g_error_matches(created.error, BANGER_ERROR, BANGER_ERROR_CANCELLED));
	check(deleted.done && !deleted.error);
	check_str(rig_take_log(&rig), "create destroy");
	rig_check_no_web(&rig);
}

/* The record says that it is stopped, the helper that it has one. */
static void
test_start_when_the_helper_has_one_already_then_it_is_taken_over_or_replaced(void)
{
	for (int found = 0; found < 2; found++) {
		g_auto(Rig) rig = {};
		g_auto(End) started = {};

		rig_init(&rig);
		rig_record(&rig, BANGER_VM_STOPPED, /* ephemeral= */ false);
		rig_begin(&rig);
		rig_watch(&rig, banger_manager_start_vm(rig.manager, rig_find_web(&rig), "", NULL),
			  &started);
		fake_ports_succeed(rig.fakes, "probe");
		fake_ports_fail(rig.fakes, "launch", BANGER_ERROR_ALREADY_EXISTS);
		if (found) {
			fake_ports_succeed(rig.fakes, "open");
		} else {
			fake_ports_fail(rig.fakes, "open", BANGER_ERROR_NOT_FOUND);
			fake_ports_succeed(rig.fakes, "release");
		}
		rig_walk(&rig);
		check(started.done && !started.error);
		rig_check_web(&rig, BANGER_VM_RUNNING);
		rig_finish_off(&rig);
	}
}

TEST_MAIN(TEST(test_discard_when_it_fails_then_it_may_be_tried_again),
	  TEST(test_create_when_it_runs_and_cannot_be_recorded_then_ended_before_it_is_forgotten),
	  TEST(test_create_when_its_start_fails_and_it_cannot_be_released_then_kept_with_its_disk),
	  TEST(test_restart_when_ephemeral_and_running_then_refused),
	  TEST(test_plan_when_its_name_begins_anothers_id_then_planned_as_it_would_be_created),
	  TEST(test_owner_when_it_goes_then_its_vm_does_and_one_deleted_before_is_held_by_nobody),
	  TEST(test_delete_when_a_restart_waits_for_the_same_end_then_not_started_again),
	  TEST(test_delete_when_held_then_neither_started_nor_looked_for_until_it_has_failed),
	  TEST(test_start_when_being_made_then_busy),
	  TEST(test_delete_when_being_made_and_forced_then_undone_once),
	  TEST(test_start_when_the_helper_has_one_already_then_it_is_taken_over_or_replaced))
