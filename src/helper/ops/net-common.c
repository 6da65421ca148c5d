/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/ops/net-common.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helper/ledger.h"
#include "helper/ops/ops.h"
#include "shared/rules/names.h"
#include "shared/rules/net.h"

int
net_check_operation(OpCall *call, const char *operation)
{
	if (!bn_names_is_operation(operation))
		return op_fail_argument(call, "operation",
					"neither empty nor an id of 32 lower-case hex digits");
	call->operation = operation;
	return 0;
}

NetChange
net_change_bridge(const NetBridge *bridge)
{
	NetChange change = { .kind = NET_CHANGE_BRIDGE,
			     .uid = bridge->uid,
			     .address = bridge->subnet.address + NET_HOST_FIRST };

	bn_net_bridge_name(bridge->uid, change.name);
	return change;
}

NetChange
net_change_resolver(const NetBridge *bridge)
{
	NetChange change = { .kind = NET_CHANGE_RESOLVER,
			     .address = bridge->subnet.address + NET_HOST_FIRST };

	bn_net_bridge_name(bridge->uid, change.name);
	return change;
}

bool
net_change_reach(const NetTap *tap, NetChange *ret)
{
	if (tap->reach == NET_REACH_NONE)
		return false;
	*ret = (NetChange){ .kind = tap->reach == NET_REACH_LAN ? NET_CHANGE_LAN : NET_CHANGE_NAT,
			    .address = tap->address };
	return true;
}

size_t
net_changes_of_tap(const NetTap *tap, NetChange ret[static NET_TAP_CHANGES])
{
	NetChange change = { .kind = NET_CHANGE_TAP, .address = tap->address };
	size_t n = 0;

	bn_net_tap_name(tap->address, change.name);
	ret[n++] = change;
	if (tap->peer) {
		change.kind = NET_CHANGE_PEER;
		ret[n++] = change;
	}
	n += net_change_reach(tap, &ret[n]);
	return n;
}

size_t
net_changes_of_host(const KernelNet *net, NetChange *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < net->n_near; i++)
		ret[n++] = (NetChange){ .kind = NET_CHANGE_NEAR, .prefix = net->near[i] };
	return n;
}

int
net_changes_of_all(const NetLedger *ledger, NetChange **ret, size_t *ret_n)
{
	size_t bridges = net_ledger_count_bridges(ledger), n = 0;
	size_t taps = net_ledger_count_taps(ledger, LEDGER_ALL);
	NetChange *changes = calloc(2 * bridges + NET_TAP_CHANGES * taps + 1, sizeof(*changes));

	if (!changes)
		return -ENOMEM;
	for (size_t i = 0; i < bridges; i++) {
		const NetBridge *bridge = net_ledger_get_bridge(ledger, i);

		changes[n++] = net_change_bridge(bridge);
		if (bridge->dns)
			changes[n++] = net_change_resolver(bridge);
	}
	for (size_t i = 0; i < taps; i++)
		n += net_changes_of_tap(net_ledger_get_tap(ledger, i), &changes[n]);
	*ret = changes;
	*ret_n = n;
	return 0;
}

/* Where the tables have gone, what was in them has too. */
static int
remove_changes(const Kernel *kernel, NetChange *changes, size_t n)
{
	KernelText ignored = {};
	int r;

	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		changes[i].remove = true;
	r = kernel->filter_apply(kernel->ctx, /* base= */ false, changes, n, &ignored);
	return r == -ENOENT ? 0 : r;
}

static int
undo_way_out(const Kernel *kernel, const NetTap *tap)
{
	char bridge[BN_LINK_NAME_SIZE];
	int r;

	bn_net_bridge_name(tap->uid, bridge);
	r = kernel->firewall_close(kernel->ctx, bridge, tap->address);
	return r < 0 ? r : kernel->forwarding_drop(kernel->ctx, tap->address);
}

int
net_undo_reach(const Kernel *kernel, const NetTap *tap)
{
	NetChange change;
	int r;

	if (!net_change_reach(tap, &change))
		return 0;
	r = remove_changes(kernel, &change, 1);
	return r < 0 ? r : undo_way_out(kernel, tap);
}

int
net_undo_tap(const Kernel *kernel, const NetTap *tap)
{
	NetChange changes[NET_TAP_CHANGES];
	char name[BN_LINK_NAME_SIZE];
	int r;

	bn_net_tap_name(tap->address, name);
	r = kernel->link_remove(kernel->ctx, name);
	if (r >= 0)
		r = remove_changes(kernel, changes, net_changes_of_tap(tap, changes));
	if (r >= 0 && tap->reach != NET_REACH_NONE)
		r = undo_way_out(kernel, tap);
	return r;
}

int
net_undo_bridge(const Kernel *kernel, const NetBridge *bridge, bool last)
{
	NetChange changes[2] = { net_change_bridge(bridge), net_change_resolver(bridge) };
	char name[BN_LINK_NAME_SIZE];
	int r;

	bn_net_bridge_name(bridge->uid, name);
	r = kernel->link_remove(kernel->ctx, name);
	if (r < 0)
		return r;
	return last ? kernel->filter_end(kernel->ctx) : remove_changes(kernel, changes, 2);
}

int
net_fail_filter(OpCall *call, int r, const KernelText *detail)
{
	if (r == -ENOENT)
		return op_fail(call, OP_ERROR_NOT_FOUND,
			       "somebody removed the tables of banger from the host's packet "
			       "filter; EnsureBridge makes them anew");
	return net_fail(call, r, "the packet filter could not be told", detail);
}

int
net_fail(OpCall *call, int r, const char *what, const KernelText *detail)
{
	(void)op_fail(call, OP_ERROR_FAILED, "%s: %s", what,
		      detail && detail->text[0] ? detail->text : strerror(-r));
	return r;
}

int
net_look_around(const OpEnv *env, OpCall *call)
{
	OpNetWork *work = &call->work.net;
	int r;

	work->net = calloc(1, sizeof(*work->net));
	if (!work->net)
		return op_fail_errno(call, -ENOMEM, "network");
	r = env->kernel->net_look(env->kernel->ctx, &env->limits.pool, work->net);
	if (r == -E2BIG)
		return op_fail(call, OP_ERROR_FAILED,
			       "this host has more networks than banger can look at: %d interfaces "
			       "that lead anywhere, %d networks at its own door and %d in the pool "
			       "are its limits; 'ip route show table all' shows them",
			       KERNEL_UPLINKS_MAX, KERNEL_NEAR_MAX, KERNEL_BUSY_MAX);
	return r < 0 ? op_fail_errno(call, r, "cannot look at the host's networks") : 0;
}

void
net_done(OpCall *call)
{
	free(BN_TAKE_PTR(call->work.net.net));
	free(BN_TAKE_PTR(call->work.net.changes));
	free(BN_TAKE_PTR(call->work.net.taps));
}
