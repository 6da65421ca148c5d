/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What banger-helper, banger-jail and the first process of a jail say to each other.
 *
 * Everything travels over SOCK_SEQPACKET unix sockets between processes that check each other's uid;
 * one message is one struct, in the host's byte order, with descriptors beside it. Two sockets:
 *
 * 1. The launcher, BN_JAIL_RUN_DIR "/" BN_JAIL_SOCKET (root only). The helper connects and sends one BnJailRequest:
 *
 *    BN_JAIL_LAUNCH  with descriptors [kernel, initramfs, disk…, tap]. The launcher makes the jail and
 *                    answers BnJailReply with descriptors [pidfd of the first process, control
 *                    connection to it]. The VMM does not run yet. The tap is there where the spec
 *                    has a network, and is one of bn_tap_check(); every other descriptor is a regular file,
 *                    not empty; kernel and initramfs open for reading or a memfd sealed against writing
 *                    and resizing, readable by the jail's uid (mode 0444); a disk open as the spec says:
 *                    for reading, or for reading and writing. What is open for reading alone must not be
 *                    writable by everybody either, or be such a memfd.
 *    BN_JAIL_PROBE   no descriptors; a jail with nothing but /dev/kvm runs the functional probe;
 *                    answers BnJailReply (no descriptors) with `usable`, `proven` and `text`.
 *
 * 2. The control socket of each jail, BN_JAIL_RUN_DIR "/<key>" (key: bn_derive_key()), bound and
 *    listened on by the launcher before the jail loses its rights and held by its first process as long as it lives:
 *    this is where a successor of the helper finds a jail. Who connects must be root. The control
 *    connection that LAUNCH returned is already one of these. One BnJailCommand each, one
 *    BnJailAnswer back:
 *
 *    BN_JAIL_GO      the first process starts the VMM; answers with descriptors [control, agent,
 *                    console] once exec has succeeded, or with the errno of what failed, and then the
 *                    jail ends. -EALREADY where it runs.
 *    BN_JAIL_OPEN    a fresh set of [control, agent, console]: what was handed out before is dead or dies
 *                    now. The VMM's sockets serve one client at a time. -ENOTCONN before GO.
 *    BN_JAIL_SIGNAL  `signo` to the VMM: TERM KILL INT HUP QUIT USR1 USR2 ABRT, else -EINVAL.
 *                    -ENOTCONN before GO.
 *    BN_JAIL_END     SIGKILL to the VMM; the answer comes when it has been reaped, then the jail ends.
 *
 * The three descriptors are one set: where the last copy of `console` is closed, the first process
 * shuts the other two down. It keeps copies of them to be able to end them at OPEN, so without this
 * rule neither VMM nor guest would notice the death of who used them. `console` is a stream: what the
 * guest's serial port and the VMM's own standard error said and nobody has read yet comes first (the
 * last BN_CONSOLE_RING bytes of it).
 *
 * A jail whose launching control connection closes before GO ends. So does, before GO, one whose first
 * process gets one of the signals above from outside; after GO it passes them to the VMM.
 *
 * How the VMM ended is in BN_JAIL_RUN_DIR "/<key>.exit" ("exit N\n" or "signal N\n") when the first
 * process has ended; a jail that ended without a VMM to report about (before GO, or its first process
 * was killed) leaves "failed\n", which stands there from the start. Both files are removed by the
 * helper: LAUNCH replaces them where they are left over, and answers -EEXIST where the jail of that
 * key lives.
 *
 * The first process runs with the VM's uid, as the VMM does, and is therefore not trusted: the helper
 * bounds and checks every answer as if the guest had written it, and waits with a time limit. */
#pragma once

#include <stdint.h>

#include "shared/rules/derive.h"
#include "shared/rules/vmm-spec.h"

#define BN_JAIL_WIRE_MAGIC 0x314a4742U /* "BGJ1" */

/* Descriptors of a LAUNCH, in this order; disks follow, and behind them the tap where there is a network. */
enum {
	BN_JAIL_FD_KERNEL,
	BN_JAIL_FD_INITRAMFS,
	BN_JAIL_FD_DISK,
	_BN_JAIL_FD_MAX = BN_JAIL_FD_DISK + BN_DISKS_MAX + 1
};

/* Descriptors of a reply to LAUNCH, in this order; none where it failed. */
enum { BN_JAIL_REPLY_PIDFD, BN_JAIL_REPLY_CONTROL, _BN_JAIL_REPLY_MAX };

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
	uint32_t proven; /* PROBE: 1 where guest code ran to its end, so that it would again */
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
