/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far a VM reaches: EnableNat, DisableNat. */
#include <errno.h>
#include <stdio.h>
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
	work->undone = true; /* nothing is done yet */
	work->before = work->tap = *tap;
	work->tap.reach = call->args.enable_nat.lan ? NET_REACH_LAN : NET_REACH_NAT;
	r = net_ledger_put_tap(env->net, &work->tap);
	return r < 0 ? op_fail_errno(call, r, "cannot write the ledger") : 0;
}

/* Also what the VM has no more: to NAT from LAN, and back. */
static size_t
list_changes(const OpNetWork *work, NetChange *ret)
{
	size_t n = net_changes_of_host(work->net, ret);

	if (work->before.reach != work->tap.reach && net_change_reach(&work->before, &ret[n]))
		ret[n++].remove = true;
	n += net_change_reach(&work->tap, &ret[n]);
	return n;
}

static int
fail_blocked(OpCall *call, const char *bridge, const KernelBlock *block)
{
	char way[640];

	if (block->firewalld)
		(void)snprintf(way, sizeof(way), "firewall-cmd --zone=trusted --add-interface=%s",
			       bridge);
	else if (strcmp(block->family, "ip") == 0 && strcmp(block->table, "filter") == 0)
		(void)snprintf(way, sizeof(way),
			       "iptables -I %s -i %s -j ACCEPT; iptables -I %s -o %s -m conntrack "
			       "--ctstate RELATED,ESTABLISHED -j ACCEPT",
			       block->chain, bridge, block->chain, bridge);
	else
		(void)snprintf(
			way, sizeof(way),
			"nft insert rule %s %s %s iifname %s accept; nft insert rule %s %s %s "
			"oifname %s ct state established,related accept",
			block->family, block->table, block->chain, bridge, block->family,
			block->table, block->chain, bridge);
	return op_fail(call, OP_ERROR_NAT_BLOCKED,
		       "this host's firewall drops what VMs send (table %s %s, chain %s); an "
		       "administrator lets it pass with: %s",
		       block->family, block->table, block->chain, way);
}

/* What it had before it still has. */
static bool
undo(const Kernel *kernel, const OpNetWork *work, const char *bridge)
{
	return work->before.reach != NET_REACH_NONE ||
	       (kernel->firewall_close(kernel->ctx, bridge, work->tap.address) >= 0 &&
		kernel->forwarding_drop(kernel->ctx, work->tap.address) >= 0);
}

static int
open_way_out(const Kernel *kernel, OpCall *call, const char *bridge)
{
	const OpNetWork *work = &call->work.net;
	KernelBlock block = {};
	int r = kernel->forwarding_hold(kernel->ctx, work->net, bridge, work->tap.address);

	if (r == -ENOENT)
		return net_fail_filter(call, r, NULL);
	if (r < 0)
		return op_fail_errno(call, r, "forwarding could not be switched on");
	r = kernel->firewall_open(kernel->ctx, bridge, work->tap.address, &block);
	if (r == -EHOSTUNREACH)
		return fail_blocked(call, bridge, &block);
	return r < 0 ? op_fail_errno(call, r, "the host's firewalls could not be looked at") : 0;
}

int
enable_nat_run(const Kernel *kernel, OpCall *call)
{
	NetChange changes[KERNEL_NEAR_MAX + 2];
	OpNetWork *work = &call->work.net;
	KernelText detail = {};
	char bridge[BN_LINK_NAME_SIZE];
	int r;

	bn_net_bridge_name(work->tap.uid, bridge);
	r = open_way_out(kernel, call, bridge);
	if (r >= 0) {
		r = kernel->filter_apply(kernel->ctx, /* base= */ false, changes,
					 list_changes(work, changes), &detail);
		if (r < 0)
			r = net_fail_filter(call, r, &detail);
	}
	if (r < 0)
		work->undone = undo(kernel, work, bridge);
	return r;
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
