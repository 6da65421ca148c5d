/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/reconcile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helper/kernel/kernel.h"
#include "helper/ledger.h"
#include "shared/base/str-util.h"

typedef struct Strangers {
	const Ledger *ledger;
	char (*keys)[BN_DERIVE_KEY_SIZE];
	size_t n;
	int error;
} Strangers;

static int
undo_launch(Ledger *ledger, const Kernel *kernel, const LedgerEntry *entry, const char *key)
{
	int r = kernel->jail_end(kernel->ctx, key, entry->jail_uid);

	if (r >= 0)
		r = kernel->jail_remove(kernel->ctx, key);
	if (r >= 0)
		r = ledger_remove(ledger, entry->uid, entry->vm);
	return r;
}

static void
reconcile_entry(Ledger *ledger, const Kernel *kernel, const LedgerEntry *entry, Reconciled *result)
{
	_cleanup_(kernel_jail_donep) KernelJail jail = KERNEL_JAIL_INIT;
	char key[BN_DERIVE_KEY_SIZE];

	bn_derive_key(entry->uid, entry->vm, key);
	if (entry->state == LEDGER_LAUNCHING) {
		if (undo_launch(ledger, kernel, entry, key) < 0)
			result->failed++;
		else
			result->undone++;
	} else if (entry->state == LEDGER_RUNNING &&
		   kernel->jail_find(kernel->ctx, key, entry->jail_uid, &jail) == -ENOENT) {
		if (ledger_set_state(ledger, entry->uid, entry->vm, LEDGER_ENDED) < 0)
			result->failed++;
		else
			result->ended++;
	}
}

static bool
is_in_ledger(const Ledger *ledger, const char *key)
{
	char vm[BN_ID_LENGTH + 1];
	uid_t uid;

	return bn_derive_parse_key(key, &uid, vm) >= 0 && ledger_find(ledger, uid, vm);
}

static void
note_stranger(void *data, const char *key)
{
	Strangers *strangers = data;
	char(*keys)[BN_DERIVE_KEY_SIZE];

	if (is_in_ledger(strangers->ledger, key))
		return;
	keys = reallocarray(strangers->keys, strangers->n + 1, sizeof(*keys));
	if (!keys) {
		strangers->error = -ENOMEM;
		return;
	}
	strangers->keys = keys;
	(void)bn_str_copy(keys[strangers->n++], sizeof(*keys), key);
}

/* Only files: a jail whose uid nobody knows is left alone, with its files, to be seen by an
 * administrator; that takes a ledger that was tampered with, since an entry is removed last. */
static int
remove_strangers(const Ledger *ledger, const Kernel *kernel, Reconciled *result)
{
	Strangers strangers = { .ledger = ledger };
	int r = kernel->jail_list(kernel->ctx, note_stranger, &strangers);

	for (size_t i = 0; i < strangers.n; i++) {
		_cleanup_(kernel_jail_donep) KernelJail jail = KERNEL_JAIL_INIT;
		const char *key = strangers.keys[i];

		if (kernel->jail_find(kernel->ctx, key, (uid_t)-1, &jail) == -ENOENT &&
		    kernel->jail_remove(kernel->ctx, key) >= 0)
			result->strange++;
		else
			result->failed++;
	}
	free(strangers.keys);
	return r < 0 ? r : strangers.error;
}

int
reconcile(Ledger *ledger, const Kernel *kernel, Reconciled *ret)
{
	_cleanup_free_ LedgerEntry *entries = NULL;
	Reconciled result = {};
	size_t n = 0;
	int r;

	r = ledger_dup(ledger, LEDGER_ALL, &entries, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		reconcile_entry(ledger, kernel, &entries[i], &result);
	r = remove_strangers(ledger, kernel, &result);
	*ret = result;
	return r;
}
