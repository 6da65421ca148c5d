/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a VM and its owner's other peers reach each other: SetPeer.
 *
 * A port that is isolated and a filter that does not know it keep them apart. Until it is done the ledger says the more
 * of what was and what shall be: a helper that dies amid leaves nothing that it does not tell. */
#include <errno.h>

#include "helper/ops/net-common.h"
#include "helper/ops/ops.h"
#include "shared/rules/net.h"

int
set_peer_check(OpCall *call)
{
	return op_check_vm(call, call->args.set_peer.vm, call->args.set_peer.operation);
}

int
set_peer_claim(const OpEnv *env, OpCall *call)
{
	const NetTap *tap = net_ledger_find_tap(env->net, call->target, call->vm);
	OpNetWork *work = &call->work.net;
	int r;

	if (!tap || !tap->ready)
		return op_fail(call, OP_ERROR_NOT_FOUND, "this VM has no tap; CreateTap makes it");
	work->before = work->tap = *tap;
	work->tap.peer = call->args.set_peer.peer;
	r = work->tap.peer ? net_ledger_put_tap(env->net, &work->tap) : 0;
	return r < 0 ? op_fail_errno(call, r, "cannot write the ledger") : 0;
}

static int
change_filter(const Kernel *kernel, const OpNetWork *work, bool peer, KernelText *reterr)
{
	NetChange change = { .kind = NET_CHANGE_PEER,
			     .address = work->tap.address,
			     .remove = !peer };

	bn_net_tap_name(change.address, change.name);
	return kernel->filter_apply(kernel->ctx, /* base= */ false, &change, 1, reterr);
}

static int
change_port(const Kernel *kernel, const OpNetWork *work, bool peer)
{
	char name[BN_LINK_NAME_SIZE], bridge[BN_LINK_NAME_SIZE];
	KernelTap tap = {
		.name = name, .bridge = bridge, .isolated = !peer, .mtu = work->net->mtu
	};

	bn_net_tap_name(work->tap.address, name);
	bn_net_bridge_name(work->tap.uid, bridge);
	return kernel->tap_join(kernel->ctx, &tap);
}

/* What is not there any more says nothing else. */
static bool
undo(const Kernel *kernel, const OpNetWork *work)
{
	KernelText ignored = {};
	int port = change_port(kernel, work, work->before.peer);
	int filter = change_filter(kernel, work, work->before.peer, &ignored);

	return (port >= 0 || port == -ENODEV) && (filter >= 0 || filter == -ENOENT);
}

/* By the filter's answer, or the port's where `detail` is NULL. */
static int
fail(OpCall *call, int r, const KernelText *detail)
{
	if (detail)
		return net_fail_filter(call, r, detail);
	if (r == -ENODEV)
		return op_fail(call, OP_ERROR_NOT_FOUND,
			       "somebody removed the tap of this VM, or this user's bridge; the VM "
			       "gets another tap at its next start");
	return op_fail_errno(call, r, "the VM's port of the bridge could not be changed");
}

int
set_peer_run(const Kernel *kernel, OpCall *call)
{
	OpNetWork *work = &call->work.net;
	bool peer = work->tap.peer;
	KernelText detail = {};
	int r = change_filter(kernel, work, peer, &detail);

	if (r < 0) {
		r = fail(call, r, &detail);
	} else {
		r = change_port(kernel, work, peer);
		if (r < 0)
			r = fail(call, r, NULL);
	}
	if (r < 0)
		work->undone = undo(kernel, work);
	return r;
}

int
set_peer_settle(const OpEnv *env, OpCall *call, int result)
{
	OpNetWork *work = &call->work.net;
	int r;

	if (result < 0) {
		/* Else what claim wrote holds: SetPeer is called again, or DeleteTap. */
		if (work->undone)
			(void)net_ledger_put_tap(env->net, &work->before);
		return result;
	}
	r = net_ledger_put_tap(env->net, &work->tap);
	return r < 0 ? op_fail_errno(call, r, "cannot write the ledger; set it again") : 0;
}
