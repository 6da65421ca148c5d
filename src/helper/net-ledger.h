/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who owns which bridge, tap and address: a file each, written before the kernel does anything and reconciled at
 * start. Beside it the leases, which outlive the boot: a user's subnet stays the same as long as nothing else on the
 * host wants it.
 *
 * The files are the truth across a crash, what is in memory is their copy. Main thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "shared/base/enum-table.h"
#include "shared/rules/derive.h"
#include "shared/rules/ipv4.h"

/* What a guest reaches beside the host's end of its bridge. */
typedef enum NetReach {
	NET_REACH_NONE,
	NET_REACH_NAT, /* the world, but no private address */
	NET_REACH_LAN, /* everything that the host reaches */
	_NET_REACH_MAX,
	_NET_REACH_INVALID = -EINVAL,
} NetReach;

BN_DECLARE_ENUM_TABLE(net_reach, NetReach);

/* Whether the host asks the user's bangerd for the names of that user's VMs. */
typedef enum NetNames {
	NET_NAMES_OFF,
	NET_NAMES_MAKING, /* begun or ended half, perhaps */
	NET_NAMES_ON,
	_NET_NAMES_MAX,
	_NET_NAMES_INVALID = -EINVAL,
} NetNames;

BN_DECLARE_ENUM_TABLE(net_names, NetNames);

typedef struct NetBridge {
	uid_t uid;
	BnPrefix subnet;
	bool ready;     /* made; else it may be there */
	bool dns;       /* its port 53 is the user's */
	NetNames names; /* of this bridge, or of one before it, which the host has forgotten then */
} NetBridge;

typedef struct NetTap {
	uid_t uid;
	char vm[BN_ID_LENGTH + 1];
	uint32_t address;
	bool peer;
	bool ready; /* somebody was given its descriptor */
	NetReach reach;
} NetTap;

typedef struct NetLedger NetLedger;

/* Below `run_dir` and `lib_dir`, which must exist and belong to us alone. Files that are none of these are removed and
 * counted. */
int net_ledger_open(const char *run_dir, const char *lib_dir, NetLedger **ret,
		    unsigned *ret_damaged);
NetLedger *net_ledger_free(NetLedger *ledger);

/* The user's subnet: the one of before unless `busy` overlaps it or it is none of the pool's, else a new one, which
 * no other user has. -ENOSPC. */
int net_ledger_lease(NetLedger *ledger, uid_t uid, const BnPrefix *pool, uint8_t length,
		     const BnPrefix *busy, size_t n_busy, BnPrefix *ret);

/* The one of before; false where there is none. */
bool net_ledger_find_lease(const NetLedger *ledger, uid_t uid, BnPrefix *ret);

/* Where there is none there is nothing to do. */
int net_ledger_remove_lease(NetLedger *ledger, uid_t uid);

/* Borrowed until the ledger changes; NULL where there is none. */
const NetBridge *net_ledger_find_bridge(const NetLedger *ledger, uid_t uid);
const NetTap *net_ledger_find_tap(const NetLedger *ledger, uid_t uid, const char *vm);
size_t net_ledger_count_bridges(const NetLedger *ledger);
size_t net_ledger_count_taps(const NetLedger *ledger, uid_t uid);
/* Taps that reach farther than their bridge, of all users. */
unsigned net_ledger_count_reaching(const NetLedger *ledger);
/* The i-th of all. */
const NetBridge *net_ledger_get_bridge(const NetLedger *ledger, size_t i);
const NetTap *net_ledger_get_tap(const NetLedger *ledger, size_t i);

/* Copies of one user's, or of all with LEDGER_ALL; the array is the caller's to free. */
int net_ledger_dup_taps(const NetLedger *ledger, uid_t uid, NetTap **ret, size_t *ret_n);
/* No other is in use. */
bool net_ledger_is_last_bridge(const NetLedger *ledger, uid_t uid);
/* Writes it, in the place of the user's one that may be there; but for `names`, which stay. */
int net_ledger_put_bridge(NetLedger *ledger, const NetBridge *bridge);
/* Nothing happens where the user has no bridge. */
int net_ledger_set_names(NetLedger *ledger, uid_t uid, NetNames names);
int net_ledger_remove_bridge(NetLedger *ledger, uid_t uid);
/* An address of the bridge's subnet that no other tap has: the lowest. -ENOSPC, -ENOENT without a bridge. */
int net_ledger_pick_address(const NetLedger *ledger, uid_t uid, uint32_t *ret);
bool net_ledger_is_taken(const NetLedger *ledger, uint32_t address);
/* Writes it, in the place of the VM's one that may be there. */
int net_ledger_put_tap(NetLedger *ledger, const NetTap *tap);
int net_ledger_remove_tap(NetLedger *ledger, uid_t uid, const char *vm);
