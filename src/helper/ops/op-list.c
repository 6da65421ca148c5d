/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helper/ledger.h"
#include "helper/ops/ops.h"

int
list_resources_claim(const OpEnv *env, OpCall *call)
{
	OpEntriesWork *work = &call->work.entries;
	int r = ledger_dup(env->ledger, call->target, &work->entries, &work->n);

	return r < 0 ? op_fail_errno(call, r, "list") : 0;
}

int
list_all_resources_claim(const OpEnv *env, OpCall *call)
{
	OpEntriesWork *work = &call->work.entries;
	int r = ledger_dup(env->ledger, LEDGER_ALL, &work->entries, &work->n);

	return r < 0 ? op_fail_errno(call, r, "list") : 0;
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

int
list_resources_run(const Kernel *kernel, OpCall *call)
{
	const OpEntriesWork *work = &call->work.entries;
	OpListResourcesReply *reply = &call->reply.list_resources;
	char key[BN_DERIVE_KEY_SIZE];

	reply->resources = calloc(work->n + 1, sizeof(*reply->resources));
	if (!reply->resources)
		return op_fail_errno(call, -ENOMEM, "list");
	for (size_t i = 0; i < work->n; i++) {
		OpListResourcesReplyResources *row = &reply->resources[reply->n_resources++];

		bn_derive_key(work->entries[i].uid, work->entries[i].vm, key);
		row->f0 = strdup(work->entries[i].vm);
		row->f1 = strdup("vmm");
		row->f2 = strdup(key);
		row->f3 = strdup(state_now(kernel, &work->entries[i], key));
		if (!row->f0 || !row->f1 || !row->f2 || !row->f3)
			return op_fail_errno(call, -ENOMEM, "list");
	}
	return 0;
}

int
list_all_resources_run(const Kernel *kernel, OpCall *call)
{
	const OpEntriesWork *work = &call->work.entries;
	OpListAllResourcesReply *reply = &call->reply.list_all_resources;
	char key[BN_DERIVE_KEY_SIZE];

	reply->resources = calloc(work->n + 1, sizeof(*reply->resources));
	if (!reply->resources)
		return op_fail_errno(call, -ENOMEM, "list");
	for (size_t i = 0; i < work->n; i++) {
		OpListAllResourcesReplyResources *row = &reply->resources[reply->n_resources++];

		bn_derive_key(work->entries[i].uid, work->entries[i].vm, key);
		row->f0 = work->entries[i].uid;
		row->f1 = strdup(work->entries[i].vm);
		row->f2 = strdup("vmm");
		row->f3 = strdup(key);
		row->f4 = strdup(state_now(kernel, &work->entries[i], key));
		if (!row->f1 || !row->f2 || !row->f3 || !row->f4)
			return op_fail_errno(call, -ENOMEM, "list");
	}
	return 0;
}
