/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes the ledger of networks and what there is on the host agree, once at start. */
#pragma once

#include "helper/net-ledger.h"

typedef struct Kernel Kernel;

typedef struct NetReconciled {
	unsigned undone;  /* bridges and taps that were being made, or whose VM has gone */
	unsigned strange; /* interfaces with names of ours that no entry knows; removed */
	unsigned failed;  /* could not be cleaned; they stay */
} NetReconciled;

int net_reconcile(NetLedger *ledger, const Kernel *kernel, NetReconciled *ret);
