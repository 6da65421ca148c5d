/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of a user's VMs on the host: EnableNameRouting, DisableNameRouting.
 *
 * The host's resolver is a service of its own, which may take its time: no other call waits for it, but the same user's
 * about the same. */
#include <errno.h>
#include <string.h>

#include "helper/ops/net-common.h"
#include "helper/ops/ops.h"
#include "shared/rules/net.h"

/* The bridge is the object: of one user's calls about it one comes after the other. */
static int
check_operation(OpCall *call, const char *operation)
{
	char name[BN_LINK_NAME_SIZE];
	int r = net_check_operation(call, operation);

	if (r < 0)
		return r;
	bn_net_bridge_name(call->target, name);
	memcpy(call->key, name, sizeof(name));
	return 0;
}

/* The bridge may be gone meanwhile; then the resolver has forgotten it, too. */
static int
put_names(const OpEnv *env, OpCall *call, NetNames names)
{
	int r = net_ledger_set_names(env->net, call->target, names);

	return r < 0 ? op_fail_errno(call, r, "cannot write the ledger") : 0;
}

int
enable_name_routing_check(OpCall *call)
{
	return check_operation(call, call->args.enable_name_routing.operation);
}

int
enable_name_routing_claim(const OpEnv *env, OpCall *call)
{
	const NetBridge *bridge = net_ledger_find_bridge(env->net, call->target);

	if (!bridge || !bridge->ready)
		return op_fail(call, OP_ERROR_NOT_FOUND,
			       "this user has no bridge; EnsureBridge makes it");
	if (!bridge->dns)
		return op_fail(call, OP_ERROR_NOT_FOUND,
			       "port 53 of this user's bridge is in other hands, so nobody there "
			       "knows names of VMs");
	call->work.net.bridge = *bridge;
	return put_names(env, call, NET_NAMES_MAKING);
}

static int
make_zone(const Kernel *kernel, OpCall *call, char ret[static BN_ZONE_SIZE])
{
	char user[KERNEL_USER_SIZE];
	uid_t uid = call->work.net.bridge.uid;
	int r = kernel->user_find(kernel->ctx, uid, user);

	if (r < 0 && r != -ENOENT)
		return op_fail_errno(call, r, "cannot find out the user's name");
	bn_net_zone_name(r < 0 ? NULL : user, uid, ret);
	return 0;
}

static int
fail_to_begin(OpCall *call, int r, const KernelText *detail)
{
	if (r == -ENOPKG)
		return op_fail(call, OP_ERROR_RESOLVER_UNAVAILABLE,
			       "systemd-resolved does not run here, and nothing else can be told "
			       "whom to ask for names of VMs");
	return net_fail(call, r, "systemd-resolved could not be told of the names of VMs", detail);
}

int
enable_name_routing_run(const Kernel *kernel, OpCall *call)
{
	OpNetWork *work = &call->work.net;
	char name[BN_LINK_NAME_SIZE], zone[BN_ZONE_SIZE];
	KernelNames names = { .bridge = name,
			      .address = work->bridge.subnet.address + NET_HOST_FIRST,
			      .zone = zone };
	KernelText detail = {};
	int r = make_zone(kernel, call, zone);

	bn_net_bridge_name(work->bridge.uid, name);
	if (r >= 0) {
		r = kernel->names_begin(kernel->ctx, &names, &detail);
		if (r < 0)
			r = fail_to_begin(call, r, &detail);
	}
	if (r < 0)
		work->undone = kernel->names_end(kernel->ctx, name) >= 0;
	return r;
}

int
enable_name_routing_settle(const OpEnv *env, OpCall *call, int result)
{
	if (result >= 0)
		return put_names(env, call, NET_NAMES_ON);
	/* What is half done stays "making": it is done again, or undone. */
	if (call->work.net.undone)
		(void)put_names(env, call, NET_NAMES_OFF);
	return result;
}

int
disable_name_routing_check(OpCall *call)
{
	return check_operation(call, call->args.disable_name_routing.operation);
}

int
disable_name_routing_claim(const OpEnv *env, OpCall *call)
{
	const NetBridge *bridge = net_ledger_find_bridge(env->net, call->target);

	if (!bridge || bridge->names == NET_NAMES_OFF)
		return 1;
	return put_names(env, call, NET_NAMES_MAKING);
}

int
disable_name_routing_run(const Kernel *kernel, OpCall *call)
{
	char name[BN_LINK_NAME_SIZE];
	int r;

	bn_net_bridge_name(call->target, name);
	r = kernel->names_end(kernel->ctx, name);
	return r < 0 ? op_fail_errno(call, r,
				     "systemd-resolved could not be told to forget the names of "
				     "VMs; try again")
		     : 0;
}

int
disable_name_routing_settle(const OpEnv *env, OpCall *call, int result)
{
	return result < 0 ? result : put_names(env, call, NET_NAMES_OFF);
}
