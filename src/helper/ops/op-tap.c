/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM's port of the bridge: CreateTap, DeleteTap. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helper/ops/net-common.h"
#include "helper/ops/ops.h"
#include "shared/rules/net.h"

int
create_tap_check(OpCall *call)
{
	const OpCreateTapArgs *args = &call->args.create_tap;
	int r = op_check_vm(call, args->vm, args->operation);

	if (r < 0)
		return r;
	if (args->host == NET_HOST_FIRST)
		return op_fail_argument(call, "host", "that number is the host's own");
	return 0;
}

static int
choose_address(const OpEnv *env, OpCall *call, const NetBridge *bridge)
{
	uint32_t host = call->args.create_tap.host, *address = &call->work.net.tap.address;
	int r = 0;

	if (host == 0)
		r = net_ledger_pick_address(env->net, call->target, address);
	else if (host >= ~bn_prefix_mask(bridge->subnet.length))
		return op_fail_argument(call, "host", "outside the subnet");
	else
		*address = bridge->subnet.address + host;
	if (r == -ENOSPC)
		return op_fail(call, OP_ERROR_QUOTA_REACHED,
			       "every address of this user's subnet has a VM");
	if (r >= 0 && net_ledger_is_taken(env->net, *address))
		return op_fail(call, OP_ERROR_ALREADY_EXISTS, "another VM has that address");
	return r;
}

int
create_tap_claim(const OpEnv *env, OpCall *call)
{
	const NetBridge *bridge = net_ledger_find_bridge(env->net, call->target);
	OpNetWork *work = &call->work.net;
	int r;

	work->undone = true; /* nothing is made yet */
	if (!bridge || !bridge->ready)
		return op_fail(call, OP_ERROR_NOT_FOUND,
			       "this user has no bridge; EnsureBridge makes it");
	if (net_ledger_find_tap(env->net, call->target, call->vm))
		return op_fail(call, OP_ERROR_ALREADY_EXISTS,
			       "this VM has a tap; DeleteTap gives it back");
	if (net_ledger_count_taps(env->net, call->target) >= env->limits.vms_per_user)
		return op_fail(call, OP_ERROR_QUOTA_REACHED,
			       "%u VMs are the limit of one user here (vms-per-user in "
			       "/etc/banger/helper.conf); stop one first",
			       env->limits.vms_per_user);
	work->bridge = *bridge;
	work->tap = (NetTap){ .uid = call->target, .peer = call->args.create_tap.peer };
	memcpy(work->tap.vm, call->vm, sizeof(work->tap.vm));
	r = choose_address(env, call, bridge);
	if (r < 0)
		return r;
	r = net_ledger_put_tap(env->net, &work->tap);
	return r < 0 ? op_fail_errno(call, r, "cannot write the ledger") : 0;
}

/* A tap that must not outlive a failure. */
typedef struct TapUndo {
	const Kernel *kernel; /* NULL: disarmed */
	OpNetWork *work;
} TapUndo;

static void
undo_tapp(TapUndo *undo)
{
	if (undo->kernel)
		undo->work->undone = net_undo_tap(undo->kernel, &undo->work->tap) >= 0;
}

static int
fill_reply(OpCall *call)
{
	const OpNetWork *work = &call->work.net;
	OpCreateTapReply *reply = &call->reply.create_tap;
	char address[BN_IPV4_SIZE], mac_text[BN_MAC_SIZE];
	uint8_t mac[BN_MAC_LENGTH];

	bn_ipv4_render(work->tap.address, address);
	bn_net_mac(work->tap.address, mac);
	bn_net_mac_render(mac, mac_text);
	reply->address = strdup(address);
	reply->mac = strdup(mac_text);
	reply->mtu = work->net->mtu;
	return reply->address && reply->mac ? 0 : op_fail_errno(call, -ENOMEM, "reply");
}

int
create_tap_run(const Kernel *kernel, OpCall *call)
{
	OpNetWork *work = &call->work.net;
	_cleanup_(undo_tapp) TapUndo undo = { .work = work };
	NetChange changes[NET_TAP_CHANGES];
	char name[BN_LINK_NAME_SIZE], bridge[BN_LINK_NAME_SIZE];
	KernelTap tap = {
		.name = name, .bridge = bridge, .isolated = !work->tap.peer, .mtu = work->net->mtu
	};
	KernelText detail = {};
	int r;

	bn_net_tap_name(work->tap.address, name);
	bn_net_bridge_name(work->tap.uid, bridge);
	undo.kernel = kernel;
	work->undone = false;
	/* What it may send is said before it can send anything. */
	r = kernel->filter_apply(kernel->ctx, /* base= */ false, changes,
				 net_changes_of_tap(&work->tap, changes), &detail);
	if (r < 0)
		return net_fail_filter(call, r, &detail);
	r = kernel->tap_make(kernel->ctx, &tap, &call->reply.create_tap.tap);
	if (r == -ENODEV)
		return op_fail(call, OP_ERROR_NOT_FOUND,
			       "somebody removed this user's bridge; EnsureBridge makes it anew");
	if (r < 0)
		return op_fail_errno(call, r, "the tap could not be made");
	r = fill_reply(call);
	if (r >= 0)
		undo.kernel = NULL;
	return r;
}

int
create_tap_settle(const OpEnv *env, OpCall *call, int result)
{
	OpNetWork *work = &call->work.net;
	int r;

	if (result < 0) {
		if (work->undone)
			(void)net_ledger_remove_tap(env->net, call->target, call->vm);
		return result;
	}
	work->tap.ready = true;
	r = net_ledger_put_tap(env->net, &work->tap);
	/* As it was, "making": true enough, and DeleteTap takes away what is there. */
	return r < 0 ? op_fail_errno(call, r, "cannot write the ledger; delete the tap") : 0;
}

int
delete_tap_check(OpCall *call)
{
	return op_check_vm(call, call->args.delete_tap.vm, call->args.delete_tap.operation);
}

int
delete_tap_claim(const OpEnv *env, OpCall *call)
{
	const NetTap *tap = net_ledger_find_tap(env->net, call->target, call->vm);

	if (!tap)
		return 1;
	call->work.net.tap = *tap;
	return 0;
}

int
delete_tap_run(const Kernel *kernel, OpCall *call)
{
	int r = net_undo_tap(kernel, &call->work.net.tap);

	return r < 0 ? op_fail_errno(call, r, "the tap could not be removed; try again") : 0;
}

int
delete_tap_settle(const OpEnv *env, OpCall *call, int result)
{
	int r = result < 0 ? result : net_ledger_remove_tap(env->net, call->target, call->vm);

	return result >= 0 && r < 0 ? op_fail_errno(call, r, "cannot write the ledger") : r;
}
