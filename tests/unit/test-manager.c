/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a manager makes of the record it finds, and of what happens to the host. */
#include "fakes/manager-rig.h"

static void
test_recover_when_nothing_may_run_then_the_helper_is_not_asked(void)
{
	g_auto(Rig) rig = {};

	rig_init(&rig);
	rig_record(&rig, BANGER_VM_STOPPED, /* ephemeral= */ false);
	rig_begin(&rig);
	check(rig.recovered);
	check_str(rig_take_log(&rig), "");
	rig_check_web(&rig, BANGER_VM_STOPPED);
}

static void
test_recover_when_it_runs_then_running(void)
{
	g_auto(Rig) rig = {};

	rig_run(&rig);
	rig_check_web(&rig, BANGER_VM_RUNNING);
	rig_finish_off(&rig);
}

static void
test_recover_when_the_helper_cannot_list_then_nothing_is_ended(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) first = {}, started = {};

	rig_init(&rig);
	rig_record(&rig, BANGER_VM_RUNNING, /* ephemeral= */ false);
	rig_begin(&rig);
	fake_ports_fail(rig.fakes, "list", BANGER_ERROR_HELPER_UNAVAILABLE);
	check(rig.recovered);
	check_str(rig_take_log(&rig), "list");
	rig_check_web(&rig, BANGER_VM_ERROR);
	/* Starting looks for it, and only that. */
	rig_watch(&rig, banger_manager_start_vm(rig.manager, rig_find_web(&rig), "", NULL), &first);
	fake_ports_fail(rig.fakes, "open", BANGER_ERROR_HELPER_UNAVAILABLE);
	check(g_error_matches(first.error, BANGER_ERROR, BANGER_ERROR_HELPER_UNAVAILABLE));
	rig_watch(&rig, banger_manager_start_vm(rig.manager, rig_find_web(&rig), "", NULL),
		  &started);
	fake_ports_succeed(rig.fakes, "open");
	fake_ports_succeed(rig.fakes, "guest-open");
	check(started.done && !started.error);
	check_str(rig_take_log(&rig), "open open vmm-new guest-new console-again guest-open");
	rig_check_web(&rig, BANGER_VM_RUNNING);
	rig_finish_off(&rig);
}

/* What was lost by one manager is found by the next. */
static void
test_recover_when_in_error_and_listed_then_looked_for(void)
{
	g_auto(Rig) rig = {};

	rig_init(&rig);
	rig_record(&rig, BANGER_VM_ERROR, /* ephemeral= */ false);
	rig.fakes->listed[0] = WEB;
	rig_begin(&rig);
	fake_ports_succeed(rig.fakes, "list");
	fake_ports_succeed(rig.fakes, "open");
	fake_ports_succeed(rig.fakes, "guest-open");
	rig_check_web(&rig, BANGER_VM_RUNNING);
	rig_finish_off(&rig);
}

static void
test_recover_when_in_error_and_not_listed_then_left(void)
{
	g_auto(Rig) rig = {};

	rig_init(&rig);
	rig_record(&rig, BANGER_VM_ERROR, /* ephemeral= */ false);
	rig_begin(&rig);
	fake_ports_succeed(rig.fakes, "list");
	check_str(rig_take_log(&rig), "list");
	rig_check_web(&rig, BANGER_VM_ERROR);
}

static void
test_recover_when_its_creation_was_interrupted_then_nothing_stays_of_it(void)
{
	g_auto(Rig) rig = {};
	g_autoptr(BangerVmSpec) spec = rig_make_spec(/* ephemeral= */ false);

	rig_init(&rig);
	check(banger_store_add_vm(rig.store, spec, NULL));
	rig.fakes->listed[0] = WEB;
	rig_begin(&rig);
	rig_check_no_web(&rig);
	fake_ports_succeed(rig.fakes, "list");
	fake_ports_succeed(rig.fakes, "release");
	check(rig.recovered);
	check_str(rig_take_log(&rig), "destroy list release");
}

/* The answer to "what runs" is older than it. */
static void
test_recover_when_another_is_started_meanwhile_then_that_one_goes_on(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) created = {};
	g_autoptr(BangerVmSpec) other = rig_make_spec(/* ephemeral= */ true);
	BangerVm *vm = NULL;

	g_free(other->id);
	other->id = g_strdup(STRAY);
	g_free(other->name);
	other->name = g_strdup("other");
	rig_init(&rig);
	rig_record(&rig, BANGER_VM_RUNNING, /* ephemeral= */ false);
	rig.fakes->listed[0] = WEB;
	rig_begin(&rig);
	rig_watch(&rig,
		  banger_manager_create_vm(rig.manager, other, /* start= */ true, "", &vm, NULL),
		  &created);
	fake_ports_succeed(rig.fakes, "list");
	fake_ports_succeed(rig.fakes, "open");
	fake_ports_succeed(rig.fakes, "guest-open");
	check(rig.recovered);
	rig_walk(&rig);
	check(created.done && !created.error);
	check_int(banger_vm_get_state(vm), BANGER_VM_RUNNING);
	check(!strstr(rig_take_log(&rig), "release"));
	fake_ports_end_process(rig.fakes);
	fake_ports_settle(rig.fakes);
	fake_ports_succeed(rig.fakes, "release");
	rig_finish_off(&rig);
}

static void
test_recover_when_one_is_deleted_meanwhile_then_not_looked_for(void)
{
	g_auto(Rig) rig = {};

	rig_init(&rig);
	rig_record(&rig, BANGER_VM_ERROR, /* ephemeral= */ false);
	rig.fakes->listed[0] = WEB;
	rig_begin(&rig);
	rig_finish_off(&rig);
	fake_ports_succeed(rig.fakes, "list");
	/* Whatever the helper has of it is nobody's now. */
	fake_ports_succeed(rig.fakes, "release");
	check(rig.recovered);
	check_str(rig_take_log(&rig), "list destroy release");
}

static void
test_recover_when_nobody_owns_a_vmm_then_it_is_ended(void)
{
	g_auto(Rig) rig = {};

	rig_init(&rig);
	rig_record(&rig, BANGER_VM_RUNNING, /* ephemeral= */ false);
	rig.fakes->listed[0] = STRAY;
	rig_begin(&rig);
	fake_ports_succeed(rig.fakes, "list");
	/* The stray one, and what there may be of ours. */
	fake_ports_succeed(rig.fakes, "release");
	check(!rig.recovered);
	fake_ports_succeed(rig.fakes, "release");
	check(rig.recovered);
	check_str(rig_take_log(&rig), "list release release");
	rig_check_web(&rig, BANGER_VM_STOPPED);
}

static void
test_recover_when_a_stopped_vm_has_a_vmm_then_it_is_ended(void)
{
	g_auto(Rig) rig = {};
	g_autoptr(BangerVmSpec) other = rig_make_spec(/* ephemeral= */ false);

	rig_init(&rig);
	rig_record(&rig, BANGER_VM_STOPPED, /* ephemeral= */ false);
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
	check_str(rig_take_log(&rig), "list release");
	check_int(banger_vm_get_state(rig_find_web(&rig)), BANGER_VM_STOPPED);
}

static void
test_recover_when_ephemeral_then_deleted_whatever_its_state(void)
{
	static const BangerVmState states[] = { BANGER_VM_CREATED, BANGER_VM_STOPPED,
						BANGER_VM_ERROR, BANGER_VM_RUNNING };

	for (size_t i = 0; i < G_N_ELEMENTS(states); i++) {
		g_auto(Rig) rig = {};

		rig_init(&rig);
		rig_record(&rig, states[i], /* ephemeral= */ true);
		rig_begin(&rig);
		if (fake_ports_is_asked(rig.fakes, "list"))
			fake_ports_succeed(rig.fakes, "list");
		if (fake_ports_is_asked(rig.fakes, "release"))
			fake_ports_succeed(rig.fakes, "release");
		check(rig.recovered);
		rig_check_no_web(&rig);
	}
}

static void
test_session_when_something_runs_then_the_host_waits_for_us(void)
{
	g_auto(Rig) rig = {};

	rig_run(&rig);
	check(rig.fakes->held);
	rig_finish_off(&rig);
	check(!rig.fakes->held);
}

static void
test_session_when_the_host_goes_down_then_guests_are_asked_to_shut_down(void)
{
	g_auto(Rig) rig = {};

	rig_run(&rig);
	g_signal_emit_by_name(rig.fakes->ports.session, "shutdown");
	fake_ports_settle(rig.fakes);
	check_str(rig_take_log(&rig), "shutdown");
	check(rig.fakes->held);
	fake_ports_succeed(rig.fakes, "shutdown");
	fake_ports_end_process(rig.fakes);
	fake_ports_settle(rig.fakes);
	fake_ports_succeed(rig.fakes, "release");
	rig_check_web(&rig, BANGER_VM_STOPPED);
	check(!rig.fakes->held);
}

static void
test_session_when_the_host_has_slept_then_guests_hear_the_time(void)
{
	g_auto(Rig) rig = {};

	rig_run(&rig);
	g_signal_emit_by_name(rig.fakes->ports.session, "resumed");
	fake_ports_settle(rig.fakes);
	check_str(rig_take_log(&rig), "set-clock");
	fake_ports_succeed(rig.fakes, "set-clock");
	rig_finish_off(&rig);
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
	rig_check_web(&rig, BANGER_VM_ERROR);
	done = false;
	banger_manager_stop_all_async(rig.manager, 0, on_all_stopped, &done);
	fake_ports_settle(rig.fakes);
	check(done);
	(void)rig_take_log(&rig);
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
	  TEST(test_session_when_something_runs_then_the_host_waits_for_us),
	  TEST(test_session_when_the_host_goes_down_then_guests_are_asked_to_shut_down),
	  TEST(test_session_when_the_host_has_slept_then_guests_hear_the_time),
	  TEST(test_stop_all_when_some_runs_then_done_with_the_last))
