/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM comes up and runs in a faked world: every answer good, bad, late or given up. */
#include "test.h"

#include <signal.h>

#include "fakes/vm-rig.h"

#define UP "create probe kernel disks launch vmm-new guest-new console-new guest-open set-clock"

static void
test_bring_up_when_all_succeed_then_it_runs(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
	check_states(&rig, "starting");
	check_str(banger_vm_get_boot_id(rig.vm), "");
	rig_walk(&rig, /* until= */ NULL);
	check(up.ok);
	check_log(&rig, UP);
	check_states(&rig, "running");
	check_int(banger_vm_get_state(rig.vm), BANGER_VM_RUNNING);
	check_str(banger_vm_get_last_error(rig.vm), "");
	check_str(banger_vm_get_boot_id(rig.vm), "the-first-boot");
	check_str(banger_vm_get_accelerator(rig.vm), "kvm");
	check(banger_vm_get_started_us(rig.vm) > 0);
	check(banger_vm_get_console(rig.vm) != NULL);
	check_int(rig.ended, 0);
	/* The VMM's four; the disks' are its own now. */
	check_int(fake_ports_count_held(rig.fakes), 4);
	check_str(rig.progress->str, "making its disk 0; looking for KVM 1; loading the kernel 2; "
				     "opening its disks 3; starting the VMM 4; "
				     "waiting for the guest 5; ");
}

static void
test_bring_up_when_only_made_then_it_stays_created(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_MAKE, &up);
	fake_ports_succeed(rig.fakes, "create");
	check(up.ok);
	check_log(&rig, "create");
	check_states(&rig, "");
	check_int(banger_vm_get_state(rig.vm), BANGER_VM_CREATED);
}

static void
test_wait_guest_when_starting_then_answered_at_the_hello(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {}, first = {}, second = {}, late = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
	rig_wait_guest(&rig, &first);
	rig_walk(&rig, "guest-open");
	rig_wait_guest(&rig, &second);
	check(!first.done && !second.done);
	fake_ports_succeed(rig.fakes, "guest-open");
	check(first.guest == rig.fakes->guest && second.guest == rig.fakes->guest);
	check(!up.done);
	rig_wait_guest(&rig, &late);
	fake_ports_succeed(rig.fakes, "set-clock");
	check(up.ok);
	check(late.guest == rig.fakes->guest);
}

/* Fails one call; whatever had been done is undone, the other way round, before the caller hears of it. */
static void
play_failure(const char *call, const char *log)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {}, waiting = {};
	bool hello = g_str_equal(call, "set-clock");

	rig_init(&rig);
	rig.fakes->fail_call = call;
	rig_begin(&rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
	if (!hello)
		rig_wait_guest(&rig, &waiting);
	rig_walk(&rig, call);
	if (hello)
		rig_wait_guest(&rig, &waiting);
	if (fake_ports_is_asked(rig.fakes, call))
		fake_ports_fail(rig.fakes, call, BANGER_ERROR_BUSY);
	if (fake_ports_is_asked(rig.fakes, "release")) {
		check_int(banger_vm_get_state(rig.vm), BANGER_VM_STARTING);
		check(!up.done && !waiting.done);
		check(!strstr(rig.fakes->log->str, "destroy"));
		fake_ports_succeed(rig.fakes, "release");
	}
	check_failed(up, BANGER_ERROR_BUSY);
	check_failed(waiting, BANGER_ERROR_BUSY);
	check_log(&rig, log);
	check_states(&rig, "starting error");
	rig_check_over(&rig, BANGER_VM_ERROR, up.error->message);
}

static void
test_bring_up_when_any_call_fails_then_all_before_is_undone(void)
{
	play_failure("create", "create");
	play_failure("probe", "create probe destroy");
	play_failure("kernel", "create probe kernel destroy");
	play_failure("disks", "create probe kernel disks destroy");
	play_failure("launch", "create probe kernel disks launch destroy");
	play_failure("guest-open", "create probe kernel disks launch vmm-new guest-new console-new "
				   "guest-open release destroy");
	play_failure("set-clock", UP " release destroy");
}

static void
test_bring_up_when_it_cannot_be_released_then_the_disk_is_kept(void)
{
	static const char *const calls[] = { "launch", "guest-open" };

	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		g_auto(Rig) rig = {};
		g_auto(Answer) up = {};

		rig_init(&rig);
		rig_begin(&rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
		rig_walk(&rig, calls[i]);
		fake_ports_fail(rig.fakes, calls[i], BANGER_ERROR_FAILED);
		fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
		check_failed(up, BANGER_ERROR_FAILED);
		check(banger_vm_is_held(rig.vm));
		check(!strstr(rig.fakes->log->str, "destroy"));
	}
}

static void
test_bring_up_when_only_started_and_it_fails_then_the_disk_is_kept(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {}, again = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, "guest-open");
	fake_ports_fail(rig.fakes, "guest-open", BANGER_ERROR_GUEST_UNREACHABLE);
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_HELPER_UNAVAILABLE);
	check_failed(up, BANGER_ERROR_GUEST_UNREACHABLE);
	check_log(&rig, "probe kernel disks launch vmm-new guest-new console-new guest-open "
			"release");
	check(banger_vm_is_held(rig.vm));
	rig_check_over(&rig, BANGER_VM_ERROR, "guest-open failed");
	/* It is started anew like any other; KVM is known by now. */
	rig_begin(&rig, BANGER_PLAN_START, &again);
	rig_walk(&rig, /* until= */ NULL);
	check(again.ok);
	check_log(&rig, "kernel disks launch vmm-new guest-new console-new guest-open set-clock");
	check_str(banger_vm_get_last_error(rig.vm), "");
}

static void
test_bring_up_when_kvm_may_not_be_probed_then_it_is_emulated(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init(&rig);
	rig.fakes->kvm_usable = false;
	rig_begin(&rig, BANGER_PLAN_START, &up);
	fake_ports_fail(rig.fakes, "probe", BANGER_ERROR_NOT_AUTHORIZED);
	rig_walk(&rig, /* until= */ NULL);
	check(up.ok);
	check_str(banger_vm_get_accelerator(rig.vm), "emulation");
	check_str(banger_vm_get_accelerator_reason(rig.vm), "probe failed");
	check_str(banger_kvm_verdict_get(rig.kvm), "");
}

static void
test_bring_up_when_kvm_is_demanded_and_unusable_then_it_fails(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init_as(&rig, BANGER_ACCELERATOR_KVM);
	rig.fakes->kvm_usable = false;
	rig_begin(&rig, BANGER_PLAN_START, &up);
	fake_ports_succeed(rig.fakes, "probe");
	check_failed(up, BANGER_ERROR_KVM_UNUSABLE);
	check_log(&rig, "probe");
	check_str(banger_kvm_verdict_get(rig.kvm), "emulation");
	rig_check_over(&rig, BANGER_VM_ERROR, "KVM does not serve here: the fake says so");
}

/* Cancels while `call` has no answer yet; then it says that it was given up, or that it was done nevertheless. */
static void
play_cancel(const char *call, bool done_anyway, const char *log)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {}, waiting = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
	rig_walk(&rig, call);
	rig_wait_guest(&rig, &waiting);
	g_cancellable_cancel(rig.cancellable);
	fake_ports_settle(rig.fakes);
	check(fake_ports_is_given_up(rig.fakes, call));
	check(!up.done);
	if (done_anyway)
		fake_ports_succeed(rig.fakes, call);
	else
		fake_ports_fail(rig.fakes, call, BANGER_ERROR_CANCELLED);
	if (fake_ports_is_asked(rig.fakes, "set-clock"))
		fake_ports_fail(rig.fakes, "set-clock", BANGER_ERROR_CANCELLED);
	if (fake_ports_is_asked(rig.fakes, "release")) {
		check(!up.done);
		check(!strstr(rig.fakes->log->str, "destroy"));
		check_int(banger_vm_get_state(rig.vm), BANGER_VM_STARTING);
		fake_ports_succeed(rig.fakes, "release");
	}
	check_failed(up, BANGER_ERROR_CANCELLED);
	check(waiting.done);
	answer_clear(&waiting);
	check_log(&rig, log);
	check_states(&rig, "starting stopping stopped");
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

#define UP_TO_OPEN "create probe kernel disks launch vmm-new guest-new console-new guest-open"

static void
test_bring_up_when_cancelled_then_nothing_remains(void)
{
	play_cancel("create", /* done_anyway= */ false, "create");
	play_cancel("probe", /* done_anyway= */ false, "create probe destroy");
	/* The helper may launch it yet: it is told to end it, behind that. */
	play_cancel("launch", /* done_anyway= */ false,
		    "create probe kernel disks launch release destroy");
	play_cancel("guest-open", /* done_anyway= */ false, UP_TO_OPEN " release destroy");
	play_cancel("set-clock", /* done_anyway= */ false, UP " release destroy");
}

static void
test_bring_up_when_cancelled_too_late_then_the_step_is_undone(void)
{
	play_cancel("create", /* done_anyway= */ true, "create destroy");
	play_cancel("probe", /* done_anyway= */ true, "create probe destroy");
	play_cancel("launch", /* done_anyway= */ true,
		    "create probe kernel disks launch vmm-new guest-new console-new "
		    "release destroy");
	play_cancel("guest-open", /* done_anyway= */ true, UP " release destroy");
	play_cancel("set-clock", /* done_anyway= */ true, UP " release destroy");
}

static void
test_bring_up_when_cancelled_before_then_nothing_is_called(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init(&rig);
	g_cancellable_cancel(rig.cancellable);
	rig_begin(&rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
	check_failed(up, BANGER_ERROR_CANCELLED);
	check_log(&rig, "");
	check_states(&rig, "starting stopping stopped");
}

static void
test_bring_up_when_cancelled_between_two_answers_then_the_disks_are_closed(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init(&rig);
	rig.cancel_at = "opening its disks";
	rig_begin(&rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
	rig_walk(&rig, "launch");
	check_failed(up, BANGER_ERROR_CANCELLED);
	check_log(&rig, "create probe kernel disks destroy");
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

static void
test_process_when_it_ends_while_starting_then_the_start_is_undone_once(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {}, waiting = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, "guest-open");
	rig_wait_guest(&rig, &waiting);
	rig_end(&rig);
	fake_ports_close_guest(rig.fakes);
	fake_ports_fail(rig.fakes, "guest-open", BANGER_ERROR_GUEST_UNREACHABLE);
	check_failed(waiting, BANGER_ERROR_GUEST_UNREACHABLE);
	check(!up.done);
	fake_ports_succeed(rig.fakes, "release");
	check_failed(up, BANGER_ERROR_GUEST_UNREACHABLE);
	check_log(&rig, "probe kernel disks launch vmm-new guest-new console-new guest-open "
			"release");
	rig_check_over(&rig, BANGER_VM_ERROR, "guest-open failed");
}

static void
test_process_when_the_guest_dies_while_starting_then_its_last_words_are_told(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, "guest-open");
	rig.fakes->last_words = "Kernel panic - not syncing: System is deadlocked on memory";
	rig_end(&rig);
	fake_ports_fail(rig.fakes, "guest-open", BANGER_ERROR_GUEST_UNREACHABLE);
	fake_ports_succeed(rig.fakes, "release");
	check_failed(up, BANGER_ERROR_GUEST_UNREACHABLE);
	rig_check_over(&rig, BANGER_VM_ERROR,
		       "guest-open failed; its last words: Kernel panic - not syncing: System is "
		       "deadlocked on memory");
}

static void
test_process_when_the_guests_kernel_panicked_then_error(void)
{
	g_auto(Rig) rig = {};

	rig_run(&rig);
	rig.fakes->end_reason = "guest";
	rig.fakes->last_words = "Kernel panic - not syncing: sysrq triggered crash";
	rig_end(&rig);
	fake_ports_succeed(rig.fakes, "release");
	rig_check_over(&rig, BANGER_VM_ERROR,
		       "the guest ended: Kernel panic - not syncing: sysrq triggered crash");
}

static void
test_process_when_it_ends_with_the_last_answer_then_it_is_noticed(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, "set-clock");
	fake_ports_end_process(rig.fakes);
	fake_ports_succeed(rig.fakes, "set-clock");
	fake_ports_succeed(rig.fakes, "release");
	check(up.ok);
	check_states(&rig, "starting running error");
	rig_check_over(&rig, BANGER_VM_ERROR,
		       "the VMM ended unasked: killed; see 'banger vm logs web'");
}

static void
test_process_when_it_ends_unasked_then_error(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) guest = {}, stopped = {};

	rig_run(&rig);
	rig_end(&rig);
	check_log(&rig, "release");
	/* Until it is released it still counts as running; but there is nobody to talk to. */
	rig_wait_guest(&rig, &guest);
	check_failed(guest, BANGER_ERROR_GUEST_UNREACHABLE);
	check(*guest.error->message);
	fake_ports_succeed(rig.fakes, "release");
	check_log(&rig, "");
	check_states(&rig, "error");
	rig_check_over(&rig, BANGER_VM_ERROR,
		       "the VMM ended unasked: killed; see 'banger vm logs web'");
	rig_stop(&rig, 10, &stopped);
	check_failed(stopped, BANGER_ERROR_INVALID_STATE);
}

static void
test_process_when_the_guest_ended_by_itself_then_stopped(void)
{
	g_auto(Rig) rig = {};

	rig_run(&rig);
	rig.fakes->end_reason = "guest";
	rig_end(&rig);
	fake_ports_succeed(rig.fakes, "release");
	check_log(&rig, "release");
	check_states(&rig, "stopped");
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

static void
test_process_when_it_cannot_be_released_then_it_says_so(void)
{
	g_auto(Rig) rig = {};

	rig_run(&rig);
	rig.fakes->end_reason = "guest";
	rig_end(&rig);
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_HELPER_UNAVAILABLE);
	check(banger_vm_is_held(rig.vm));
	rig_check_over(&rig, BANGER_VM_ERROR,
		       "its resources could not be released: release failed");
}

static void
test_process_when_it_ends_while_stopping_then_stopped(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) stopped = {};

	rig_run(&rig);
	rig_stop(&rig, 10, &stopped);
	rig_end(&rig);
	fake_ports_fail(rig.fakes, "shutdown", BANGER_ERROR_GUEST_UNREACHABLE);
	check(!stopped.done);
	fake_ports_succeed(rig.fakes, "release");
	check(stopped.ok);
	check_log(&rig, "shutdown release");
	check_states(&rig, "stopping stopped");
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

static void
test_pause_when_starting_then_no_space(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {}, waiting = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
	rig_walk(&rig, "guest-open");
	rig_wait_guest(&rig, &waiting);
	rig_pause(&rig);
	rig_pause(&rig);
	check(fake_ports_is_given_up(rig.fakes, "guest-open"));
	fake_ports_fail(rig.fakes, "guest-open", BANGER_ERROR_CANCELLED);
	fake_ports_succeed(rig.fakes, "release");
	check_failed(up, BANGER_ERROR_NO_SPACE);
	check_failed(waiting, BANGER_ERROR_NO_SPACE);
	check_states(&rig, "starting error");
	rig_check_over(&rig, BANGER_VM_ERROR, "the disk is full");
}

static void
test_pause_when_starting_for_another_cause_then_that_one_is_told(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, "guest-open");
	rig_pause_for(&rig, BANGER_ERROR_FAILED, "its disk failed");
	fake_ports_fail(rig.fakes, "guest-open", BANGER_ERROR_CANCELLED);
	fake_ports_succeed(rig.fakes, "release");
	check_failed(up, BANGER_ERROR_FAILED);
	rig_check_over(&rig, BANGER_VM_ERROR, "its disk failed");
}

static void
test_pause_when_running_then_a_start_lets_it_go_on(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {}, refused = {}, guest = {};

	rig_run(&rig);
	rig_pause(&rig);
	check_states(&rig, "paused");
	check_str(banger_vm_get_last_error(rig.vm), "the disk is full");
	rig_wait_guest(&rig, &guest);
	check_failed(guest, BANGER_ERROR_INVALID_STATE);
	rig_begin(&rig, BANGER_PLAN_START, &refused);
	fake_ports_fail(rig.fakes, "resume", BANGER_ERROR_VMM_UNAVAILABLE);
	check_failed(refused, BANGER_ERROR_VMM_UNAVAILABLE);
	check_int(banger_vm_get_state(rig.vm), BANGER_VM_PAUSED);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	g_signal_emit_by_name(rig.fakes->vmm, "resumed");
	fake_ports_succeed(rig.fakes, "resume");
	check(up.ok);
	check_log(&rig, "resume resume");
	check_states(&rig, "running");
	check_str(banger_vm_get_last_error(rig.vm), "");
	check_int(rig.ended, 0);
}

/* A VMM may never answer. */
static void
test_pause_when_its_start_is_cancelled_then_given_up_and_still_paused(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_run(&rig);
	rig_pause(&rig);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	g_cancellable_cancel(rig.cancellable);
	check(fake_ports_is_given_up(rig.fakes, "resume"));
	fake_ports_fail(rig.fakes, "resume", BANGER_ERROR_CANCELLED);
	check_failed(up, BANGER_ERROR_CANCELLED);
	check_int(banger_vm_get_state(rig.vm), BANGER_VM_PAUSED);
}

static void
test_pause_when_its_process_has_ended_then_it_cannot_be_started(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_run(&rig);
	rig_pause(&rig);
	rig_end(&rig);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	check_failed(up, BANGER_ERROR_INVALID_STATE);
	fake_ports_succeed(rig.fakes, "release");
	check_log(&rig, "release");
	check_int(banger_vm_get_state(rig.vm), BANGER_VM_ERROR);
}

static void
test_events_when_not_allowed_then_invalid_state(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) stopped = {}, killed = {}, guest = {}, up = {}, again = {};

	rig_init(&rig);
	rig_stop(&rig, 10, &stopped);
	check_failed(stopped, BANGER_ERROR_INVALID_STATE);
	check_str(stopped.error->message, "VM web is in state created: cannot stop it now");
	rig_kill(&rig, SIGKILL, &killed);
	check_failed(killed, BANGER_ERROR_INVALID_STATE);
	check_str(killed.error->message, "VM web is in state created: nothing runs");
	rig_wait_guest(&rig, &guest);
	check_failed(guest, BANGER_ERROR_INVALID_STATE);
	check_str(guest.error->message, "VM web is in state created: start it first");
	check_log(&rig, "");
	check_states(&rig, "");
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_begin(&rig, BANGER_PLAN_START, &again);
	check_failed(again, BANGER_ERROR_INVALID_STATE);
	check_str(again.error->message, "VM web is in state starting: cannot start it now");
	check_log(&rig, "probe");
	rig_walk(&rig, /* until= */ NULL);
	check(up.ok);
}

/* Nobody hears of the launch that was given up, but it may have left something. */
static void
test_bring_up_when_a_launch_cannot_be_withdrawn_then_held(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, "launch");
	g_cancellable_cancel(rig.cancellable);
	fake_ports_fail(rig.fakes, "launch", BANGER_ERROR_CANCELLED);
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
	check_failed(up, BANGER_ERROR_CANCELLED);
	check(banger_vm_is_held(rig.vm));
}

/* An answer that was lost may have been good. */
static void
test_bring_up_when_a_launch_has_no_answer_then_withdrawn_and_its_cause_told(void)
{
	static const BangerError codes[] = { BANGER_ERROR_ABORTED, BANGER_ERROR_FAILED,
					     BANGER_ERROR_TIMED_OUT };

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
		g_auto(Rig) rig = {};
		g_auto(Answer) up = {};

		rig_init(&rig);
		rig_begin(&rig, BANGER_PLAN_START, &up);
		rig_walk(&rig, "launch");
		fake_ports_fail(rig.fakes, "launch", codes[i]);
		check(!up.done);
		fake_ports_succeed(rig.fakes, "release");
		check_failed(up, codes[i]);
		check_str(up.error->message, "launch failed");
		check(!banger_vm_is_held(rig.vm));
	}
}

static void
test_bring_up_when_a_launch_is_refused_then_nothing_is_withdrawn(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, "launch");
	fake_ports_fail(rig.fakes, "launch", BANGER_ERROR_NOT_AUTHORIZED);
	check_failed(up, BANGER_ERROR_NOT_AUTHORIZED);
	check(!banger_vm_is_held(rig.vm));
	check_log(&rig, "probe kernel disks launch");
}

/* What its caller asked for was in order. */
static void
test_bring_up_when_the_helper_refuses_an_argument_then_no_mistake_of_the_callers(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, "launch");
	fake_ports_fail(rig.fakes, "launch", BANGER_ERROR_INVALID_ARGUMENT);
	check_failed(up, BANGER_ERROR_FAILED);
	check_str(up.error->message, "banger-helper does not take it: launch failed");
	check_log(&rig, "probe kernel disks launch");
}

static void
test_bring_up_when_the_helper_has_one_already_then_held(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, "launch");
	fake_ports_fail(rig.fakes, "launch", BANGER_ERROR_ALREADY_EXISTS);
	check_failed(up, BANGER_ERROR_ALREADY_EXISTS);
	check(banger_vm_is_held(rig.vm));
}

TEST_MAIN(TEST(test_bring_up_when_all_succeed_then_it_runs),
	  TEST(test_bring_up_when_only_made_then_it_stays_created),
	  TEST(test_wait_guest_when_starting_then_answered_at_the_hello),
	  TEST(test_bring_up_when_any_call_fails_then_all_before_is_undone),
	  TEST(test_bring_up_when_it_cannot_be_released_then_the_disk_is_kept),
	  TEST(test_bring_up_when_only_started_and_it_fails_then_the_disk_is_kept),
	  TEST(test_bring_up_when_kvm_may_not_be_probed_then_it_is_emulated),
	  TEST(test_bring_up_when_kvm_is_demanded_and_unusable_then_it_fails),
	  TEST(test_bring_up_when_cancelled_then_nothing_remains),
	  TEST(test_bring_up_when_cancelled_too_late_then_the_step_is_undone),
	  TEST(test_bring_up_when_cancelled_before_then_nothing_is_called),
	  TEST(test_bring_up_when_a_launch_cannot_be_withdrawn_then_held),
	  TEST(test_bring_up_when_a_launch_has_no_answer_then_withdrawn_and_its_cause_told),
	  TEST(test_bring_up_when_a_launch_is_refused_then_nothing_is_withdrawn),
	  TEST(test_bring_up_when_the_helper_refuses_an_argument_then_no_mistake_of_the_callers),
	  TEST(test_bring_up_when_the_helper_has_one_already_then_held),
	  TEST(test_bring_up_when_cancelled_between_two_answers_then_the_disks_are_closed),
	  TEST(test_process_when_it_ends_while_starting_then_the_start_is_undone_once),
	  TEST(test_process_when_the_guest_dies_while_starting_then_its_last_words_are_told),
	  TEST(test_process_when_the_guests_kernel_panicked_then_error),
	  TEST(test_process_when_it_ends_with_the_last_answer_then_it_is_noticed),
	  TEST(test_process_when_it_ends_unasked_then_error),
	  TEST(test_process_when_the_guest_ended_by_itself_then_stopped),
	  TEST(test_process_when_it_cannot_be_released_then_it_says_so),
	  TEST(test_process_when_it_ends_while_stopping_then_stopped),
	  TEST(test_pause_when_starting_then_no_space),
	  TEST(test_pause_when_starting_for_another_cause_then_that_one_is_told),
	  TEST(test_pause_when_running_then_a_start_lets_it_go_on),
	  TEST(test_pause_when_its_start_is_cancelled_then_given_up_and_still_paused),
	  TEST(test_pause_when_its_process_has_ended_then_it_cannot_be_started),
	  TEST(test_events_when_not_allowed_then_invalid_state))
