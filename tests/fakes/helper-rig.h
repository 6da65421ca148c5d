/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A dispatcher with everything around it faked: recording kernel, scripted polkit, answers in an
 * array, a ledger in a directory of its own. One per test. */
#pragma once

#include "fakes/fake-kernel.h"
#include "helper/ledger.h"
#include "helper/op-dispatch.h"

#define RIG_CALLS_MAX 640
/* Of all users; the helper has this from its descriptors. */
#define RIG_CALLS_AT_ONCE 300

typedef struct RigCall {
	OpId id;
	bool is_answered;
	bool is_asked; /* polkit has the question */
	bool is_cancelled;
	OpError error;
	char text
		[512]; /* of a failure; of a success what ReleaseVM and the lists said, or the address */
	uint32_t number; /* rows of a list, VMs released */
	int order;       /* of the answers, from 1 */
	AuthorityDone *done;
	void *data;
	char action[64], vm[64], object[64];
	struct Rig *rig;
} RigCall;

typedef struct Rig {
	char directory[64];
	FakeKernel kernel;
	Ledger *ledger;
	NetLedger *net;
	Workers *workers;
	int event;
	Dispatch *dispatch;
	AuthorityAnswer answer; /* what polkit says where `hold_questions` is off */
	bool hold_questions;    /* questions stay open until rig_decide() */
	RigCall calls[RIG_CALLS_MAX];
	int n_calls, n_answers, n_changed;
	RigCall *asked_next; /* the call whose question comes now */
	int kernel_fd, initramfs_fd, disk_fd;
} Rig;

void rig_init(Rig *rig);
void rig_done(Rig *rig);
/* A successor of the helper: same ledger directory and kernel, everything else new. */
void rig_restart(Rig *rig);

/* Submits; the returned call is answered at once or by rig_settle(). `vm` is a letter or digit of
 * hex, repeated. */
RigCall *rig_launch(Rig *rig, uid_t uid, char vm);
/* On a new rig, which holds questions from then on: 'a', which the kernel is just asked about until
 * fake_kernel_let_go(). */
RigCall *rig_launch_held(Rig *rig, uid_t uid);
RigCall *rig_call(Rig *rig, OpId id, uid_t uid, char vm);
/* EnsureBridge, RemoveBridge, EnableNameRouting, DisableNameRouting; and a tap with its host number, 0 for the
 * lowest. */
RigCall *rig_bridge(Rig *rig, OpId id, uid_t uid);
RigCall *rig_tap(Rig *rig, uid_t uid, char vm, uint32_t host, bool peer);
RigCall *rig_peer(Rig *rig, uid_t uid, char vm, bool peer);
RigCall *rig_nat(Rig *rig, uid_t uid, char vm, bool lan);
/* `args` and what they point to stay the caller's. */
RigCall *rig_submit(Rig *rig, OpId id, const OpArgs *args, uid_t uid, const char *sender);

/* Until nothing is in a worker, and polkit has answered what it was asked. */
void rig_settle(Rig *rig);
/* Until one worker is done: something must be in one. */
void rig_wait(Rig *rig);
void rig_decide(RigCall *call, AuthorityAnswer answer);
/* "ok", or the last word of the error's name. */
const char *rig_result(const RigCall *call);
/* Ledger, its files and the fake kernel's world tell of the same VMs. */
void rig_check_true(Rig *rig);
/* Number of open descriptors of this process. */
size_t rig_count_fds(void);
