/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM's end, asked for or not, in a faked world. */
#include "test.h"

#include <signal.h>

#include "fakes/vm-rig.h"

static void
test_stop_when_the_guest_ends_then_released(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) stopped = {};

	rig_run(&rig);
	rig_stop(&rig, 10, &stopped);
	check_states(&rig, "stopping");
	fake_ports_succeed(rig.fakes, "shutdown");
	check_log(&rig, "shutdown");
	rig_end(&rig);
	check_log(&rig, "release");
	check(!stopped.done);
	fake_ports_succeed(rig.fakes, "release");
	check(stopped.ok);
	check_states(&rig, "stopped");
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

static void
test_stop_when_without_patience_then_released_at_once(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) stopped = {};

	rig_run(&rig);
	rig_stop(&rig, 0, &stopped);
	check_int(fake_ports_count_held(rig.fakes), 0);
	fake_ports_succeed(rig.fakes, "release");
	check(stopped.ok);
	check_log(&rig, "release");
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

static void
test_stop_when_paused_then_released_at_once(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) stopped = {};

	rig_run(&rig);
	rig_pause(&rig);
	rig_stop(&rig, 10, &stopped);
	fake_ports_succeed(rig.fakes, "release");
	check(stopped.ok);
	check_log(&rig, "release");
	check_states(&rig, "paused stopping stopped");
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

static void
test_stop_when_the_guest_cannot_be_asked_then_it_is_ended(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) stopped = {};

	rig_run(&rig);
	rig_stop(&rig, 10, &stopped);
	fake_ports_close_guest(rig.fakes);
	fake_ports_fail(rig.fakes, "shutdown", BANGER_ERROR_GUEST_UNREACHABLE);
	fake_ports_succeed(rig.fakes, "release");
	check(stopped.ok);
	check_log(&rig, "shutdown release");
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

static void
test_stop_when_asked_twice_then_both_are_answered(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) first = {}, second = {}, third = {};

	rig_run(&rig);
	rig_stop(&rig, 10, &first);
	rig_stop(&rig, 10, &second);
	check_log(&rig, "shutdown");
	rig_stop(&rig, 0, &third);
	check_log(&rig, "release");
	fake_ports_fail(rig.fakes, "shutdown", BANGER_ERROR_GUEST_UNREACHABLE);
	check(!first.done && !second.done && !third.done);
	fake_ports_succeed(rig.fakes, "release");
	check(first.ok && second.ok && third.ok);
	check_states(&rig, "stopping stopped");
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

/* `again_s`: how long the second one would wait. */
static void
play_stop_while_starting(const char *call, BangerError code, unsigned again_s, const char *log)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {}, stopped = {}, again = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, call);
	rig_stop(&rig, 10, &stopped);
	rig_stop(&rig, again_s, &again);
	check(fake_ports_is_given_up(rig.fakes, call));
	fake_ports_fail(rig.fakes, call, code);
	check(!up.done && !stopped.done && !again.done);
	fake_ports_succeed(rig.fakes, "release");
	check_failed(up, code);
	check(stopped.ok && again.ok);
	check_log(&rig, log);
	check_states(&rig, "starting stopping stopped");
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

static void
test_stop_when_starting_then_the_start_is_undone_once(void)
{
	play_stop_while_starting("launch", BANGER_ERROR_CANCELLED, 10,
				 "probe kernel disks launch release");
	play_stop_while_starting("guest-open", BANGER_ERROR_CANCELLED, 10,
				 "probe kernel disks launch vmm-new guest-new console-new "
				 "guest-open release");
	play_stop_while_starting("guest-open", BANGER_ERROR_GUEST_UNREACHABLE, 0,
				 "probe kernel disks launch vmm-new guest-new console-new "
				 "guest-open release");
}

static void
test_stop_when_its_answer_comes_after_another_start_then_that_runs_on(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) stopped = {}, up = {};

	rig_run(&rig);
	rig_stop(&rig, 10, &stopped);
	rig_end(&rig);
	fake_ports_succeed(rig.fakes, "release");
	check(stopped.ok);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, /* until= */ NULL);
	check(up.ok);
	fake_ports_fail(rig.fakes, "shutdown", BANGER_ERROR_GUEST_UNREACHABLE);
	check_log(&rig, "shutdown release kernel disks launch vmm-new guest-new console-new "
			"guest-open set-clock");
	check_int(banger_vm_get_state(rig.vm), BANGER_VM_RUNNING);
}

static void
test_kill_when_sigkill_then_answered_when_stopped(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) killed = {};

	rig_run(&rig);
	rig_kill(&rig, SIGKILL, &killed);
	check_int(rig.fakes->signal_number, SIGKILL);
	fake_ports_succeed(rig.fakes, "signal");
	rig_end(&rig);
	check(!killed.done);
	fake_ports_succeed(rig.fakes, "release");
	check(killed.ok);
	check_log(&rig, "signal release");
	check_states(&rig, "stopped");
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

static void
test_kill_when_the_end_is_quicker_than_the_answer_then_answered_when_stopped(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) killed = {};

	rig_run(&rig);
	rig_kill(&rig, SIGKILL, &killed);
	rig_end(&rig);
	fake_ports_succeed(rig.fakes, "signal");
	check(!killed.done);
	fake_ports_succeed(rig.fakes, "release");
	check(killed.ok);
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

static void
test_kill_when_another_signal_then_answered_at_once(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) killed = {};

	rig_run(&rig);
	rig_kill(&rig, SIGTERM, &killed);
	fake_ports_succeed(rig.fakes, "signal");
	check(killed.ok);
	check_states(&rig, "");
}

static void
test_kill_when_refused_then_a_later_end_is_unasked(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) killed = {};

	rig_run(&rig);
	rig_kill(&rig, SIGKILL, &killed);
	fake_ports_fail(rig.fakes, "signal", BANGER_ERROR_NOT_AUTHORIZED);
	check_failed(killed, BANGER_ERROR_NOT_AUTHORIZED);
	rig_end(&rig);
	fake_ports_succeed(rig.fakes, "release");
	rig_check_over(&rig, BANGER_VM_ERROR,
		       "the VMM ended unasked: killed; see 'banger vm logs web'");
}

static void
test_kill_when_refused_while_stopping_then_the_end_stays_wanted(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) stopped = {}, killed = {}, again = {};

	rig_run(&rig);
	rig_stop(&rig, 10, &stopped);
	rig_kill(&rig, SIGKILL, &killed);
	rig_kill(&rig, SIGKILL, &again);
	fake_ports_fail(rig.fakes, "signal", BANGER_ERROR_NOT_AUTHORIZED);
	rig_end(&rig);
	fake_ports_fail(rig.fakes, "signal", BANGER_ERROR_NOT_FOUND);
	check_failed(killed, BANGER_ERROR_NOT_AUTHORIZED);
	check_failed(again, BANGER_ERROR_NOT_FOUND);
	fake_ports_fail(rig.fakes, "shutdown", BANGER_ERROR_GUEST_UNREACHABLE);
	fake_ports_succeed(rig.fakes, "release");
	check(stopped.ok);
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

static void
test_kill_when_refused_after_the_guests_own_end_then_stopped(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) killed = {};

	rig_run(&rig);
	rig.fakes->end_reason = "guest";
	rig_kill(&rig, SIGKILL, &killed);
	rig_end(&rig);
	fake_ports_fail(rig.fakes, "signal", BANGER_ERROR_NOT_FOUND);
	fake_ports_succeed(rig.fakes, "release");
	check_failed(killed, BANGER_ERROR_NOT_FOUND);
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

static void
test_guest_when_it_hangs_up_while_running_then_unreachable(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) guest = {}, stopped = {};

	rig_run(&rig);
	fake_ports_close_guest(rig.fakes);
	check_states(&rig, "running");
	check_str(banger_vm_get_last_error(rig.vm), "the guest's agent is gone: it hung up");
	rig_wait_guest(&rig, &guest);
	check_failed(guest, BANGER_ERROR_GUEST_UNREACHABLE);
	check_str(guest.error->message, "the guest's agent is gone: it hung up");
	check_log(&rig, "");
	/* Nobody is there to be asked for a shutdown. */
	rig_stop(&rig, 10, &stopped);
	check_log(&rig, "release");
	fake_ports_succeed(rig.fakes, "release");
	check(stopped.ok);
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

static void
test_guest_when_it_hangs_up_while_paused_then_told_when_it_goes_on(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) guest = {}, stopped = {};

	rig_run(&rig);
	rig_pause(&rig);
	fake_ports_close_guest(rig.fakes);
	check_str(banger_vm_get_last_error(rig.vm), "the disk is full");
	g_signal_emit_by_name(rig.fakes->vmm, "resumed");
	check_str(banger_vm_get_last_error(rig.vm), "the guest's agent is gone");
	rig_wait_guest(&rig, &guest);
	check_failed(guest, BANGER_ERROR_GUEST_UNREACHABLE);
	check_str(guest.error->message, "the guest's agent is gone");
	rig_stop(&rig, 0, &stopped);
	fake_ports_succeed(rig.fakes, "release");
	check(stopped.ok);
}

static void
test_kill_when_a_signal_of_the_vmms_own_then_a_later_end_is_unasked(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) killed = {};

	rig_run(&rig);
	rig_kill(&rig, SIGUSR1, &killed);
	fake_ports_succeed(rig.fakes, "signal");
	check(killed.ok);
	rig_end(&rig);
	fake_ports_succeed(rig.fakes, "release");
	rig_check_over(&rig, BANGER_VM_ERROR,
		       "the VMM ended unasked: killed; see 'banger vm logs web'");
}

#define NOT_RELEASED "its resources could not be released: release failed"

/* What the helper could not release is still there, and everybody who waits for the end hears so. */
static void
test_stop_when_it_cannot_be_released_then_it_fails_and_is_held(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) stopped = {}, killed = {};

	rig_run(&rig);
	rig_kill(&rig, SIGKILL, &killed);
	rig_stop(&rig, 0, &stopped);
	fake_ports_succeed(rig.fakes, "signal");
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
	check_failed(stopped, BANGER_ERROR_FAILED);
	check_failed(killed, BANGER_ERROR_FAILED);
	check_str(stopped.error->message, NOT_RELEASED);
	check(banger_vm_is_held(rig.vm));
	check_states(&rig, "stopping error");
	rig_check_over(&rig, BANGER_VM_ERROR, NOT_RELEASED);
}

static void
test_stop_when_an_undone_start_cannot_be_released_then_it_fails_and_is_held(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {}, stopped = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, "guest-open");
	rig_stop(&rig, 10, &stopped);
	fake_ports_fail(rig.fakes, "guest-open", BANGER_ERROR_CANCELLED);
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
	check_failed(up, BANGER_ERROR_CANCELLED);
	check_failed(stopped, BANGER_ERROR_FAILED);
	check(banger_vm_is_held(rig.vm));
	check_states(&rig, "starting stopping error");
}

static void
test_end_when_held_then_released(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) stopped = {}, first = {}, second = {}, third = {};

	rig_run(&rig);
	rig_stop(&rig, 0, &stopped);
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
	rig_end_whole(&rig, &first);
	fake_ports_fail(rig.fakes, "release", BANGER_ERROR_FAILED);
	check_failed(first, BANGER_ERROR_FAILED);
	check_str(first.error->message, NOT_RELEASED);
	check(banger_vm_is_held(rig.vm));
	rig_end_whole(&rig, &second);
	fake_ports_succeed(rig.fakes, "release");
	check(second.ok);
	check(!banger_vm_is_held(rig.vm));
	rig_end_whole(&rig, &third);
	check(third.ok);
	check_log(&rig, "release release release");
}

static void
test_end_when_running_then_without_patience(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) ended = {};

	rig_run(&rig);
	rig_end_whole(&rig, &ended);
	fake_ports_succeed(rig.fakes, "release");
	check(ended.ok);
	check_log(&rig, "release");
	rig_check_over(&rig, BANGER_VM_STOPPED, "");
}

static void
test_end_when_being_made_then_its_making_is_undone_first(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {}, ended = {};

	rig_init(&rig);
	rig_begin(&rig, BANGER_PLAN_MAKE, &up);
	check(banger_vm_is_being_made(rig.vm));
	rig_end_whole(&rig, &ended);
	check(fake_ports_is_given_up(rig.fakes, "create"));
	check(!ended.done);
	fake_ports_succeed(rig.fakes, "create");
	check_failed(up, BANGER_ERROR_CANCELLED);
	check(ended.ok);
	check(!banger_vm_is_being_made(rig.vm));
	check_log(&rig, "create destroy");
	check_states(&rig, "");
}

static void
on_started_again(GObject *source, GAsyncResult *result, gpointer data)
{
	*(bool *)data = banger_vm_bring_up_finish(BANGER_VM(source), result, NULL);
}

static void
on_stopped_start_again(GObject *source, GAsyncResult *result, gpointer data)
{
	BangerVm *vm = BANGER_VM(source);

	check(banger_vm_stop_finish(vm, result, NULL));
	banger_vm_bring_up_async(vm, BANGER_PLAN_START, "again", NULL, NULL, NULL, on_started_again,
				 data);
}

static void
test_stop_when_its_answer_starts_it_again_then_its_end_was_told_before(void)
{
	g_auto(Rig) rig = {};
	bool running = false;

	rig_run(&rig);
	banger_vm_stop_async(rig.vm, 10, "stop", on_stopped_start_again, &running);
	fake_ports_settle(rig.fakes);
	fake_ports_succeed(rig.fakes, "shutdown");
	rig_end(&rig);
	fake_ports_succeed(rig.fakes, "release");
	check_int(rig.ended, 1);
	rig_walk(&rig, /* until= */ NULL);
	check(running);
	check_states(&rig, "stopping stopped starting running");
}

/* Whoever reads the helper's journal finds who ended it. */
static void
test_release_when_the_end_was_asked_for_then_of_that_operation(void)
{
	static const struct {
		const char *how, *operation;
	} ends[] = { { "stop", "stop" },       { "kill", "kill" }, { "kill, stop", "stop" },
		     { "stop, kill", "stop" }, { "end", "end" },   { "usr1", "" },
		     { "refused", "" },        { "itself", "" } };

	for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
		const char *how = ends[i].how;
		g_auto(Rig) rig = {};
		g_auto(Answer) killed = {}, stopped = {}, killed_late = {};

		rig_run(&rig);
		if (g_str_has_prefix(how, "kill") || g_str_equal(how, "refused"))
			rig_kill(&rig, SIGKILL, &killed);
		if (g_str_equal(how, "usr1"))
			rig_kill(&rig, SIGUSR1, &killed);
		if (strstr(how, "stop"))
			rig_stop(&rig, 10, &stopped);
		if (g_str_has_suffix(how, ", kill"))
			rig_kill(&rig, SIGKILL, &killed_late);
		if (g_str_equal(how, "refused"))
			fake_ports_fail(rig.fakes, "signal", BANGER_ERROR_NOT_AUTHORIZED);
		else if (fake_ports_is_asked(rig.fakes, "signal"))
			fake_ports_succeed(rig.fakes, "signal");
		if (g_str_equal(how, "end"))
			rig_end_whole(&rig, &stopped);
		else
			rig_end(&rig);
		check_str(rig.fakes->operation, ends[i].operation);
		fake_ports_succeed(rig.fakes, "release");
		if (fake_ports_is_asked(rig.fakes, "shutdown"))
			fake_ports_fail(rig.fakes, "shutdown", BANGER_ERROR_GUEST_UNREACHABLE);
	}
}

static void
test_release_when_undone_then_of_the_operation_that_had_begun_it(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) ended = {}, up = {};

	rig_run(&rig);
	rig_end_whole(&rig, &ended);
	fake_ports_succeed(rig.fakes, "release");
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, "guest-open");
	fake_ports_fail(rig.fakes, "guest-open", BANGER_ERROR_GUEST_UNREACHABLE);
	check_str(rig.fakes->operation, "up");
	fake_ports_succeed(rig.fakes, "release");
}

TEST_MAIN(TEST(test_stop_when_the_guest_ends_then_released),
	  TEST(test_stop_when_without_patience_then_released_at_once),
	  TEST(test_stop_when_paused_then_released_at_once),
	  TEST(test_stop_when_the_guest_cannot_be_asked_then_it_is_ended),
	  TEST(test_stop_when_asked_twice_then_both_are_answered),
	  TEST(test_stop_when_starting_then_the_start_is_undone_once),
	  TEST(test_stop_when_its_answer_comes_after_another_start_then_that_runs_on),
	  TEST(test_kill_when_sigkill_then_answered_when_stopped),
	  TEST(test_kill_when_the_end_is_quicker_than_the_answer_then_answered_when_stopped),
	  TEST(test_kill_when_another_signal_then_answered_at_once),
	  TEST(test_kill_when_refused_then_a_later_end_is_unasked),
	  TEST(test_kill_when_refused_while_stopping_then_the_end_stays_wanted),
	  TEST(test_kill_when_refused_after_the_guests_own_end_then_stopped),
	  TEST(test_guest_when_it_hangs_up_while_running_then_unreachable),
	  TEST(test_guest_when_it_hangs_up_while_paused_then_told_when_it_goes_on),
	  TEST(test_kill_when_a_signal_of_the_vmms_own_then_a_later_end_is_unasked),
	  TEST(test_stop_when_it_cannot_be_released_then_it_fails_and_is_held),
	  TEST(test_stop_when_an_undone_start_cannot_be_released_then_it_fails_and_is_held),
	  TEST(test_end_when_held_then_released), TEST(test_end_when_running_then_without_patience),
	  TEST(test_end_when_being_made_then_its_making_is_undone_first),
	  TEST(test_stop_when_its_answer_starts_it_again_then_its_end_was_told_before),
	  TEST(test_release_when_the_end_was_asked_for_then_of_that_operation),
	  TEST(test_release_when_undone_then_of_the_operation_that_had_begun_it))
