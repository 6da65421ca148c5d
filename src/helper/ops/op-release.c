/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helper/ledger.h"
#include "helper/ops/net-common.h"
#include "helper/ops/ops.h"
#include "shared/base/str-util.h"

void
entries_done(OpCall *call)
{
	free(BN_TAKE_PTR(call->work.entries.entries));
	free(BN_TAKE_PTR(call->work.entries.released));
	free(BN_TAKE_PTR(call->work.entries.bridges));
	free(BN_TAKE_PTR(call->work.entries.taps));
	free(BN_TAKE_PTR(call->work.entries.taps_released));
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
	OpEntriesWork *work = &call->work.entries;

	work->released = calloc(work->n + 1, sizeof(bool));
	work->taps_released = calloc(work->n_taps + 1, sizeof(bool));
	return work->released && work->taps_released ? 0 : op_fail_errno(call, -ENOMEM, "release");
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
	for (size_t i = 0; i < work->n_taps; i++)
		if (work->taps_released[i] &&
		    net_ledger_remove_tap(env->net, work->taps[i].uid, work->taps[i].vm) < 0)
			result = op_fail_errno(call, -EIO, "cannot write the ledger");
	if (work->bridge_released && net_ledger_remove_bridge(env->net, work->bridge.uid) < 0)
		result = op_fail_errno(call, -EIO, "cannot write the ledger");
	*ret_n = n;
	return result;
}

int
release_vm_check(OpCall *call)
{
	return op_check_vm(call, call->args.release_vm.vm, call->args.release_vm.operation);
}

static int
copy_of_vm(const OpEnv *env, OpCall *call)
{
	const LedgerEntry *entry = ledger_find(env->ledger, call->target, call->vm);
	const NetTap *tap = net_ledger_find_tap(env->net, call->target, call->vm);
	OpEntriesWork *work = &call->work.entries;

	work->entries = calloc(1, sizeof(*entry));
	work->taps = calloc(1, sizeof(*tap));
	if (!work->entries || !work->taps)
		return op_fail_errno(call, -ENOMEM, "release");
	if (entry)
		work->entries[work->n++] = *entry;
	if (tap)
		work->taps[work->n_taps++] = *tap;
	return prepare_flags(call);
}

int
release_vm_claim(const OpEnv *env, OpCall *call)
{
	int r = copy_of_vm(env, call);

	if (r < 0 || call->work.entries.n > 0 || call->work.entries.n_taps > 0)
		return r;
	call->reply.release_vm.ended = strdup("");
	return call->reply.release_vm.ended ? 1 : op_fail_errno(call, -ENOMEM, "reply");
}

/* The jail first: it holds the tap. All of them are tried, whatever became of the others; the first failure is told. */
static int
release_all(const Kernel *kernel, OpEntriesWork *work, char ret_ended[static KERNEL_ENDED_SIZE],
	    size_t *ret_failed)
{
	size_t failed = 0;
	int first = 0, r;

	for (size_t i = 0; i < work->n; i++) {
		r = release_entry(kernel, &work->entries[i], ret_ended);
		work->released[i] = r >= 0;
		if (r < 0 && failed++ == 0)
			first = r;
	}
	for (size_t i = 0; i < work->n_taps; i++) {
		r = net_undo_tap(kernel, &work->taps[i]);
		work->taps_released[i] = r >= 0;
		if (r < 0 && failed++ == 0)
			first = r;
	}
	*ret_failed = failed;
	return first;
}

int
release_vm_run(const Kernel *kernel, OpCall *call)
{
	char ended[KERNEL_ENDED_SIZE] = "";
	size_t failed;
	int r = release_all(kernel, &call->work.entries, ended, &failed);

	if (r < 0)
		return op_fail_errno(call, r, "the VM could not be released; try again");
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
	const NetBridge *bridge = net_ledger_find_bridge(env->net, call->target);
	OpEntriesWork *work = &call->work.entries;
	int r = ledger_dup(env->ledger, call->target, &work->entries, &work->n);

	if (r >= 0)
		r = net_ledger_dup_taps(env->net, call->target, &work->taps, &work->n_taps);
	if (r < 0)
		return op_fail_errno(call, r, "release");
	work->has_bridge = bridge;
	if (bridge)
		work->bridge = *bridge;
	work->last_bridge = net_ledger_is_last_bridge(env->net, call->target);
	return prepare_flags(call);
}

int
release_user_run(const Kernel *kernel, OpCall *call)
{
	OpEntriesWork *work = &call->work.entries;
	char ended[KERNEL_ENDED_SIZE];
	size_t failed;
	int r = release_all(kernel, work, ended, &failed);

	if (failed > 0) {
		(void)op_fail(call, OP_ERROR_FAILED,
			      "%zu of %zu VMs and taps could not be released: %s", failed,
			      work->n + work->n_taps, strerror(-r));
		return r;
	}
	if (!work->has_bridge)
		return 0;
	r = net_undo_bridge(kernel, &work->bridge, work->last_bridge);
	work->bridge_released = r >= 0;
	return r < 0 ? op_fail_errno(call, r, "the bridge could not be removed") : 0;
}

int
release_user_settle(const OpEnv *env, OpCall *call, int result)
{
	int r = forget_released(env, call, &call->reply.release_user.released);

	/* The user is going: the subnet is for somebody else. */
	if (result >= 0 && r >= 0)
		r = net_ledger_remove_lease(env->net, call->target);
	return result < 0 ? result : r;
}
