/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helper/ledger.h"
#include "helper/ops/ops.h"
#include "shared/rules/net.h"

static int
copy_network(const OpEnv *env, OpEntriesWork *work, uid_t uid)
{
	size_t bridges = net_ledger_count_bridges(env->net);
	int r = net_ledger_dup_taps(env->net, uid, &work->taps, &work->n_taps);

	if (r < 0)
		return r;
	work->bridges = calloc(bridges + 1, sizeof(*work->bridges));
	if (!work->bridges)
		return -ENOMEM;
	for (size_t i = 0; i < bridges; i++)
		if (uid == LEDGER_ALL || net_ledger_get_bridge(env->net, i)->uid == uid)
			work->bridges[work->n_bridges++] = *net_ledger_get_bridge(env->net, i);
	return 0;
}

static int
copy_entries(const OpEnv *env, OpCall *call, uid_t uid)
{
	OpEntriesWork *work = &call->work.entries;
	int r = ledger_dup(env->ledger, uid, &work->entries, &work->n);

	if (r >= 0)
		r = copy_network(env, work, uid);
	return r < 0 ? op_fail_errno(call, r, "list") : 0;
}

int
list_resources_claim(const OpEnv *env, OpCall *call)
{
	return copy_entries(env, call, call->target);
}

int
list_all_resources_claim(const OpEnv *env, OpCall *call)
{
	return copy_entries(env, call, LEDGER_ALL);
}

/* The ledger learns of an end when somebody asks about that VM; a list tells what is true now. */
static const char *
state_now(const Kernel *kernel, const LedgerEntry *entry, const char *key)
{
	_cleanup_(kernel_jail_donep) KernelJail jail = KERNEL_JAIL_INIT;
	LedgerState state = entry->state;

	if (state == LEDGER_RUNNING &&
	    kernel->jail_find(kernel->ctx, key, entry->jail_uid, &jail) == -ENOENT)
		state = LEDGER_ENDED;
	return ledger_state_to_string(state);
}

/* One row of either list; the texts are its reader's to copy. */
typedef struct Row {
	uid_t uid;
	const char *vm, *kind, *name, *state;
} Row;

typedef struct Rows {
	int (*add)(OpCall *call, const Row *row);
	OpCall *call;
} Rows;

static int
list_vms(const Kernel *kernel, const Rows *rows)
{
	const OpEntriesWork *work = &rows->call->work.entries;
	char key[BN_DERIVE_KEY_SIZE];
	int r = 0;

	for (size_t i = 0; r >= 0 && i < work->n; i++) {
		const LedgerEntry *entry = &work->entries[i];
		Row row = { .uid = entry->uid, .vm = entry->vm, .kind = "vmm", .name = key };

		bn_derive_key(entry->uid, entry->vm, key);
		row.state = state_now(kernel, entry, key);
		r = rows->add(rows->call, &row);
	}
	return r;
}

static int
list_network(const Rows *rows)
{
	const OpEntriesWork *work = &rows->call->work.entries;
	char name[BN_LINK_NAME_SIZE];
	int r = 0;

	for (size_t i = 0; r >= 0 && i < work->n_taps; i++) {
		const NetTap *tap = &work->taps[i];
		Row row = { .uid = tap->uid, .vm = tap->vm, .kind = "tap", .name = name };

		bn_net_tap_name(tap->address, name);
		row.state = tap->ready ? net_reach_to_string(tap->reach) : "making";
		r = rows->add(rows->call, &row);
	}
	for (size_t i = 0; r >= 0 && i < work->n_bridges; i++) {
		const NetBridge *bridge = &work->bridges[i];
		Row row = { .uid = bridge->uid, .vm = "", .kind = "bridge", .name = name };

		bn_net_bridge_name(bridge->uid, name);
		row.state = bridge->ready ? "ready" : "making";
		r = rows->add(rows->call, &row);
		if (r < 0 || bridge->names == NET_NAMES_OFF)
			continue;
		row.kind = "names";
		row.state = net_names_to_string(bridge->names);
		r = rows->add(rows->call, &row);
	}
	return r;
}

static int
list_rows(const Kernel *kernel, const Rows *rows)
{
	int r = list_vms(kernel, rows);

	if (r >= 0)
		r = list_network(rows);
	return r < 0 ? op_fail_errno(rows->call, r, "list") : 0;
}

static size_t
count_rows(const OpCall *call)
{
	const OpEntriesWork *work = &call->work.entries;

	return work->n + work->n_taps + 2 * work->n_bridges;
}

static int
add_own(OpCall *call, const Row *row)
{
	OpListResourcesReply *reply = &call->reply.list_resources;
	OpListResourcesReplyResources *to = &reply->resources[reply->n_resources++];

	to->f0 = strdup(row->vm);
	to->f1 = strdup(row->kind);
	to->f2 = strdup(row->name);
	to->f3 = strdup(row->state);
	return to->f0 && to->f1 && to->f2 && to->f3 ? 0 : -ENOMEM;
}

int
list_resources_run(const Kernel *kernel, OpCall *call)
{
	OpListResourcesReply *reply = &call->reply.list_resources;
	Rows rows = { add_own, call };

	reply->resources = calloc(count_rows(call) + 1, sizeof(*reply->resources));
	return reply->resources ? list_rows(kernel, &rows) : op_fail_errno(call, -ENOMEM, "list");
}

static int
add_all(OpCall *call, const Row *row)
{
	OpListAllResourcesReply *reply = &call->reply.list_all_resources;
	OpListAllResourcesReplyResources *to = &reply->resources[reply->n_resources++];

	to->f0 = row->uid;
	to->f1 = strdup(row->vm);
	to->f2 = strdup(row->kind);
	to->f3 = strdup(row->name);
	to->f4 = strdup(row->state);
	return to->f1 && to->f2 && to->f3 && to->f4 ? 0 : -ENOMEM;
}

int
list_all_resources_run(const Kernel *kernel, OpCall *call)
{
	OpListAllResourcesReply *reply = &call->reply.list_all_resources;
	Rows rows = { add_all, call };

	reply->resources = calloc(count_rows(call) + 1, sizeof(*reply->resources));
	return reply->resources ? list_rows(kernel, &rows) : op_fail_errno(call, -ENOMEM, "list");
}
