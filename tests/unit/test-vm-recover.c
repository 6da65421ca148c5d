/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a VM is found again, in a faked world. */
#include "test.h"

#include "fakes/vm-rig.h"

static void
test_recover_when_it_does_not_live_then_stopped(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) recovered = {}, waiting = {};

	rig_recover(&rig, /* lives= */ false, &recovered);
	rig_wait_guest(&rig, &waiting);
	fake_ports_succeed(rig.fakes, "release");
	check(recovered.ok);
	check_failed(waiting, BANGER_ERROR_GUEST_UNREACHABLE);
	check_log(&rig, "release");
	check_states(&rig, "stopping stopped");
	rig_check_over(&rig, BANGER_VM_STOPPED, "ended while bangerd was away: killed");
}

static void
test_recover_when_it_lives_then_running(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) recovered = {}, waiting = {};

	rig_recover(&rig, /* lives= */ true, &recovered);
	rig_wait_guest(&rig, &waiting);
	fake_ports_succeed(rig.fakes, "open");
	check(!recovered.done && !waiting.done);
	fake_ports_succeed(rig.fakes, "guest-open");
	check(recovered.ok);
	check(waiting.guest == rig.fakes->guest);
	/* What its console had said is kept. */
	check_log(&rig, "open vmm-new guest-new console-again guest-open");
	check_states(&rig, "running");
	check_str(banger_vm_get_boot_id(rig.vm), "the-first-boot");
	check_int(rig.ended, 0);
}

static void
test_recover_when_its_process_ends_with_the_hello_then_it_is_noticed(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) recovered = {};

	rig_recover(&rig, /* lives= */ true, &recovered);
	fake_ports_succeed(rig.fakes, "open");
	fake_ports_end_process(rig.fakes);
	fake_ports_succeed(rig.fakes, "guest-open");
	fake_ports_succeed(rig.fakes, "release");
	check(recovered.ok);
	rig_check_over(&rig, BANGER_VM_ERROR,
		       "the VMM ended unasked: killed; see 'banger vm logs web'");
}

static void
test_recover_when_it_is_not_found_then_stopped(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) recovered = {};

	rig_recover(&rig, /* lives= */ true, &recovered);
	fake_ports_fail(rig.fakes, "open", BANGER_ERROR_NOT_FOUND);
	fake_ports_succeed(rig.fakes, "release");
	check(recovered.ok);
	check(!banger_vm_is_held(rig.vm));
	check_log(&rig, "open release");
	rig_check_over(&rig, BANGER_VM_STOPPED, "ended while bangerd was away: killed");
}

static void
test_recover_when_it_cannot_be_released_then_in_error_and_held(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) recovered = {}, waiting = {};

	rig_recover(&rig, /* lives= */ false, &recovered);
	rig_wait_guest(&rig, &waiting);
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
	check_failed(recovered, BANGER_ERROR_FAILED);
	check_failed(waiting, BANGER_ERROR_GUEST_UNREACHABLE);
	check(banger_vm_is_held(rig.vm));
	rig_check_over(&rig, BANGER_VM_ERROR,
		       "its resources could not be released: release failed");
}

#define LOST                                                                                       \
	"it may still run, but cannot be reached: open failed; 'banger vm start web' looks for "   \
	"it again"

/* Whoever cannot say whether it runs has not said that it does not. */
static void
test_recover_when_nobody_can_say_then_left_alone_and_found_later(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) recovered = {}, waiting = {}, again = {};

	rig_recover(&rig, /* lives= */ true, &recovered);
	rig_wait_guest(&rig, &waiting);
	fake_ports_fail(rig.fakes, "open", BANGER_ERROR_HELPER_UNAVAILABLE);
	check_failed(recovered, BANGER_ERROR_HELPER_UNAVAILABLE);
	check_failed(waiting, BANGER_ERROR_GUEST_UNREACHABLE);
	check_log(&rig, "open");
	check_states(&rig, "error");
	check(banger_vm_is_held(rig.vm));
	rig_check_over(&rig, BANGER_VM_ERROR, LOST);
	rig_recover_again(&rig, &again);
	fake_ports_succeed(rig.fakes, "open");
	fake_ports_succeed(rig.fakes, "guest-open");
	check(again.ok);
	check(!banger_vm_is_held(rig.vm));
	check_states(&rig, "starting running");
	check_str(banger_vm_get_last_error(rig.vm), "");
}

static void
test_wait_guest_when_nobody_could_say_then_looked_for_again(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) recovered = {}, refused = {}, waiting = {};

	rig_recover(&rig, /* lives= */ true, &recovered);
	fake_ports_fail(rig.fakes, "open", BANGER_ERROR_NOT_AUTHORIZED);
	rig_wait_guest(&rig, &refused);
	fake_ports_fail(rig.fakes, "open", BANGER_ERROR_NOT_AUTHORIZED);
	check_failed(refused, BANGER_ERROR_GUEST_UNREACHABLE);
	check(strstr(refused.error->message, "open failed"));
	rig_wait_guest(&rig, &waiting);
	fake_ports_succeed(rig.fakes, "open");
	fake_ports_succeed(rig.fakes, "guest-open");
	check(waiting.guest == rig.fakes->guest);
	check_int(banger_vm_get_state(rig.vm), BANGER_VM_RUNNING);
	check(!banger_vm_is_held(rig.vm));
}

static void
test_lose_when_it_was_to_be_recovered_then_in_error_and_held(void)
{
	g_auto(Rig) rig = {};
	g_autoptr(GError) why =
		g_error_new_literal(BANGER_ERROR, BANGER_ERROR_HELPER_UNAVAILABLE, "open failed");

	rig_init(&rig);
	banger_vm_restore(rig.vm, BANGER_VM_RUNNING, "", 1);
	banger_vm_lose(rig.vm, why);
	check(banger_vm_is_held(rig.vm));
	check_log(&rig, "");
	rig_check_over(&rig, BANGER_VM_ERROR, LOST);
}

static void
test_recover_when_the_guest_does_not_answer_then_it_runs_without_agent(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) recovered = {}, waiting = {};

	rig_recover(&rig, /* lives= */ true, &recovered);
	rig_wait_guest(&rig, &waiting);
	fake_ports_succeed(rig.fakes, "open");
	fake_ports_fail(rig.fakes, "guest-open", BANGER_ERROR_GUEST_UNREACHABLE);
	check(recovered.ok);
	check_failed(waiting, BANGER_ERROR_GUEST_UNREACHABLE);
	check_int(banger_vm_get_state(rig.vm), BANGER_VM_RUNNING);
	check_str(banger_vm_get_last_error(rig.vm), "the guest's agent is gone: guest-open failed");
	check(!rig.fakes->guest);
}

static void
test_recover_when_found_paused_then_who_waits_hears_when_it_goes_on(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) recovered = {}, waiting = {};

	rig_recover(&rig, /* lives= */ true, &recovered);
	rig_wait_guest(&rig, &waiting);
	fake_ports_succeed(rig.fakes, "open");
	rig_pause(&rig);
	check_states(&rig, "running paused");
	check_str(banger_vm_get_last_error(rig.vm), "the disk is full");
	g_signal_emit_by_name(rig.fakes->vmm, "resumed");
	fake_ports_succeed(rig.fakes, "guest-open");
	check(recovered.ok);
	check(waiting.guest == rig.fakes->guest);
	check_states(&rig, "running");
}

/* Somebody stops what is still looked for, and has time; then the guest says `hello`, or nothing any more. */
static void
play_stop_while_recovering(bool hello, bool ended, const char *log)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) recovered = {}, waiting = {}, stopped = {};

	rig_recover(&rig, /* lives= */ true, &recovered);
	rig_wait_guest(&rig, &waiting);
	fake_ports_succeed(rig.fakes, "open");
	rig_stop(&rig, 10, &stopped);
	if (ended)
		rig_end(&rig);
	if (hello)
		fake_ports_succeed(rig.fakes, "guest-open");
	else
		fake_ports_fail(rig.fakes, "guest-open", BANGER_ERROR_GUEST_UNREACHABLE);
	check(recovered.done == (hello || ended));
	if (hello && !ended) {
		fake_ports_succeed(rig.fakes, "shutdown");
		rig_end(&rig);
	}
	check(!stopped.done);
	fake_ports_succeed(rig.fakes, "release");
	check(recovered.ok);
	check(stopped.ok);
	check(waiting.done && !waiting.ok);
	check_log(&rig, log);
	check_states(&rig, "stopping stopped");
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

#define LOOK "open vmm-new guest-new console-again guest-open "

static void
test_recover_when_stopped_meanwhile_then_asked_if_it_answers_and_ended_once(void)
{
	play_stop_while_recovering(/* hello= */ true, /* ended= */ false, LOOK "shutdown release");
	play_stop_while_recovering(/* hello= */ false, /* ended= */ false, LOOK "release");
	play_stop_while_recovering(/* hello= */ true, /* ended= */ true, LOOK "release");
	play_stop_while_recovering(/* hello= */ false, /* ended= */ true, LOOK "release");
}

/* Nobody waits for a guest that hangs; `call`: how far it came when it was stopped, the second time in a hurry. */
static void
play_end_while_recovering(const char *call, bool twice, bool answers, const char *log)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) recovered = {}, stopped = {}, ended = {};

	rig_recover(&rig, /* lives= */ true, &recovered);
	if (g_str_equal(call, "guest-open"))
		fake_ports_succeed(rig.fakes, "open");
	if (twice)
		rig_stop(&rig, 10, &stopped);
	rig_end_whole(&rig, &ended);
	check(fake_ports_is_asked(rig.fakes, call));
	check(g_str_equal(call, "open") || fake_ports_is_given_up(rig.fakes, call));
	if (answers)
		fake_ports_succeed(rig.fakes, call);
	else
		fake_ports_fail(rig.fakes, call, BANGER_ERROR_CANCELLED);
	fake_ports_succeed(rig.fakes, "release");
	check(recovered.ok);
	check(ended.ok && stopped.ok == twice);
	check_log(&rig, log);
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

static void
test_recover_when_ended_meanwhile_then_without_patience(void)
{
	play_end_while_recovering("open", /* twice= */ false, /* answers= */ true, "open release");
	play_end_while_recovering("open", /* twice= */ true, /* answers= */ false, "open release");
	play_end_while_recovering("guest-open", /* twice= */ false, /* answers= */ false,
				  LOOK "release");
	play_end_while_recovering("guest-open", /* twice= */ true, /* answers= */ false,
				  LOOK "release");
	play_end_while_recovering("guest-open", /* twice= */ true, /* answers= */ true,
				  LOOK "release");
}

static void
test_recover_when_its_answer_comes_after_another_start_then_that_goes_on(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) recovered = {}, up = {};

	rig_recover(&rig, /* lives= */ true, &recovered);
	fake_ports_succeed(rig.fakes, "open");
	rig_pause(&rig);
	rig_end(&rig);
	fake_ports_succeed(rig.fakes, "release");
	check_int(banger_vm_get_state(rig.vm), BANGER_VM_ERROR);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, "guest-open");
	check_int(rig.fakes->pending->len, 2);
	/* The older of the two. */
	fake_ports_fail(rig.fakes, "guest-open", BANGER_ERROR_GUEST_UNREACHABLE);
	check(recovered.ok);
	check_int(banger_vm_get_state(rig.vm), BANGER_VM_STARTING);
	rig_walk(&rig, /* until= */ NULL);
	check(up.ok);
	check_log(&rig, "open vmm-new guest-new console-again guest-open release probe kernel "
			"disks launch vmm-new guest-new console-new guest-open set-clock");
}

TEST_MAIN(TEST(test_recover_when_it_does_not_live_then_stopped),
	  TEST(test_recover_when_it_lives_then_running),
	  TEST(test_recover_when_its_process_ends_with_the_hello_then_it_is_noticed),
	  TEST(test_recover_when_it_is_not_found_then_stopped),
	  TEST(test_recover_when_it_cannot_be_released_then_in_error_and_held),
	  TEST(test_recover_when_nobody_can_say_then_left_alone_and_found_later),
	  TEST(test_wait_guest_when_nobody_could_say_then_looked_for_again),
	  TEST(test_lose_when_it_was_to_be_recovered_then_in_error_and_held),
	  TEST(test_recover_when_the_guest_does_not_answer_then_it_runs_without_agent),
	  TEST(test_recover_when_found_paused_then_who_waits_hears_when_it_goes_on),
	  TEST(test_recover_when_stopped_meanwhile_then_asked_if_it_answers_and_ended_once),
	  TEST(test_recover_when_ended_meanwhile_then_without_patience),
	  TEST(test_recover_when_its_answer_comes_after_another_start_then_that_goes_on))
