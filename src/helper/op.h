/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The contract of an operation: what it is given at each stage, and what it may do there.
 *
 *   check        main thread; pure: looks at the arguments, fills call->work
 *   descriptors  worker; looks at the descriptors the caller passed, which may block on
 *                a filesystem (then only this user's calls wait)
 *   (authorize)  the dispatcher asks about exactly this call
 *   look         worker; has its turn already: what the kernel says that claim has to know;
 *                of env only kernel and limits
 *   claim        main thread; the ledger: is it theirs, is there room; copies what run needs
 *   run          worker; the kernel seam, nothing else; leaves nothing behind when it fails
 *   settle       main thread; writes into the ledger what run made true; always follows run
 *
 * Each returns 0, or negative errno with the reason in call->failure (op_fail()). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "helper/kernel/net-kernel.h"
#include "helper/net-ledger.h"
#include "op-wire.h"
#include "shared/base/macro.h"
#include "shared/base/tap.h"
#include "shared/rules/derive.h"
#include "shared/rules/vmm-spec.h"

typedef struct Kernel Kernel;
typedef struct Ledger Ledger;
typedef struct LedgerEntry LedgerEntry;
typedef struct NetLedger NetLedger;

/* Situations of org.banger.Error.*, in the words of the bus. */
typedef enum OpError {
	OP_ERROR_NONE,
	OP_ERROR_ABORTED,
	OP_ERROR_ALREADY_EXISTS,
	OP_ERROR_BUSY,
	OP_ERROR_FAILED,
	OP_ERROR_INTERACTION_REQUIRED,
	OP_ERROR_INVALID_ARGUMENT,
	OP_ERROR_KVM_UNUSABLE,
	OP_ERROR_NAT_BLOCKED,
	OP_ERROR_NOT_AUTHORIZED,
	OP_ERROR_NOT_FOUND,
	OP_ERROR_QUOTA_REACHED,
	OP_ERROR_RESOLVER_UNAVAILABLE,
	OP_ERROR_VMM_UNAVAILABLE,
	_OP_ERROR_MAX,
} OpError;

typedef struct OpFailure {
	OpError error;
	char text[480]; /* for people: what was wrong, and where there is one the way out */
} OpFailure;

/* "org.banger.Error.Busy"; NULL for OP_ERROR_NONE. */
const char *op_error_name(OpError error);

/* Who calls, learnt from the bus alone. */
typedef struct Caller {
	uid_t uid;
	bool may_ask;    /* the message allows a person to be asked */
	char sender[80]; /* the transport's name of the connection */
} Caller;

typedef struct OpLaunchWork {
	BnVmmSpec spec;
	char tap[BN_TAP_NAME_SIZE]; /* name of the tap's interface; "": there is none */
	uid_t jail_uid;
	bool undone; /* run failed and left nothing */
} OpLaunchWork;

typedef struct OpVmmWork {
	uid_t jail_uid;
	bool gone; /* the VMM turned out to have ended */
} OpVmmWork;

typedef struct OpEntriesWork {
	LedgerEntry *entries; /* copies; owned */
	size_t n;
	bool *released; /* one per entry; owned; ReleaseVM and ReleaseUser */
	NetTap *taps;   /* as the entries */
	size_t n_taps;
	bool *taps_released;
	NetBridge *bridges; /* of a list */
	size_t n_bridges;
	NetBridge bridge; /* where has_bridge says so */
	bool has_bridge, last_bridge, bridge_released;
} OpEntriesWork;

/* Of the methods about bridges and taps. */
typedef struct OpNetWork {
	KernelNet *net;     /* owned */
	NetChange *changes; /* owned; EnsureBridge: all that the tables hold */
	size_t n_changes;
	NetTap *taps; /* owned; EnsureBridge: the user's */
	size_t n_taps;
	NetBridge bridge;
	NetTap tap, before; /* as it shall be; as it was */
	BnPrefix
		moved_from; /* EnsureBridge: the subnet of before, where it is another now; else all 0 */
	bool last;          /* no bridge is left behind it */
	bool undone;        /* run failed and left nothing */
} OpNetWork;

typedef union OpWork {
	OpLaunchWork launch;
	OpVmmWork vmm;
	OpEntriesWork entries;
	OpNetWork net;
} OpWork;

/* One call. What was checked here is what polkit is asked about and what runs: there is no second
 * copy. */
typedef struct OpCall {
	OpId id;
	OpArgs args;
	Caller caller;
	uid_t target;          /* whose resources it is about: the caller's, but for ReleaseUser */
	const char *vm;        /* of args, or NULL */
	const char *operation; /* of args, or "" */
	char key[BN_DERIVE_KEY_SIZE]; /* of (target, vm), or "" */
	OpWork work;
	OpReply reply;
	OpFailure failure;
} OpCall;

/* Limits, from /etc/banger/helper.conf. */
typedef struct OpLimits {
	unsigned vms_per_user;
	BnPrefix pool; /* of the users' subnets */
	uint8_t subnet_length;
	char wrong
		[256]; /* why they are not known, and nothing that they limit can be made; else "" */
} OpLimits;

typedef struct OpEnv {
	Ledger *ledger;
	NetLedger *net;
	const Kernel *kernel;
	OpLimits limits;
} OpEnv;

typedef struct OpImpl {
	int (*check)(OpCall *call);
	int (*descriptors)(OpCall *call);
	int (*look)(const OpEnv *env, OpCall *call);
	/* 1: the reply is complete, there is nothing to run. */
	int (*claim)(const OpEnv *env, OpCall *call);
	int (*run)(const Kernel *kernel, OpCall *call);
	int (*settle)(const OpEnv *env, OpCall *call, int result);
	void (*done)(OpCall *call); /* frees call->work */
	/* For administrators: membership of group banger does not allow it. */
	bool administration;
	/* Never runs beside another call about the same user. */
	bool whole_user;
	/* Changes what the host's networks are made of. */
	bool network;
	/* And never beside another that does, of whatever user. */
	bool whole_network;
} OpImpl;

/* Default deny: a method without a row cannot be called. */
extern const OpImpl op_table[_OP_MAX];

/* Records why a call fails; returns the negative errno that goes with `error`. */
int op_fail(OpCall *call, OpError error, const char *format, ...) _printf_(3, 4);
/* The usual failure of something that ought to work: OP_ERROR_FAILED, "what: strerror". Returns
 * `r`. */
int op_fail_errno(OpCall *call, int r, const char *what);
/* OP_ERROR_INVALID_ARGUMENT: "argument: what". */
int op_fail_argument(OpCall *call, const char *argument, const char *what);

/* Checks that several methods share. */
int op_check_vm(OpCall *call, const char *vm, const char *operation);
