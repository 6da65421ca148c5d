/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who owns what: one file per VM, written before the kernel does anything and reconciled at start.
 *
 * The files are the truth across a crash, the array in memory is their copy. Main thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "shared/base/enum-table.h"
#include "shared/rules/derive.h"

typedef enum LedgerState {
	LEDGER_LAUNCHING, /* a jail may exist, and nobody was ever given its sockets */
	LEDGER_RUNNING,
	LEDGER_ENDED, /* the VMM is gone; how it ended is kept until the VM is released */
	_LEDGER_STATE_MAX,
	_LEDGER_STATE_INVALID = -EINVAL,
} LedgerState;

BN_DECLARE_ENUM_TABLE(ledger_state, LedgerState);

typedef struct LedgerEntry {
	uid_t uid;
	char vm[BN_ID_LENGTH + 1];
	uid_t jail_uid; /* nobody else's while the entry stands */
	LedgerState state;
} LedgerEntry;

typedef struct Ledger Ledger;

/* Reads the directory, which must exist and belong to us alone. A file that is not an entry is
 * removed and counted in *ret_damaged; what it stood for is then unknown to the ledger. */
int ledger_open(const char *path, Ledger **ret, unsigned *ret_damaged);
Ledger *ledger_free(Ledger *ledger);

/* Borrowed until the ledger changes; NULL where there is none. */
const LedgerEntry *ledger_find(const Ledger *ledger, uid_t uid, const char *vm);
size_t ledger_count(const Ledger *ledger, uid_t uid);
/* Copies of one user's entries, or of all with LEDGER_ALL; the array is the caller's to free. */
#define LEDGER_ALL ((uid_t)-1)
int ledger_dup(const Ledger *ledger, uid_t uid, LedgerEntry **ret, size_t *ret_n);

/* Writes a new entry, state launching, with a jail uid of its own. -EEXIST, or -ENOSPC where all
 * uids are taken. */
int ledger_add(Ledger *ledger, uid_t uid, const char *vm, uid_t *ret_jail_uid);
int ledger_set_state(Ledger *ledger, uid_t uid, const char *vm, LedgerState state);
/* No entry is no error. */
int ledger_remove(Ledger *ledger, uid_t uid, const char *vm);

/* The jail uid of the probe of KVM, of which there is one at a time: always the same, and no VM's. */
int ledger_get_probe_uid(Ledger *ledger, uid_t *ret_jail_uid);
