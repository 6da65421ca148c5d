/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fakes/helper-rig.h"
#include "helper/budget.h"
#include "test.h"

#define ALICE 1000
#define BOB   1001

static Rig rig;
static char entry[200];

static void
test_calls_when_decided_out_of_order_then_run_in_order_of_arrival(void)
{
	RigCall *launch, *signal, *release;

	rig_init(&rig);
	rig.hold_questions = true;
	launch = rig_launch(&rig, ALICE, 'a');
	signal = rig_call(&rig, OP_SIGNAL_VMM, ALICE, 'a');
	release = rig_call(&rig, OP_RELEASE_VM, ALICE, 'a');
	rig_settle(&rig);
	rig_decide(release, AUTHORITY_YES);
	rig_decide(signal, AUTHORITY_YES);
	rig_settle(&rig);
	check(!release->is_answered && !signal->is_answered);
	rig_decide(launch, AUTHORITY_YES);
	rig_settle(&rig);
	check_str(rig_result(launch), "ok");
	check_str(rig_result(signal), "ok");
	check_str(release->text, "signal 9");
	check(launch->order < signal->order && signal->order < release->order);
	rig_done(&rig);
}

static void
test_failure_when_calls_wait_behind_then_they_are_aborted_and_no_others(void)
{
	RigCall *launch, *behind, *last, *other_vm, *other_user;

	rig_init(&rig);
	rig.hold_questions = true;
	launch = rig_launch(&rig, ALICE, 'a');
	behind = rig_call(&rig, OP_OPEN_VMM, ALICE, 'a');
	last = rig_call(&rig, OP_RELEASE_VM, ALICE, 'a');
	other_vm = rig_launch(&rig, ALICE, 'b');
	other_user = rig_launch(&rig, BOB, 'a');
	rig_settle(&rig);
	rig_decide(last, AUTHORITY_YES);
	rig_decide(launch, AUTHORITY_NO);
	check_str(rig_result(launch), "NotAuthorized");
	check_str(rig_result(behind), "Aborted");
	check(behind->is_cancelled);
	check_str(rig_result(last), "Aborted");
	check(launch->order < behind->order);
	check(!other_vm->is_answered && !other_user->is_answered);
	rig.hold_questions = false;
	rig_settle(&rig);
	check_str(rig_result(other_vm), "ok");
	check_str(rig_result(other_user), "ok");
	/* What comes later is not behind it. */
	check_str((rig_launch(&rig, ALICE, 'a'), rig_settle(&rig), rig_result(&rig.calls[5])),
		  "ok");
	rig_done(&rig);
}

static void
test_quota_when_at_its_limit_then_only_the_next_is_refused(void)
{
	rig_init(&rig);
	for (int i = 0; i < 5; i++) {
		rig_launch(&rig, ALICE, (char)('0' + i));
		rig_settle(&rig);
	}
	check_str(rig_result(&rig.calls[2]), "ok"); /* max - 1 */
	check_str(rig_result(&rig.calls[3]), "ok"); /* max */
	check_str(rig_result(&rig.calls[4]), "QuotaReached");
	check(strstr(rig.calls[4].text, "vms-per-user"));
	check_int(fake_kernel_count(&rig.kernel), 4);
	rig_launch(&rig, BOB, '9');
	rig_settle(&rig);
	check_str(rig_result(&rig.calls[5]), "ok");
	rig_call(&rig, OP_RELEASE_VM, ALICE, '0');
	rig_settle(&rig);
	rig_launch(&rig, ALICE, '4');
	rig_settle(&rig);
	check_str(rig_result(&rig.calls[7]), "ok");
	rig_check_true(&rig);
	rig_done(&rig);
}

static void
test_questions_when_as_many_are_open_as_may_be_then_the_next_wait_in_order(void)
{
	RigCall *last, *behind, *gone, *other;

	rig_init(&rig);
	rig.hold_questions = true;
	for (int i = 0; i < BN_QUESTIONS_PER_USER; i++)
		check(rig_call(&rig, OP_LIST_RESOURCES, ALICE, 0)->is_asked);
	last = rig_call(&rig, OP_LIST_RESOURCES, ALICE, 0);
	gone = rig_call(&rig, OP_LIST_RESOURCES, ALICE, 0);
	behind = rig_launch(&rig, ALICE, 'a');
	rig_settle(&rig);
	check(!last->is_asked && !gone->is_asked && !behind->is_asked);
	other = rig_call(&rig, OP_LIST_RESOURCES, BOB, 0);
	check(other->is_asked);
	rig_decide(&rig.calls[3], AUTHORITY_NO);
	check(last->is_asked && !gone->is_asked && !behind->is_asked);
	/* Whose caller goes is not asked about any more, and leaves its place. */
	dispatch_sender_gone(rig.dispatch, ":17");
	check(gone->is_answered && !gone->is_cancelled);
	dispatch_sender_gone(rig.dispatch, ":0");
	rig_settle(&rig);
	check(behind->is_asked);
	check_str(rig_result(rig_call(&rig, OP_OPEN_VMM, ALICE, '/')), "InvalidArgument");
	rig.hold_questions = false;
	rig_settle(&rig);
	check_str(rig_result(last), "ok");
	check_str(rig_result(behind), "ok");
	rig_done(&rig);
}

/* A restarted bangerd asks for all its VMs at once. */
static void
test_calls_when_far_more_than_questions_come_at_once_then_all_are_served(void)
{
	rig_init(&rig);
	for (int i = 0; i < BUDGET_CALLS_PER_USER; i++)
		rig_call(&rig, i % 2 ? OP_RELEASE_VM : OP_LIST_RESOURCES, ALICE, 'a');
	rig_settle(&rig);
	for (int i = 0; i < BUDGET_CALLS_PER_USER; i++)
		check_str(rig_result(&rig.calls[i]), "ok");
	rig_done(&rig);
}

/* Allowed at once, and not given back by a worker before rig_settle(). */
static RigCall *
begin_call(uid_t uid)
{
	RigCall *call = rig_call(&rig, OP_LIST_RESOURCES, uid, 0);

	if (!call->is_answered)
		rig_decide(call, AUTHORITY_YES);
	return call;
}

static void
test_calls_when_a_user_has_all_it_may_have_then_the_next_is_busy(void)
{
	rig_init(&rig);
	rig.hold_questions = true;
	for (int i = 0; i < BUDGET_CALLS_PER_USER; i++)
		check(!begin_call(ALICE)->is_answered);
	check_str(rig_result(begin_call(ALICE)), "Busy");
	check(!begin_call(BOB)->is_answered);
	rig_settle(&rig);
	for (int i = 0; i < BUDGET_CALLS_PER_USER; i++)
		check_str(rig_result(&rig.calls[i]), "ok");
	check(!begin_call(ALICE)->is_answered);
	rig_settle(&rig);
	rig_done(&rig);
}

static void
test_calls_when_all_users_have_all_the_helper_takes_then_the_next_is_busy(void)
{
	RigCall *last;

	rig_init(&rig);
	rig.hold_questions = true;
	for (int i = 0; i < RIG_CALLS_AT_ONCE; i++)
		check(!begin_call(ALICE + (uid_t)(i / BUDGET_CALLS_PER_USER))->is_answered);
	last = begin_call(1);
	check_str(rig_result(last), "Busy");
	check(strstr(last->text, "of all users"));
	rig_settle(&rig);
	check(!begin_call(1)->is_answered);
	rig_settle(&rig);
	rig_done(&rig);
}

static void
test_budget_when_descriptors_are_few_or_many_then_calls_cannot_use_them_up(void)
{
	for (uint64_t n = 64; n <= 1 << 20; n *= 2) {
		Budget b = budget_make(n);

		check(b.calls > 0 && b.arrivals > 0);
		check(b.arrivals * OP_WIRE_FDS_MAX + b.calls * BUDGET_CALL_DESCRIPTORS <=
		      n - n / 4);
	}
	check_int(budget_make(UINT64_MAX).calls, budget_make(BUDGET_DESCRIPTORS).calls);
}

static void
test_t07_sender_when_gone_mid_question_then_its_call_alone_ends(void)
{
	RigCall *launch, *other, *another_users;

	rig_init(&rig);
	rig.hold_questions = true;
	launch = rig_launch(&rig, ALICE, 'a');
	other = rig_call(&rig, OP_RELEASE_VM, ALICE, 'a');
	another_users = rig_call(&rig, OP_LIST_RESOURCES, BOB, 0);
	rig_settle(&rig);
	dispatch_sender_gone(rig.dispatch, ":0");
	check(launch->is_cancelled && launch->is_answered);
	check_str(launch->text, "(nobody)");
	/* It did not fail: whoever else is behind it goes on. */
	check(!other->is_answered && !another_users->is_answered);
	rig_decide(other, AUTHORITY_YES);
	rig_decide(another_users, AUTHORITY_YES);
	rig_settle(&rig);
	check_str(rig_result(other), "ok");
	check_str(rig_result(another_users), "ok");
	check_int(rig.kernel.calls, 0);
	check_int(ledger_count(rig.ledger, LEDGER_ALL), 0);
	rig_done(&rig);
}

static void
test_sender_when_gone_mid_run_then_its_vm_lives(void)
{
	RigCall *launch;

	rig_init(&rig);
	fake_kernel_hold(&rig.kernel, "aaaa");
	launch = rig_launch(&rig, ALICE, 'a');
	/* Descriptors are looked at in a worker first. */
	while (!launch->is_asked) {
		rig.hold_questions = true;
		rig_settle(&rig);
	}
	rig_decide(launch, AUTHORITY_YES);
	fake_kernel_wait_held(&rig.kernel);
	dispatch_sender_gone(rig.dispatch, ":0");
	check(!launch->is_answered);
	fake_kernel_let_go(&rig.kernel);
	rig_settle(&rig);
	check_str(rig_result(launch), "ok");
	check_int(ledger_count(rig.ledger, ALICE), 1);
	rig_done(&rig);
}

/* What was checked is what runs. */
static void
test_t06_t13_arguments_when_changed_while_polkit_thinks_then_the_checked_ones_run(void)
{
	OpArgs args;
	RigCall *launch;

	rig_init(&rig);
	rig.hold_questions = true;
	args.launch_vmm = (OpLaunchVmmArgs){ .vm = "0123456789abcdef0123456789abcdef",
					     .operation = "",
					     .vmm = "qemu-microvm",
					     .vcpus = 2,
					     .memory = 128 * BN_MIB,
					     .cmdline = "quiet",
					     .kernel = rig.kernel_fd,
					     .initramfs = rig.initramfs_fd };
	launch = rig_submit(&rig, OP_LAUNCH_VMM, &args, ALICE, NULL);
	rig_settle(&rig);
	args.launch_vmm.vcpus = 64;
	args.launch_vmm.vm = "ffffffffffffffffffffffffffffffff";
	check_str(launch->vm, "0123456789abcdef0123456789abcdef");
	check_str(launch->action, "org.banger.helper.launch-vmm");
	check_str(launch->object, "1000-0123456789abcdef0123456789abcdef");
	rig_decide(launch, AUTHORITY_YES);
	rig_settle(&rig);
	check_str(rig_result(launch), "ok");
	check(fake_kernel_find(&rig.kernel, launch->object));
	check_int(fake_kernel_find(&rig.kernel, launch->object)->spec.vcpus, 2);
	rig_done(&rig);
}

/* Looked up again after the question. */
static void
test_t06_vm_when_gone_while_polkit_thinks_then_not_found(void)
{
	RigCall *open;

	rig_init(&rig);
	rig_launch(&rig, ALICE, 'a');
	rig_settle(&rig);
	rig.hold_questions = true;
	open = rig_call(&rig, OP_OPEN_VMM, ALICE, 'a');
	check_int(ledger_remove(rig.ledger, ALICE, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 0);
	rig_decide(open, AUTHORITY_YES);
	rig_settle(&rig);
	check_str(rig_result(open), "NotFound");
	rig_done(&rig);
}

static void
test_t28_vm_when_another_users_then_invisible(void)
{
	rig_init(&rig);
	rig_launch(&rig, ALICE, 'a');
	rig_settle(&rig);
	rig_call(&rig, OP_OPEN_VMM, BOB, 'a');
	rig_call(&rig, OP_SIGNAL_VMM, BOB, 'a');
	rig_call(&rig, OP_RELEASE_VM, BOB, 'a');
	rig_call(&rig, OP_LIST_RESOURCES, BOB, 0);
	rig_call(&rig, OP_LIST_RESOURCES, ALICE, 0);
	/* Root acts for itself. */
	rig_call(&rig, OP_OPEN_VMM, 0, 'a');
	rig_settle(&rig);
	/* And nothing of it was changed by that. */
	rig_call(&rig, OP_OPEN_VMM, ALICE, 'a');
	rig_settle(&rig);
	check_str(rig_result(&rig.calls[1]), "NotFound");
	check_str(rig_result(&rig.calls[2]), "Aborted");
	check_str(rig_result(&rig.calls[3]), "Aborted");
	check_int(rig.calls[4].number, 0);
	check_int(rig.calls[5].number, 1);
	check_str(rig_result(&rig.calls[6]), "NotFound");
	check_str(rig_result(&rig.calls[7]), "ok");
	check(fake_kernel_find(&rig.kernel, "1000-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")->alive);
	rig_done(&rig);
}

static void
test_refusal_when_given_then_names_action_and_remedy(void)
{
	static const struct {
		AuthorityAnswer answer;
		const char *result, *text;
	} cases[] = {
		{ AUTHORITY_NO, "NotAuthorized",
		  "unless a rule in /etc/polkit-1/rules.d forbids it, members of the group 'banger' "
		  "are allowed: an administrator can make you one (usermod -aG banger USER" },
		{ AUTHORITY_CHALLENGE, "InteractionRequired", "ask a person" },
		{ AUTHORITY_UNAVAILABLE, "NotAuthorized", "polkit did not answer" }
	};

	rig_init(&rig);
	for (size_t i = 0; i < BN_ELEMENTSOF(cases); i++) {
		RigCall *launch;

		rig.answer = cases[i].answer;
		launch = rig_launch(&rig, ALICE, 'a');
		rig_settle(&rig);
		check_str(rig_result(launch), cases[i].result);
		check(strstr(launch->text, cases[i].text));
		check(strstr(launch->text, "org.banger.helper.launch-vmm"));
	}
	check_int(rig.kernel.calls, 0);
	check_int(ledger_count(rig.ledger, LEDGER_ALL), 0);
	rig_done(&rig);
}

static void
test_t44_user_when_its_calls_hang_then_another_is_served(void)
{
	RigCall *other;

	rig_init(&rig);
	for (int i = 0; i < WORKERS_PER_USER; i++)
		rig_launch(&rig, ALICE, (char)('0' + i));
	rig_settle(&rig);
	fake_kernel_hold(&rig.kernel, "1000-");
	rig.hold_questions = true;
	for (int i = 0; i < WORKERS_PER_USER; i++)
		rig_decide(rig_call(&rig, OP_RELEASE_VM, ALICE, (char)('0' + i)), AUTHORITY_YES);
	fake_kernel_wait_held(&rig.kernel);
	other = rig_call(&rig, OP_LIST_RESOURCES, BOB, 0);
	rig_decide(other, AUTHORITY_YES);
	while (!other->is_answered)
		workers_dispatch(rig.workers);
	check_str(rig_result(other), "ok");
	for (int i = 0; i < WORKERS_PER_USER; i++)
		check(!rig.calls[WORKERS_PER_USER + i].is_answered);
	fake_kernel_let_go(&rig.kernel);
	rig_settle(&rig);
	for (int i = 0; i < WORKERS_PER_USER; i++)
		check_str(rig_result(&rig.calls[WORKERS_PER_USER + i]), "ok");
	rig_done(&rig);
}

/* On the disk is what a successor would find. */
static RigCall *
launch_held(void)
{
	RigCall *launch = rig_launch_held(&rig, ALICE);

	(void)snprintf(entry, sizeof(entry), "%s/%s", rig.directory, launch->object);
	return launch;
}

static void
test_launch_when_the_kernel_is_asked_then_the_ledger_has_it_already(void)
{
	RigCall *launch = launch_held();

	check_int(access(entry, F_OK), 0);
	fake_kernel_let_go(&rig.kernel);
	rig_settle(&rig);
	check_str(rig_result(launch), "ok");
	rig_done(&rig);
}

static void
test_launch_when_its_success_cannot_be_written_then_it_fails_and_stays_launching(void)
{
	RigCall *launch = launch_held();
	static const char *const parts[] = { "disk", "net", "leases" };

	/* Nothing can be made in a directory that is gone. */
	for (size_t i = 0; i < BN_ELEMENTSOF(parts); i++) {
		char path[200];

		(void)snprintf(path, sizeof(path), "%s/%s", rig.directory, parts[i]);
		check_int(remove(path), 0);
	}
	check_int(unlink(entry), 0);
	check_int(rmdir(rig.directory), 0);
	fake_kernel_let_go(&rig.kernel);
	rig_settle(&rig);
	check_str(rig_result(launch), "Failed");
	check(strstr(launch->text, "release the VM"));
	check_int(ledger_find(rig.ledger, ALICE, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")->state,
		  LEDGER_LAUNCHING);
	check_int(mkdir(rig.directory, 0700), 0);
	rig_done(&rig);
}

static void
test_vmm_when_it_ended_then_open_says_so_and_release_tells_how(void)
{
	rig_init(&rig);
	rig_launch(&rig, ALICE, 'a');
	rig_settle(&rig);
	fake_kernel_end(&rig.kernel, "1000-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "exit 0");
	rig_call(&rig, OP_LIST_RESOURCES, ALICE, 0);
	rig_settle(&rig);
	check_str(rig.calls[1].text, "ended");
	rig_call(&rig, OP_OPEN_VMM, ALICE, 'a');
	rig_settle(&rig);
	check_str(rig_result(&rig.calls[2]), "NotFound");
	rig_launch(&rig, ALICE, 'a');
	rig_settle(&rig);
	check_str(rig_result(&rig.calls[3]), "AlreadyExists");
	check(strstr(rig.calls[3].text, "that ended; ReleaseVM"));
	rig_call(&rig, OP_RELEASE_VM, ALICE, 'a');
	rig_call(&rig, OP_RELEASE_VM, ALICE, 'a');
	rig_settle(&rig);
	check_str(rig.calls[4].text, "exit 0");
	check_str(rig_result(&rig.calls[5]), "ok");
	check_str(rig.calls[5].text, "");
	rig_done(&rig);
}

static void
test_kvm_when_unusable_then_refused_with_the_reason_and_probed_once(void)
{
	OpArgs args;

	rig_init(&rig);
	rig.kernel.kvm_usable = false;
	args.launch_vmm = (OpLaunchVmmArgs){ .vm = "0123456789abcdef0123456789abcdef",
					     .operation = "",
					     .vmm = "qemu-q35",
					     .kvm = true,
					     .vcpus = 1,
					     .memory = 128 * BN_MIB,
					     .cmdline = "",
					     .kernel = rig.kernel_fd,
					     .initramfs = rig.initramfs_fd };
	for (int i = 0; i < 2; i++) {
		RigCall *launch = rig_submit(&rig, OP_LAUNCH_VMM, &args, ALICE, NULL);

		rig_settle(&rig);
		check_str(rig_result(launch), "KvmUnusable");
		check_str(launch->text, "measured by nobody");
	}
	rig_call(&rig, OP_PROBE_KVM, ALICE, 0);
	rig_settle(&rig);
	check_str(rig_result(&rig.calls[2]), "ok");
	check_str(rig.kernel.log,
		  "verdict load\nkvm probe\nverdict save usable=0\nverdict load\nverdict load\n");
	check_int(ledger_count(rig.ledger, LEDGER_ALL), 0);
	rig_done(&rig);
}

static void
test_kvm_when_its_code_could_not_be_run_then_probed_again(void)
{
	rig_init(&rig);
	rig.kernel.kvm_usable = false;
	rig.kernel.kvm_unproven = true;
	rig_call(&rig, OP_PROBE_KVM, ALICE, 0);
	rig_settle(&rig);
	check_str(rig_result(&rig.calls[0]), "ok");
	check_str(rig.kernel.log, "verdict load\nkvm probe\n");
	rig.kernel.kvm_unproven = false;
	rig_call(&rig, OP_PROBE_KVM, BOB, 0);
	rig_settle(&rig);
	check_str(rig_result(&rig.calls[1]), "ok");
	check(strstr(rig.kernel.log, "verdict load\nkvm probe\nverdict save usable=0\n"));
	rig_done(&rig);
}

/* Allowed; it is answered when the workers' end is told. */
static RigCall *
probe_kvm(uid_t uid)
{
	RigCall *call = rig_call(&rig, OP_PROBE_KVM, uid, 0);

	rig_decide(call, AUTHORITY_YES);
	return call;
}

static void
test_kvm_when_a_probe_fails_then_who_waits_for_it_fails_too_and_others_go_on(void)
{
	RigCall *first, *second, *other;

	rig_init(&rig);
	rig.hold_questions = true;
	fake_kernel_hold(&rig.kernel, "kvm");
	first = probe_kvm(ALICE);
	fake_kernel_wait_held(&rig.kernel);
	second = probe_kvm(BOB);
	/* Each has looked for a verdict. */
	fake_kernel_wait_calls(&rig.kernel, 2);
	other = rig_call(&rig, OP_LIST_RESOURCES, BOB, 0);
	rig_decide(other, AUTHORITY_YES);
	while (!other->is_answered)
		workers_dispatch(rig.workers);
	check(!first->is_answered && !second->is_answered);
	rig.kernel.fail_at = 3;
	fake_kernel_let_go(&rig.kernel);
	rig_settle(&rig);
	check_str(rig_result(first), "Failed");
	check_str(rig_result(second), "Failed");
	check_str(rig.kernel.log, "verdict load\nkvm probe\nverdict load\n");
	/* It is no verdict: who comes later tries again. */
	rig.kernel.fail_at = 0;
	second = probe_kvm(BOB);
	rig_settle(&rig);
	check_str(rig_result(second), "ok");
	rig_done(&rig);
}

static void
test_arguments_when_out_of_bounds_then_named_before_any_question(void)
{
	const OpLaunchVmmArgs good = { .vm = "0123456789abcdef0123456789abcdef",
				       .operation = "",
				       .vmm = "qemu-q35",
				       .vcpus = 1,
				       .memory = 128 * BN_MIB,
				       .cmdline = "" };
	static const char *const names[] = { "vm",     "vm",      "operation", "vmm",
					     "vmm",    "vcpus",   "vcpus",     "memory",
					     "memory", "cmdline", "cmdline" };
	OpArgs cases[BN_ELEMENTSOF(names)];

	for (size_t i = 0; i < BN_ELEMENTSOF(cases); i++)
		cases[i].launch_vmm = good;
	cases[0].launch_vmm.vm = "";
	cases[1].launch_vmm.vm = "0123456789abcdef0123456789abcde/";
	cases[2].launch_vmm.operation = "%n%s";
	cases[3].launch_vmm.vmm = "";
	cases[4].launch_vmm.vmm = "/bin/sh";
	cases[5].launch_vmm.vcpus = 0;
	cases[6].launch_vmm.vcpus = BN_VCPUS_MAX + 1;
	cases[7].launch_vmm.memory = BN_MEMORY_MAX + BN_MIB;
	cases[8].launch_vmm.memory = 128 * BN_MIB + 1;
	cases[9].launch_vmm.cmdline = "a\nb";
	cases[10].launch_vmm.cmdline = "caf\303\251";
	rig_init(&rig);
	for (size_t i = 0; i < BN_ELEMENTSOF(cases); i++) {
		RigCall *launch = rig_submit(&rig, OP_LAUNCH_VMM, &cases[i], ALICE, NULL);

		check_str(rig_result(launch), "InvalidArgument");
		check(strncmp(launch->text, names[i], strlen(names[i])) == 0);
		check(launch->text[strlen(names[i])] == ':');
	}
	check_int(rig.kernel.calls, 0);
	rig_done(&rig);
}

static void
test_shutdown_when_calls_wait_then_aborted_and_running_ones_finished(void)
{
	RigCall *running, *waiting;

	rig_init(&rig);
	rig.hold_questions = true;
	running = rig_launch(&rig, ALICE, 'a');
	rig_settle(&rig);
	fake_kernel_hold(&rig.kernel, "aaaa");
	rig_decide(running, AUTHORITY_YES);
	fake_kernel_wait_held(&rig.kernel);
	waiting = rig_call(&rig, OP_LIST_RESOURCES, ALICE, 0);
	dispatch_shut_down(rig.dispatch);
	check_str(rig_result(waiting), "Aborted");
	check(!running->is_answered && !dispatch_is_idle(rig.dispatch));
	fake_kernel_let_go(&rig.kernel);
	rig_settle(&rig);
	check_str(rig_result(running), "ok");
	check(dispatch_is_idle(rig.dispatch));
	rig_done(&rig);
}

static void
test_launch_when_it_succeeds_then_reads_as_written(void)
{
	rig_init(&rig);
	rig_launch(&rig, ALICE, 'a');
	rig_settle(&rig);
	rig_call(&rig, OP_RELEASE_VM, ALICE, 'a');
	rig_settle(&rig);
	check_str(rig.kernel.log, "launch 1000-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa kvm=0 disks=0\n"
				  "scope 1000-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
				  "go\n"
				  "end 1000-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
				  "ended 1000-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
				  "remove 1000-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n");
	rig_done(&rig);
}

/* Others go on beside each other for as long as they like. */
static void
test_bridge_when_others_never_pause_then_it_has_its_turn(void)
{
	RigCall *nat, *bridge, *later;

	rig_init(&rig);
	(void)rig_bridge(&rig, OP_ENSURE_BRIDGE, ALICE);
	rig_settle(&rig);
	(void)rig_tap(&rig, ALICE, 'a', 0, /* peer= */ false);
	(void)rig_tap(&rig, ALICE, 'b', 0, /* peer= */ false);
	rig_settle(&rig);
	rig.hold_questions = true;
	nat = rig_nat(&rig, ALICE, 'a', false);
	bridge = rig_bridge(&rig, OP_ENSURE_BRIDGE, BOB);
	later = rig_peer(&rig, ALICE, 'b', true);
	fake_kernel_hold(&rig.kernel, "bgr-u1000");
	rig_decide(nat, AUTHORITY_YES);
	rig_wait(&rig); /* until it has looked at the host */
	fake_kernel_wait_held(&rig.kernel);
	rig_decide(bridge, AUTHORITY_YES);
	rig_decide(later, AUTHORITY_YES);
	fake_kernel_let_go(&rig.kernel);
	rig_settle(&rig);
	check_str(rig_result(nat), "ok");
	check_str(rig_result(bridge), "ok");
	check_str(rig_result(later), "ok");
	check(bridge->order < later->order);
	rig_done(&rig);
}

TEST_MAIN(TEST(test_calls_when_decided_out_of_order_then_run_in_order_of_arrival),
	  TEST(test_bridge_when_others_never_pause_then_it_has_its_turn),
	  TEST(test_failure_when_calls_wait_behind_then_they_are_aborted_and_no_others),
	  TEST(test_quota_when_at_its_limit_then_only_the_next_is_refused),
	  TEST(test_questions_when_as_many_are_open_as_may_be_then_the_next_wait_in_order),
	  TEST(test_calls_when_far_more_than_questions_come_at_once_then_all_are_served),
	  TEST(test_calls_when_a_user_has_all_it_may_have_then_the_next_is_busy),
	  TEST(test_calls_when_all_users_have_all_the_helper_takes_then_the_next_is_busy),
	  TEST(test_budget_when_descriptors_are_few_or_many_then_calls_cannot_use_them_up),
	  TEST(test_t07_sender_when_gone_mid_question_then_its_call_alone_ends),
	  TEST(test_sender_when_gone_mid_run_then_its_vm_lives),
	  TEST(test_t06_t13_arguments_when_changed_while_polkit_thinks_then_the_checked_ones_run),
	  TEST(test_t06_vm_when_gone_while_polkit_thinks_then_not_found),
	  TEST(test_t28_vm_when_another_users_then_invisible),
	  TEST(test_refusal_when_given_then_names_action_and_remedy),
	  TEST(test_t44_user_when_its_calls_hang_then_another_is_served),
	  TEST(test_launch_when_the_kernel_is_asked_then_the_ledger_has_it_already),
	  TEST(test_launch_when_its_success_cannot_be_written_then_it_fails_and_stays_launching),
	  TEST(test_vmm_when_it_ended_then_open_says_so_and_release_tells_how),
	  TEST(test_kvm_when_unusable_then_refused_with_the_reason_and_probed_once),
	  TEST(test_kvm_when_its_code_could_not_be_run_then_probed_again),
	  TEST(test_kvm_when_a_probe_fails_then_who_waits_for_it_fails_too_and_others_go_on),
	  TEST(test_arguments_when_out_of_bounds_then_named_before_any_question),
	  TEST(test_shutdown_when_calls_wait_then_aborted_and_running_ones_finished),
	  TEST(test_launch_when_it_succeeds_then_reads_as_written))
