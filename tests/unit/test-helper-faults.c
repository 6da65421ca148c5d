/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every method × every call to the kernel, failed once: nothing is left, and the ledger is true. */
#include <errno.h>

#include "fakes/helper-rig.h"
#include "helper/reconcile.h"
#include "test.h"

#define ALICE 1000

static Rig rig;

static RigCall *
submit(OpId id)
{
	OpArgs args = { .release_user.uid = ALICE };

	if (id == OP_LAUNCH_VMM) {
		OpArgs launch = { .launch_vmm = { .vm = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
						  .operation = "",
						  .vmm = "qemu-microvm",
						  .kvm = true,
						  .vcpus = 1,
						  .memory = 128 * BN_MIB,
						  .cmdline = "",
						  .kernel = rig.kernel_fd,
						  .initramfs = rig.initramfs_fd } };

		return rig_submit(&rig, id, &launch, ALICE, NULL);
	}
	return id == OP_RELEASE_USER ? rig_submit(&rig, id, &args, 0, NULL)
				     : rig_call(&rig, id, ALICE, 'a');
}

static void
check_clean_after_release(void)
{
	RigCall *release;

	rig.kernel.fail_at = 0;
	release = rig_call(&rig, OP_RELEASE_VM, ALICE, 'a');
	rig_settle(&rig);
	check_str(rig_result(release), "ok");
	check_int(fake_kernel_count(&rig.kernel), 0);
	check_int(ledger_count(rig.ledger, LEDGER_ALL), 0);
}

/* Returns whether the k-th call was reached at all. */
static bool
fail_one(OpId id, unsigned k, int error)
{
	bool has_vm = id == OP_OPEN_VMM || id == OP_SIGNAL_VMM || id == OP_RELEASE_VM ||
		      id == OP_RELEASE_USER || id == OP_LIST_RESOURCES ||
		      id == OP_LIST_ALL_RESOURCES;
	bool was_reached;
	size_t fds;
	RigCall *call;

	rig_init(&rig);
	fds = rig_count_fds();
	if (has_vm) {
		rig_launch(&rig, ALICE, 'a');
		rig_settle(&rig);
	}
	rig.kernel.calls = 0;
	rig.kernel.fail_at = k;
	rig.kernel.fail_with = error;
	call = submit(id);
	rig_settle(&rig);
	check(call->is_answered);
	was_reached = rig.kernel.calls >= k;
	rig_check_true(&rig);
	if (was_reached && id == OP_LAUNCH_VMM) {
		check(call->error != OP_ERROR_NONE);
		check_int(fake_kernel_count(&rig.kernel), 0);
		check_int(ledger_count(rig.ledger, LEDGER_ALL), 0);
	}
	if (!was_reached)
		check_str(rig_result(call), "ok");
	check_int(rig_count_fds(), fds);
	check_clean_after_release();
	rig_done(&rig);
	return was_reached;
}

static void
test_t11_methods_when_any_kernel_call_fails_then_nothing_is_left(void)
{
	static const int errors[] = { -EIO, -ENOENT, -ENOEXEC, -ENOMEM };

	for (int id = OP_PROBE_KVM; id < _OP_MAX; id++)
		for (size_t e = 0; e < BN_ELEMENTSOF(errors); e++) {
			unsigned k = 1;

			/* test-helper-net.c */
			if (id >= OP_ENSURE_BRIDGE && id <= OP_DISABLE_NAME_ROUTING)
				continue;

			/* A verdict that is not there is no failure of the launch. */
			if (id == OP_LAUNCH_VMM && errors[e] == -ENOENT)
				continue;
			while (fail_one((OpId)id, k, errors[e]))
				k++;
			check(k > 1);
		}
}

static void
test_undo_when_it_fails_too_then_the_ledger_keeps_the_vm(void)
{
	RigCall *launch;

	rig_init(&rig);
	rig.kernel.fail_at = 2;  /* scope … */
	rig.kernel.fail_for = 2; /* … and the end of the jail */
	launch = rig_launch(&rig, ALICE, 'a');
	rig_settle(&rig);
	check_str(rig_result(launch), "Failed");
	check_int(fake_kernel_count(&rig.kernel), 1);
	rig_check_true(&rig);
	launch = rig_launch(&rig, ALICE, 'a');
	rig_settle(&rig);
	check_str(rig_result(launch), "AlreadyExists");
	/* Not one that ended: it never ran. */
	check(strstr(launch->text, "did not come to its end"));
	check_clean_after_release();
	rig_done(&rig);
}

/* The helper dies behind any kernel call of a launch; its successor finds the truth. */
static void
test_successor_when_a_launch_was_cut_then_undone(void)
{
	Reconciled found;
	uid_t jail_uid;
	KernelJail jail = KERNEL_JAIL_INIT;
	BnVmmSpec spec = {};
	KernelText text;
	KernelLaunch launch = { .key = "1000-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
				.spec = &spec,
				.n_fds = 2 };

	for (int cut = 0; cut < 2; cut++) {
		rig_init(&rig);
		check_int(ledger_add(rig.ledger, ALICE, launch.key + 5, &jail_uid), 0);
		launch.jail_uid = jail_uid;
		if (cut == 1)
			check_int(rig.kernel.kernel.jail_launch(&rig.kernel, &launch, &jail, &text),
				  0);
		kernel_jail_donep(&jail);
		rig_restart(&rig);
		check_int(ledger_count(rig.ledger, ALICE), 1);
		check_int(reconcile(rig.ledger, &rig.kernel.kernel, &found), 0);
		check_int(found.undone, 1);
		check_int(fake_kernel_count(&rig.kernel), 0);
		check_int(ledger_count(rig.ledger, LEDGER_ALL), 0);
		rig_done(&rig);
	}
}

static void
test_successor_when_vms_run_or_ended_then_knows_which(void)
{
	Reconciled found;
	RigCall *open, *release;

	rig_init(&rig);
	rig_launch(&rig, ALICE, 'a');
	rig_launch(&rig, ALICE, 'b');
	rig_settle(&rig);
	fake_kernel_end(&rig.kernel, "1000-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "exit 3");
	rig_restart(&rig);
	check_int(reconcile(rig.ledger, &rig.kernel.kernel, &found), 0);
	check_int(found.ended, 1);
	check_int(found.undone + found.strange + found.failed, 0);
	open = rig_call(&rig, OP_OPEN_VMM, ALICE, 'a');
	release = rig_call(&rig, OP_RELEASE_VM, ALICE, 'b');
	rig_settle(&rig);
	check_str(rig_result(open), "ok");
	check_str(release->text, "exit 3");
	rig_done(&rig);
}

static void
test_successor_when_a_jails_files_are_nobodys_then_removed(void)
{
	Reconciled found;

	rig_init(&rig);
	rig_launch(&rig, ALICE, 'a');
	rig_settle(&rig);
	check_int(ledger_remove(rig.ledger, ALICE, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 0);
	check_int(reconcile(rig.ledger, &rig.kernel.kernel, &found), 0);
	check_int(found.failed, 1); /* it lives: left to be seen */
	fake_kernel_end(&rig.kernel, "1000-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "exit 0");
	check_int(reconcile(rig.ledger, &rig.kernel.kernel, &found), 0);
	check_int(found.strange, 1);
	check_int(fake_kernel_count(&rig.kernel), 0);
	rig_done(&rig);
}

TEST_MAIN(TEST(test_t11_methods_when_any_kernel_call_fails_then_nothing_is_left),
	  TEST(test_undo_when_it_fails_too_then_the_ledger_keeps_the_vm),
	  TEST(test_successor_when_a_launch_was_cut_then_undone),
	  TEST(test_successor_when_vms_run_or_ended_then_knows_which),
	  TEST(test_successor_when_a_jails_files_are_nobodys_then_removed))
