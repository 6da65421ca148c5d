/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helper/ledger.h"
#include "helper/ops/ops.h"
#include "shared/base/str-util.h"

void
entries_done(OpCall *call)
{
	free(BN_TAKE_PTR(call->work.entries.entries));
	free(BN_TAKE_PTR(call->work.entries.released));
}

/* Ends what runs for one entry and removes what is left; the ledger's turn comes after. */
static int
release_entry(const Kernel *kernel, const LedgerEntry *entry,
	      char ret_ended[static KERNEL_ENDED_SIZE])
{
	char key[BN_DERIVE_KEY_SIZE], ended[KERNEL_ENDED_SIZE] = "unknown";
	int r;

	bn_derive_key(entry->uid, entry->vm, key);
	r = kernel->jail_end(kernel->ctx, key, entry->jail_uid);
	if (r < 0)
		return r;
	/* How it ended is told where it can be known, and holds up nothing where not. */
	if (kernel->jail_ended(kernel->ctx, key, ended) < 0 || strcmp(ended, "unknown") == 0)
		(void)bn_str_copy(ended, sizeof(ended),
				  entry->state == LEDGER_LAUNCHING ? "failed" : "unknown");
	r = kernel->jail_remove(kernel->ctx, key);
	if (r >= 0)
		memcpy(ret_ended, ended, KERNEL_ENDED_SIZE);
	return r;
}

static int
prepare_flags(OpCall *call)
{
	call->work.entries.released = calloc(call->work.entries.n + 1, sizeof(bool));
	return call->work.entries.released ? 0 : op_fail_errno(call, -ENOMEM, "release");
}

/* Entries that were released leave the ledger, whatever became of the others. */
static int
forget_released(const OpEnv *env, OpCall *call, uint32_t *ret_n)
{
	const OpEntriesWork *work = &call->work.entries;
	uint32_t n = 0;
	int result = 0;

	for (size_t i = 0; i < work->n; i++) {
		int r;

		if (!work->released[i])
			continue;
		r = ledger_remove(env->ledger, work->entries[i].uid, work->entries[i].vm);
		if (r < 0)
			result = op_fail_errno(call, r, "cannot write the ledger");
		else
			n++;
	}
	*ret_n = n;
	return result;
}

int
release_vm_check(OpCall *call)
{
	return op_check_vm(call, call->args.release_vm.vm, call->args.release_vm.operation);
}

int
release_vm_claim(const OpEnv *env, OpCall *call)
{
	const LedgerEntry *entry = ledger_find(env->ledger, call->target, call->vm);
	OpEntriesWork *work = &call->work.entries;

	if (!entry) {
		call->reply.release_vm.ended = strdup("");
		return call->reply.release_vm.ended ? 1 : op_fail_errno(call, -ENOMEM, "reply");
	}
	work->entries = malloc(sizeof(*entry));
	if (!work->entries)
		return op_fail_errno(call, -ENOMEM, "release");
	work->entries[0] = *entry;
	work->n = 1;
	return prepare_flags(call);
}

int
release_vm_run(const Kernel *kernel, OpCall *call)
{
	OpEntriesWork *work = &call->work.entries;
	char ended[KERNEL_ENDED_SIZE] = "";
	int r;

	r = release_entry(kernel, &work->entries[0], ended);
	if (r < 0)
		return op_fail_errno(call, r, "the VM could not be released; try again");
	work->released[0] = true;
	call->reply.release_vm.ended = strdup(ended);
	return call->reply.release_vm.ended ? 0 : op_fail_errno(call, -ENOMEM, "reply");
}

int
release_vm_settle(const OpEnv *env, OpCall *call, int result)
{
	uint32_t n;
	int r = forget_released(env, call, &n);

	return result < 0 ? result : r;
}

int
release_user_check(OpCall *call)
{
	/* -1 is no uid for the kernel, and every user for the ledger. */
	if (call->args.release_user.uid == (uint32_t)LEDGER_ALL)
		return op_fail_argument(call, "uid", "not a user's id");
	call->target = call->args.release_user.uid;
	return 0;
}

int
release_user_claim(const OpEnv *env, OpCall *call)
{
	OpEntriesWork *work = &call->work.entries;
	int r = ledger_dup(env->ledger, call->target, &work->entries, &work->n);

	return r < 0 ? op_fail_errno(call, r, "release") : prepare_flags(call);
}

int
release_user_run(const Kernel *kernel, OpCall *call)
{
	OpEntriesWork *work = &call->work.entries;
	char ended[KERNEL_ENDED_SIZE];
	size_t failed = 0;
	int first = 0;

	for (size_t i = 0; i < work->n; i++) {
		int r = release_entry(kernel, &work->entries[i], ended);

		work->released[i] = r >= 0;
		if (r < 0 && failed++ == 0)
			first = r;
	}
	if (failed == 0)
		return 0;
	(void)op_fail(call, OP_ERROR_FAILED, "%zu of %zu VMs could not be released: %s", failed,
		      work->n, strerror(-first));
	return first;
}

int
release_user_settle(const OpEnv *env, OpCall *call, int result)
{
	int r = forget_released(env, call, &call->reply.release_user.released);

	return result < 0 ? result : r;
}
