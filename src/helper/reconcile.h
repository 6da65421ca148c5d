/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes the ledger and what really runs agree, once at start: a predecessor may have died at any
 * instruction. */
#pragma once

typedef struct Kernel Kernel;
typedef struct Ledger Ledger;

typedef struct Reconciled {
	unsigned ended;   /* were running, are not any more */
	unsigned undone;  /* had begun to be launched; nobody ever held their sockets */
	unsigned strange; /* files of jails that no entry knows; removed */
	unsigned failed;  /* could not be cleaned; they stay in the ledger */
} Reconciled;

/* Blocks, in all for a bounded time per half-launched VM. */
int reconcile(Ledger *ledger, const Kernel *kernel, Reconciled *ret);
