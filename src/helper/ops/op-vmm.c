/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "helper/descriptor.h"
#include "helper/ledger.h"
#include "helper/ops/ops.h"

static const char not_its_tap[] = "not the tap of this VM";

int
launch_vmm_check(OpCall *call)
{
	const OpLaunchVmmArgs *args = &call->args.launch_vmm;
	BnVmmSpec *spec = &call->work.launch.spec;
	const char *wrong;
	int r;

	r = op_check_vm(call, args->vm, args->operation);
	if (r < 0)
		return r;
	if (strlen(args->cmdline) > BN_CMDLINE_MAX)
		return op_fail_argument(call, "cmdline", "too long");
	/* Zeroed first: every unused byte is compared and travels on. */
	memset(spec, 0, sizeof(*spec));
	spec->kind = bn_vmm_kind_from_string(args->vmm);
	spec->kvm = args->kvm;
	spec->vcpus = args->vcpus;
	spec->memory_bytes = args->memory;
	spec->n_disks = (uint32_t)args->n_disks;
	call->work.launch.tap[0] = '\0';
	memcpy(spec->cmdline, args->cmdline, strlen(args->cmdline));
	wrong = bn_vmm_spec_check(spec);
	return wrong ? op_fail_argument(call, wrong, "outside what org.banger.Helper describes")
		     : 0;
}

/* The card's address is that of the VM, which is in its tap's name. */
static int
look_at_tap(OpCall *call, int fd)
{
	OpLaunchWork *work = &call->work.launch;
	const char *wrong = NULL;
	uint32_t address;

	if (descriptor_check_tap(fd, work->tap, &wrong) < 0)
		return op_fail_argument(call, "network", wrong);
	if (bn_net_tap_address(work->tap, &address) < 0)
		return op_fail_argument(call, "network", not_its_tap);
	work->spec.network = 1;
	bn_net_mac(address, work->spec.mac);
	return 0;
}

int
launch_vmm_descriptors(OpCall *call)
{
	const OpLaunchVmmArgs *args = &call->args.launch_vmm;
	BnVmmSpec *spec = &call->work.launch.spec;
	const char *wrong = NULL;

	if (descriptor_check_image(args->kernel, BN_KERNEL_MAX, &wrong) < 0)
		return op_fail_argument(call, "kernel", wrong);
	if (descriptor_check_image(args->initramfs, BN_INITRAMFS_MAX, &wrong) < 0)
		return op_fail_argument(call, "initramfs", wrong);
	for (size_t i = 0; i < args->n_disks; i++) {
		bool read_only = false;

		if (descriptor_check_disk(args->disks[i], call->caller.uid, &read_only, &wrong) < 0)
			return op_fail_argument(call, "disks", wrong);
		spec->disk_read_only[i] = read_only;
	}
	return args->n_network > 0 ? look_at_tap(call, args->network[0]) : 0;
}

/* Whether the interface is the tap that CreateTap made for this VM. It is in our own network, where nobody else gives
 * such names. */
static bool
is_its_tap(const OpEnv *env, const OpCall *call, const char *interface)
{
	const NetTap *tap = net_ledger_find_tap(env->net, call->target, call->vm);
	char name[BN_LINK_NAME_SIZE];

	if (!tap || !tap->ready)
		return false;
	bn_net_tap_name(tap->address, name);
	return strcmp(name, interface) == 0;
}

int
launch_vmm_claim(const OpEnv *env, OpCall *call)
{
	static const char *const holds[_LEDGER_STATE_MAX] = {
		/* Calls about one VM run one by one: nobody launches it just now. */
		[LEDGER_LAUNCHING] = ("a launch of this VM did not come to its end; ReleaseVM "
				      "gives back what is left"),
		[LEDGER_RUNNING] = "this VM has a VMM already",
		[LEDGER_ENDED] = "this VM has a VMM that ended; ReleaseVM gives it back",
	};
	const LedgerEntry *entry = ledger_find(env->ledger, call->target, call->vm);
	int r;

	if (entry)
		return op_fail(call, OP_ERROR_ALREADY_EXISTS, "%s", holds[entry->state]);
	if (env->limits.wrong[0] != '\0')
		return op_fail(call, OP_ERROR_FAILED,
			       "%s; an administrator has to correct that first", env->limits.wrong);
	if (call->work.launch.tap[0] && !is_its_tap(env, call, call->work.launch.tap))
		return op_fail_argument(call, "network", not_its_tap);
	if (ledger_count(env->ledger, call->target) >= env->limits.vms_per_user)
		return op_fail(call, OP_ERROR_QUOTA_REACHED,
			       "%u VMs are the limit of one user here (vms-per-user in "
			       "/etc/banger/helper.conf); stop one first",
			       env->limits.vms_per_user);
	call->work.launch.undone = true; /* nothing is made yet */
	r = ledger_add(env->ledger, call->target, call->vm, &call->work.launch.jail_uid);
	return r < 0 ? op_fail_errno(call, r, "cannot write the ledger") : 0;
}

static int
require_kvm(const Kernel *kernel, OpCall *call)
{
	KernelVerdict verdict;
	int r = kvm_verdict(kernel, call->work.launch.jail_uid, &verdict);

	if (r < 0)
		return op_fail_errno(call, r, "the probe of KVM could not be run");
	if (!verdict.usable)
		return op_fail(call, OP_ERROR_KVM_UNUSABLE, "%s", verdict.reason.text);
	return 0;
}

/* A jail that must not outlive a failure. */
typedef struct LaunchUndo {
	const Kernel *kernel; /* NULL: disarmed */
	OpCall *call;
} LaunchUndo;

static void
undo_launchp(LaunchUndo *undo)
{
	const Kernel *kernel = undo->kernel;
	int r;

	if (!kernel)
		return;
	r = kernel->jail_end(kernel->ctx, undo->call->key, undo->call->work.launch.jail_uid);
	if (r >= 0)
		r = kernel->jail_remove(kernel->ctx, undo->call->key);
	undo->call->work.launch.undone = r >= 0;
}

static int
fail_launch(OpCall *call, int r, const char *what, const KernelText *detail)
{
	const char *why = detail->text[0] ? detail->text : strerror(-r);

	if (r == -ENOEXEC)
		(void)op_fail(
			call, OP_ERROR_VMM_UNAVAILABLE,
			"the program of VMM %s is missing, or somebody but root may write it or a "
			"directory above it (%s)",
			call->args.launch_vmm.vmm, why);
	else
		(void)op_fail(call, OP_ERROR_FAILED, "%s: %s", what, why);
	return r;
}

static int
start_in_jail(const Kernel *kernel, OpCall *call, const KernelLaunch *launch)
{
	_cleanup_(kernel_jail_donep) KernelJail jail = KERNEL_JAIL_INIT;
	_cleanup_(undo_launchp) LaunchUndo undo = { .call = call };
	OpLaunchVmmReply *reply = &call->reply.launch_vmm;
	int out[_BN_JAIL_OUT_MAX], r;
	KernelText detail = {};

	/* A failure may come behind the making: a jail nobody was told about has files all the same. */
	undo.kernel = kernel;
	call->work.launch.undone = false;
	r = kernel->jail_launch(kernel->ctx, launch, &jail, &detail);
	if (r < 0)
		return fail_launch(call, r, "the jail could not be made", &detail);
	r = kernel->scope_start(kernel->ctx, launch, &jail);
	if (r < 0)
		return fail_launch(call, r, "the jail's scope could not be started", &detail);
	r = kernel->jail_go(kernel->ctx, &jail, out, &detail);
	if (r < 0)
		return fail_launch(call, r, "the VMM did not start", &detail);
	undo.kernel = NULL;
	reply->control = out[BN_JAIL_OUT_CONTROL];
	reply->agent = out[BN_JAIL_OUT_AGENT];
	reply->console = out[BN_JAIL_OUT_CONSOLE];
	reply->process = BN_TAKE_FD(jail.process);
	return 0;
}

int
launch_vmm_run(const Kernel *kernel, OpCall *call)
{
	const OpLaunchVmmArgs *args = &call->args.launch_vmm;
	const OpLaunchWork *work = &call->work.launch;
	int fds[_BN_JAIL_FD_MAX];
	KernelLaunch launch = { .key = call->key,
				.jail_uid = work->jail_uid,
				.spec = &work->spec,
				.fds = fds,
				.n_fds = BN_JAIL_FD_DISK + args->n_disks + args->n_network };

	if (work->spec.kvm) {
		int r = require_kvm(kernel, call);

		if (r < 0)
			return r;
	}
	fds[BN_JAIL_FD_KERNEL] = args->kernel;
	fds[BN_JAIL_FD_INITRAMFS] = args->initramfs;
	for (size_t i = 0; i < args->n_disks; i++)
		fds[BN_JAIL_FD_DISK + i] = args->disks[i];
	if (args->n_network > 0)
		fds[BN_JAIL_FD_DISK + args->n_disks] = args->network[0];
	return start_in_jail(kernel, call, &launch);
}

int
launch_vmm_settle(const OpEnv *env, OpCall *call, int result)
{
	int r;

	if (result >= 0) {
		r = ledger_set_state(env->ledger, call->target, call->vm, LEDGER_RUNNING);
		/* The entry stays as it was, "launching": true enough, and ReleaseVM ends what
		 * runs. */
		return r < 0 ? op_fail_errno(call, r, "cannot write the ledger; release the VM")
			     : 0;
	}
	if (call->work.launch.undone)
		(void)ledger_remove(env->ledger, call->target, call->vm);
	return result;
}

int
open_vmm_check(OpCall *call)
{
	return op_check_vm(call, call->args.open_vmm.vm, call->args.open_vmm.operation);
}

int
signal_vmm_check(OpCall *call)
{
	static const int allowed[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGABRT,
				       SIGKILL, SIGUSR1, SIGUSR2, SIGTERM };
	const OpSignalVmmArgs *args = &call->args.signal_vmm;
	int r = op_check_vm(call, args->vm, args->operation);

	if (r < 0)
		return r;
	for (size_t i = 0; i < BN_ELEMENTSOF(allowed); i++)
		if (args->signal == (uint32_t)allowed[i])
			return 0;
	return op_fail_argument(call, "signal", "not one of HUP INT QUIT ABRT KILL USR1 USR2 TERM");
}

static int
fail_not_running(OpCall *call)
{
	return op_fail(call, OP_ERROR_NOT_FOUND, "this VM has no running VMM");
}

int
running_vmm_claim(const OpEnv *env, OpCall *call)
{
	const LedgerEntry *entry = ledger_find(env->ledger, call->target, call->vm);

	if (!entry || entry->state != LEDGER_RUNNING)
		return fail_not_running(call);
	call->work.vmm.jail_uid = entry->jail_uid;
	return 0;
}

static int
fail_jail(OpCall *call, int r, const char *what, const KernelText *detail)
{
	if (r == -ENOENT) {
		call->work.vmm.gone = true;
		return fail_not_running(call);
	}
	(void)op_fail(call, OP_ERROR_FAILED, "%s: %s", what,
		      detail->text[0] ? detail->text : strerror(-r));
	return r;
}

int
open_vmm_run(const Kernel *kernel, OpCall *call)
{
	_cleanup_(kernel_jail_donep) KernelJail jail = KERNEL_JAIL_INIT;
	OpOpenVmmReply *reply = &call->reply.open_vmm;
	int out[_BN_JAIL_OUT_MAX], r;
	KernelText detail = {};

	r = kernel->jail_find(kernel->ctx, call->key, call->work.vmm.jail_uid, &jail);
	if (r < 0)
		return fail_jail(call, r, "the jail cannot be reached", &detail);
	r = kernel->jail_process(kernel->ctx, &jail, &reply->process);
	if (r < 0)
		return fail_jail(call, r, "the jail did not prove who it is", &detail);
	r = kernel->jail_open(kernel->ctx, &jail, out, &detail);
	if (r < 0)
		return fail_jail(call, r, "the VMM's sockets could not be opened", &detail);
	reply->control = out[BN_JAIL_OUT_CONTROL];
	reply->agent = out[BN_JAIL_OUT_AGENT];
	reply->console = out[BN_JAIL_OUT_CONSOLE];
	return 0;
}

int
signal_vmm_run(const Kernel *kernel, OpCall *call)
{
	_cleanup_(kernel_jail_donep) KernelJail jail = KERNEL_JAIL_INIT;
	KernelText detail = {};
	int r;

	r = kernel->jail_find(kernel->ctx, call->key, call->work.vmm.jail_uid, &jail);
	if (r >= 0)
		r = kernel->jail_signal(kernel->ctx, &jail, (int)call->args.signal_vmm.signal,
					&detail);
	return r < 0 ? fail_jail(call, r, "the signal could not be sent", &detail) : 0;
}

int
running_vmm_settle(const OpEnv *env, OpCall *call, int result)
{
	/* Only a note: were it lost, the next call would find the same. */
	if (call->work.vmm.gone)
		(void)ledger_set_state(env->ledger, call->target, call->vm, LEDGER_ENDED);
	return result;
}
