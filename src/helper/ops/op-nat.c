/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far a VM reaches: EnableNat, DisableNat. */
#include <errno.h>
#include <string.h>

#include "helper/ops/net-common.h"
#include "helper/ops/ops.h"
#include "shared/rules/net.h"

int
enable_nat_check(OpCall *call)
{
	return op_check_vm(call, call->args.enable_nat.vm, call->args.enable_nat.operation);
}

int
enable_nat_claim(const OpEnv *env, OpCall *call)
{
	const NetTap *tap = net_ledger_find_tap(env->net, call->target, call->vm);
	OpNetWork *work = &call->work.net;
	int r;

	if (!tap || !tap->ready)
		return op_fail(call, OP_ERROR_NOT_FOUND, "this VM has no tap; CreateTap makes it");
	work->before = work->tap = *tap;
	work->tap.reach = call->args.enable_nat.lan ? NET_REACH_LAN : NET_REACH_NAT;
	r = net_ledger_put_tap(env->net, &work->tap);
	return r < 0 ? op_fail_errno(call, r, "cannot write the ledger") : 0;
}

/* Also what the VM has no more: to NAT from LAN, and back. */
static size_t
list_changes(const OpNetWork *work, const KernelForwarding *ours, NetChange *ret)
{
	size_t n = net_changes_of_host(ours, work->net, ret);

	if (work->before.reach != work->tap.reach && net_change_reach(&work->before, &ret[n]))
		ret[n++].remove = true;
	n += net_change_reach(&work->tap, &ret[n]);
	return n;
}

int
enable_nat_run(const Kernel *kernel, OpCall *call)
{
	NetChange changes[KERNEL_UPLINKS_MAX + KERNEL_NEAR_MAX + 2];
	OpNetWork *work = &call->work.net;
	KernelForwarding ours = {}, off = {};
	KernelText detail = {};
	char bridge[BN_LINK_NAME_SIZE];
	int r;

	bn_net_bridge_name(work->tap.uid, bridge);
	work->undone = true; /* nothing is done yet */
	r = kernel->forwarding_hold(kernel->ctx, work->net, bridge, &ours);
	if (r < 0)
		return op_fail_errno(call, r, "forwarding could not be switched on");
	r = kernel->filter_apply(kernel->ctx, /* base= */ false, changes,
				 list_changes(work, &ours, changes), &detail);
	/* Held once for each VM that has it. */
	if (r < 0 || work->before.reach != NET_REACH_NONE)
		work->undone = kernel->forwarding_drop(kernel->ctx, &off) >= 0;
	return r < 0 ? net_fail(call, r, "the packet filter could not be told", &detail) : 0;
}

int
enable_nat_settle(const OpEnv *env, OpCall *call, int result)
{
	/* Where it is still held, DisableNat lets go of it. */
	if (result < 0 && call->work.net.undone)
		(void)net_ledger_put_tap(env->net, &call->work.net.before);
	return result;
}

int
disable_nat_check(OpCall *call)
{
	return op_check_vm(call, call->args.disable_nat.vm, call->args.disable_nat.operation);
}

int
disable_nat_claim(const OpEnv *env, OpCall *call)
{
	const NetTap *tap = net_ledger_find_tap(env->net, call->target, call->vm);

	if (!tap || tap->reach == NET_REACH_NONE)
		return 1;
	call->work.net.tap = *tap;
	return 0;
}

int
disable_nat_run(const Kernel *kernel, OpCall *call)
{
	int r = net_undo_reach(kernel, &call->work.net.tap);

	return r < 0 ? op_fail_errno(call, r, "NAT could not be taken back; try again") : 0;
}

int
disable_nat_settle(const OpEnv *env, OpCall *call, int result)
{
	NetTap *tap = &call->work.net.tap;
	int r;

	if (result < 0)
		return result;
	tap->reach = NET_REACH_NONE;
	r = net_ledger_put_tap(env->net, tap);
	return r < 0 ? op_fail_errno(call, r, "cannot write the ledger") : 0;
}
