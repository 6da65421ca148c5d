/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A user's bridge: EnsureBridge, RemoveBridge. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper/ops/net-common.h"
#include "helper/ops/ops.h"
#include "shared/rules/net.h"

int
ensure_bridge_check(OpCall *call)
{
	return net_check_operation(call, call->args.ensure_bridge.operation);
}

static bool
is_overlapped(const BnPrefix *subnet, const KernelNet *net)
{
	for (size_t i = 0; i < net->n_busy; i++)
		if (bn_prefix_overlaps(subnet, &net->busy[i]))
			return true;
	return false;
}

/* With VMs on it the bridge keeps the subnet it has. */
static int
choose_subnet(const OpEnv *env, OpCall *call)
{
	const NetBridge *old = net_ledger_find_bridge(env->net, call->target);
	OpNetWork *work = &call->work.net;
	BnPrefix before = {};
	bool known = net_ledger_find_lease(env->net, call->target, &before);
	int r;

	if (old && net_ledger_count_taps(env->net, call->target) > 0) {
		work->bridge = *old;
		return 0;
	}
	r = net_ledger_lease(env->net, call->target, &env->limits.pool, env->limits.subnet_length,
			     work->net->busy, work->net->n_busy, &work->bridge.subnet);
	if (r == -ENOSPC)
		return op_fail(call, OP_ERROR_QUOTA_REACHED,
			       "no subnet is free for this user: other users and networks of this "
			       "host have all of the pool (pool in /etc/banger/helper.conf)");
	if (r < 0)
		return op_fail_errno(call, r, "cannot write the lease");
	if (known && before.address != work->bridge.subnet.address)
		work->moved_from = before;
	return 0;
}

int
ensure_bridge_claim(const OpEnv *env, OpCall *call)
{
	OpNetWork *work = &call->work.net;
	int r;

	if (env->limits.wrong[0] != '\0')
		return op_fail(call, OP_ERROR_FAILED,
			       "%s; an administrator has to correct that first", env->limits.wrong);
	work->bridge = (NetBridge){ .uid = call->target };
	r = choose_subnet(env, call);
	if (r < 0)
		return r;
	/* As it was, it may be half made: until it is settled. */
	work->bridge.ready = work->bridge.dns = false;
	r = net_ledger_put_bridge(env->net, &work->bridge);
	if (r >= 0)
		r = net_changes_of_all(env->net, &work->changes, &work->n_changes);
	if (r >= 0)
		r = net_ledger_dup_taps(env->net, call->target, &work->taps, &work->n_taps);
	return r < 0 ? op_fail_errno(call, r, "cannot write the ledger") : 0;
}

/* For people: one sentence behind the other. */
typedef struct Note {
	char text[400];
} Note;

static void add_note(Note *note, const char *format, ...) _printf_(2, 3);

static void
add_note(Note *note, const char *format, ...)
{
	size_t n = strlen(note->text);
	va_list args;

	if (n > 0)
		n += (size_t)snprintf(note->text + n, sizeof(note->text) - n, "; ");
	va_start(args, format);
	(void)vsnprintf(note->text + n, sizeof(note->text) - n, format, args);
	va_end(args);
}

static void
note_subnet(const OpNetWork *work, Note *note)
{
	char before[BN_PREFIX_SIZE];

	bn_prefix_render(&work->moved_from, before);
	if (work->moved_from.length > 0)
		add_note(note,
			 "VMs have other addresses than before: %s is not in the pool any more, or "
			 "another network of this host has addresses of it",
			 before);
	if (is_overlapped(&work->bridge.subnet, work->net))
		add_note(note, "another network of this host has addresses of the VMs' subnet; it "
			       "is moved once no VM of yours has a network");
}

/* Names work or they do not: VMs do. */
static int
open_dns(const Kernel *kernel, OpCall *call, const KernelBridge *bridge, Note *note)
{
	OpEnsureBridgeReply *reply = &call->reply.ensure_bridge;
	int fds[2];
	int r = kernel->dns_open(kernel->ctx, bridge, fds);

	if (r < 0) {
		add_note(note,
			 "port 53 of the bridge is in other hands (%s): guests have no resolver of "
			 "their own",
			 strerror(-r));
		return 0;
	}
	reply->dns = calloc(2, sizeof(*reply->dns));
	if (!reply->dns) {
		bn_closep(&fds[0]);
		bn_closep(&fds[1]);
		return op_fail_errno(call, -ENOMEM, "reply");
	}
	memcpy(reply->dns, fds, sizeof(fds));
	reply->n_dns = 2;
	call->work.net.bridge.dns = true;
	return 0;
}

static int
fill_reply(OpCall *call, const KernelBridge *bridge, const char *note)
{
	OpEnsureBridgeReply *reply = &call->reply.ensure_bridge;
	char address[BN_IPV4_SIZE];

	bn_ipv4_render(bridge->address, address);
	reply->interface = strdup(bridge->name);
	reply->address = strdup(address);
	reply->note = strdup(note);
	reply->prefix = bridge->length;
	return reply->interface && reply->address && reply->note
		       ? 0
		       : op_fail_errno(call, -ENOMEM, "reply");
}

/* The tables as a whole: what somebody else did to them is mended too. */
static int
list_changes(const Kernel *kernel, OpNetWork *work)
{
	KernelForwarding ours = {};
	NetChange *changes;
	size_t n;
	int r = kernel->forwarding_get(kernel->ctx, &ours);

	if (r < 0)
		return r;
	n = work->n_changes;
	changes = reallocarray(work->changes, n + 1 + ours.n + work->net->n_near, sizeof(*changes));
	if (!changes)
		return -ENOMEM;
	if (work->bridge.dns)
		changes[n++] = net_change_resolver(&work->bridge);
	for (size_t i = 0; i < ours.n; i++) {
		changes[n] = (NetChange){ .kind = NET_CHANGE_UPLINK };
		memcpy(changes[n++].name, ours.links[i], BN_LINK_NAME_SIZE);
	}
	n += net_changes_of_host(work->net, &changes[n]);
	work->changes = changes;
	work->n_changes = n;
	return 0;
}

static int
apply_tables(const Kernel *kernel, OpCall *call)
{
	OpNetWork *work = &call->work.net;
	KernelText detail = {};
	int r = list_changes(kernel, work);

	if (r >= 0)
		r = kernel->filter_apply(kernel->ctx, /* base= */ true, work->changes,
					 work->n_changes, &detail);
	return r < 0 ? net_fail(call, r, "the packet filter's tables could not be made", &detail)
		     : 0;
}

/* A bridge that had to be made anew does not forward: it is held once more for those who hold it. */
static int
switch_forwarding(const Kernel *kernel, OpCall *call, const char *bridge)
{
	const OpNetWork *work = &call->work.net;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < work->n_taps; i++)
		if (work->taps[i].reach != NET_REACH_NONE)
			r = kernel->forwarding_hold(kernel->ctx, work->net, bridge,
						    work->taps[i].address);
	return r < 0 ? op_fail_errno(call, r, "forwarding could not be switched on") : 0;
}

/* A bridge that had to be made anew has no ports, and somebody may have taken one off. A tap that is gone is its
 * owner's to make again. */
static int
join_taps(const Kernel *kernel, OpCall *call, const char *bridge)
{
	const OpNetWork *work = &call->work.net;

	for (size_t i = 0; i < work->n_taps; i++) {
		char name[BN_LINK_NAME_SIZE];
		KernelTap tap = { .name = name,
				  .bridge = bridge,
				  .isolated = !work->taps[i].peer,
				  .mtu = work->net->mtu };
		int r;

		bn_net_tap_name(work->taps[i].address, name);
		r = kernel->tap_join(kernel->ctx, &tap);
		if (r < 0 && r != -ENODEV)
			return op_fail_errno(call, r, "a tap could not be joined to the bridge");
	}
	return 0;
}

int
ensure_bridge_run(const Kernel *kernel, OpCall *call)
{
	OpNetWork *work = &call->work.net;
	char name[BN_LINK_NAME_SIZE];
	Note note = {};
	KernelBridge bridge = { .name = name,
				.address = work->bridge.subnet.address + NET_HOST_FIRST,
				.length = work->bridge.subnet.length };
	int r;

	bn_net_bridge_name(work->bridge.uid, name);
	note_subnet(work, &note);
	r = kernel->bridge_make(kernel->ctx, &bridge);
	if (r == -EEXIST)
		return op_fail(call, OP_ERROR_ALREADY_EXISTS,
			       "an interface that is not banger's has the name %s", name);
	if (r < 0)
		return op_fail_errno(call, r, "the bridge could not be made");
	r = open_dns(kernel, call, &bridge, &note);
	if (r >= 0)
		r = apply_tables(kernel, call);
	if (r >= 0)
		r = switch_forwarding(kernel, call, name);
	/* Behind the tables: what is connected is filtered. */
	if (r >= 0)
		r = join_taps(kernel, call, name);
	return r < 0 ? r : fill_reply(call, &bridge, note.text);
}

/* What failed may be half there: the entry stays, "making", and the next call or RemoveBridge mends it. */
int
ensure_bridge_settle(const OpEnv *env, OpCall *call, int result)
{
	NetBridge *bridge = &call->work.net.bridge;
	int r;

	if (result < 0)
		return result;
	bridge->ready = true;
	r = net_ledger_put_bridge(env->net, bridge);
	return r < 0 ? op_fail_errno(call, r, "cannot write the ledger") : 0;
}

int
remove_bridge_check(OpCall *call)
{
	return net_check_operation(call, call->args.remove_bridge.operation);
}

int
remove_bridge_claim(const OpEnv *env, OpCall *call)
{
	const NetBridge *bridge = net_ledger_find_bridge(env->net, call->target);
	size_t taps = net_ledger_count_taps(env->net, call->target);
	OpNetWork *work = &call->work.net;
	int r;

	if (!bridge)
		return 1;
	if (taps > 0)
		return op_fail(call, OP_ERROR_BUSY, "%zu VMs of this user are on the bridge", taps);
	work->bridge = *bridge;
	work->bridge.ready = false;
	work->last = net_ledger_is_last_bridge(env->net, call->target);
	r = net_ledger_put_bridge(env->net, &work->bridge);
	return r < 0 ? op_fail_errno(call, r, "cannot write the ledger") : 0;
}

int
remove_bridge_run(const Kernel *kernel, OpCall *call)
{
	const OpNetWork *work = &call->work.net;
	int r = net_undo_bridge(kernel, &work->bridge, work->last);

	return r < 0 ? op_fail_errno(call, r, "the bridge could not be removed; try again") : 0;
}

int
remove_bridge_settle(const OpEnv *env, OpCall *call, int result)
{
	int r = result < 0 ? result : net_ledger_remove_bridge(env->net, call->target);

	return result >= 0 && r < 0 ? op_fail_errno(call, r, "cannot write the ledger") : r;
}
