/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A call about a whole user beside calls about that user's VMs. */
#include "fakes/helper-rig.h"
#include "test.h"

#define ALICE 1000
#define BOB   1001

static Rig rig;

static void
test_release_user_when_only_asked_then_nobody_waits_for_it(void)
{
	OpArgs args = { .release_user.uid = ALICE };
	RigCall *release, *launch;

	rig_init(&rig);
	rig.hold_questions = true;
	release = rig_submit(&rig, OP_RELEASE_USER, &args, BOB, NULL);
	check(release->is_asked);
	rig_launch(&rig, ALICE, 'a');
	launch = rig_launch(&rig, ALICE, 'b');
	rig_settle(&rig);
	rig_decide(&rig.calls[1], AUTHORITY_YES);
	rig_decide(launch, AUTHORITY_YES);
	rig_settle(&rig);
	check_str(rig_result(launch), "ok");
	rig_decide(release, AUTHORITY_YES);
	rig_settle(&rig);
	check_str(rig_result(release), "ok");
	check_int(release->number, 2);
	check_int(fake_kernel_count(&rig.kernel), 0);
	check_int(ledger_count(rig.ledger, LEDGER_ALL), 0);
	rig_done(&rig);
}

static void
test_release_user_when_a_launch_runs_then_waits_and_takes_it_too(void)
{
	OpArgs args = { .release_user.uid = ALICE };
	RigCall *release, *launch, *later;

	launch = rig_launch_held(&rig, ALICE);
	release = rig_submit(&rig, OP_RELEASE_USER, &args, 0, NULL);
	rig_decide(release, AUTHORITY_YES);
	/* Begun after it and done: had it begun, it would be seen in the log. */
	later = rig_call(&rig, OP_PROBE_KVM, BOB, 0);
	rig_decide(later, AUTHORITY_YES);
	while (!later->is_answered)
		workers_dispatch(rig.workers);
	check(!strstr(rig.kernel.log, "end "));
	fake_kernel_let_go(&rig.kernel);
	rig_settle(&rig);
	check_str(rig_result(launch), "ok");
	check_str(rig_result(release), "ok");
	check_int(release->number, 1);
	check_int(fake_kernel_count(&rig.kernel), 0);
	rig_check_true(&rig);
	rig_done(&rig);
}

static void
test_release_user_when_its_user_calls_on_and_on_then_has_its_turn(void)
{
	OpArgs args = { .release_user.uid = ALICE };
	RigCall *release, *behind;

	(void)rig_launch_held(&rig, ALICE);
	release = rig_submit(&rig, OP_RELEASE_USER, &args, 0, NULL);
	rig_decide(release, AUTHORITY_YES);
	behind = rig_launch(&rig, ALICE, 'b');
	while (!behind->is_asked)
		workers_dispatch(rig.workers);
	rig_decide(behind, AUTHORITY_YES);
	fake_kernel_let_go(&rig.kernel);
	rig_settle(&rig);
	check_str(rig_result(release), "ok");
	check_int(release->number, 1);
	check_str(rig_result(behind), "ok");
	check_int(behind->order, release->order + 1);
	check_int(fake_kernel_count(&rig.kernel), 1);
	rig_check_true(&rig);
	rig_done(&rig);
}

TEST_MAIN(TEST(test_release_user_when_only_asked_then_nobody_waits_for_it),
	  TEST(test_release_user_when_a_launch_runs_then_waits_and_takes_it_too),
	  TEST(test_release_user_when_its_user_calls_on_and_on_then_has_its_turn))
