/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What banger-helper, banger-jail and the first process of a jail say to each other.
 *
 * Everything travels over SOCK_SEQPACKET unix sockets between processes that check each other's uid;
 * one message is one struct, in the host's byte order, with descriptors beside it. Two sockets:
 *
 * 1. The launcher, BN_JAIL_SOCKET (root only). The helper connects and sends one BnJailRequest:
 *
 *    BN_JAIL_LAUNCH  with descriptors [kernel, initramfs, disk…]. The launcher makes the jail and
 *                    answers BnJailReply with descriptors [pidfd of the first process, control
 *                    connection to it]. The VMM does not run yet.
 *    BN_JAIL_PROBE   no descriptors; a jail with nothing but /dev/kvm runs the functional probe;
 *                    answers BnJailReply (no descriptors) with `usable` and `text`.
 *
 * 2. The control socket of each jail, BN_JAIL_RUN_DIR "/<key>" (key: bn_derive_key()), bound and
 *    listened on by the launcher before the jail loses its rights and held by its first process as long as it lives:
 *    this is where a successor of the helper finds a jail. Who connects must be root. The control
 *    connection that LAUNCH returned is already one of these. One BnJailCommand each, one
 *    BnJailAnswer back:
 *
 *    BN_JAIL_GO      the first process starts the VMM; answers with descriptors [control, agent,
 *                    console] once exec has succeeded, or with the errno of what failed, and then the
 *                    jail ends.
 *    BN_JAIL_OPEN    a fresh set of [control, agent, console]: what was handed out before is dead or dies
 *                    now. The VMM's sockets serve one client at a time.
 *    BN_JAIL_SIGNAL  `signo` to the VMM.
 *    BN_JAIL_END     SIGKILL to the VMM; the answer comes when it has been reaped, then the jail ends.
 *
 * How the VMM ended is written into BN_JAIL_RUN_DIR "/<key>.exit" ("exit N\n" or "signal N\n") before the first
 * process ends. Both files are removed by the helper. A jail that dies before GO leaves "failed\n".
 *
 * The first process runs with the VM's uid, as the VMM does, and is therefore not trusted: the helper
 * bounds and checks every answer as if the guest had written it, and waits with a time limit. */
#pragma once

#include <stdint.h>

#include "shared/rules/derive.h"
#include "shared/rules/vmm-spec.h"

#define BN_JAIL_WIRE_MAGIC 0x314a4742U /* "BGJ1" */

/* Descriptors of a LAUNCH, in this order; disks follow. */
enum {
	BN_JAIL_FD_KERNEL,
	BN_JAIL_FD_INITRAMFS,
	BN_JAIL_FD_DISK,
	_BN_JAIL_FD_MAX = BN_JAIL_FD_DISK + BN_DISKS_MAX
};

/* Descriptors of an answer to GO and OPEN, in this order. */
enum { BN_JAIL_OUT_CONTROL, BN_JAIL_OUT_AGENT, BN_JAIL_OUT_CONSOLE, _BN_JAIL_OUT_MAX };

typedef enum BnJailVerb { BN_JAIL_LAUNCH = 1, BN_JAIL_PROBE, _BN_JAIL_VERB_MAX } BnJailVerb;
typedef enum BnJailCommandVerb {
	BN_JAIL_GO = 1,
	BN_JAIL_OPEN,
	BN_JAIL_SIGNAL,
	BN_JAIL_END,
	_BN_JAIL_COMMAND_MAX
} BnJailCommandVerb;

typedef struct BnJailRequest {
	uint32_t magic;
	uint32_t verb;                /* BnJailVerb */
	uint32_t jail_uid;            /* the VM's uid and gid */
	char key[BN_DERIVE_KEY_SIZE]; /* NUL-terminated; LAUNCH only */
	BnVmmSpec spec;               /* LAUNCH only */
} BnJailRequest;

typedef struct BnJailReply {
	int32_t error;   /* 0, or a negative errno */
	uint32_t usable; /* PROBE: 1 where KVM serves */
	char text[200];  /* LAUNCH: the step that failed; PROBE: the reason, for people */
} BnJailReply;

typedef struct BnJailCommand {
	uint32_t magic;
	uint32_t verb; /* BnJailCommandVerb */
	int32_t signo; /* SIGNAL only */
} BnJailCommand;

typedef struct BnJailAnswer {
	int32_t error;
	char text[200]; /* what failed, for people; may be empty */
} BnJailAnswer;
