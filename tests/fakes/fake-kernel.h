/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The helper's kernel seam without a kernel: it records every call as one line of text, keeps the
 * world that the calls made, fails the k-th call on demand and holds calls of one jail until told.
 * Never linked into an installed program. */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "helper/kernel/kernel.h"
#include "shared/base/macro.h"
#include "shared/rules/net.h"

#define FAKE_JAILS_MAX 128

typedef struct FakeJail {
	char key[BN_DERIVE_KEY_SIZE];
	uid_t uid;
	bool alive;
	bool started; /* GO */
	bool scope;
	bool files;
	char ended[KERNEL_ENDED_SIZE];
	BnVmmSpec spec;
} FakeJail;

#define FAKE_LINKS_MAX    64
#define FAKE_ELEMENTS_MAX 256

typedef struct FakeLink {
	char name[BN_LINK_NAME_SIZE];
	uint32_t address; /* of a bridge */
	bool isolated;    /* of a tap */
} FakeLink;

typedef struct FakeDoor {
	char bridge[BN_LINK_NAME_SIZE];
	uint32_t guest; /* for whom */
} FakeDoor;

/* What there is of networks. */
typedef struct FakeNet {
	KernelNet look; /* what net_look() says */
	FakeLink links[FAKE_LINKS_MAX];
	size_t n_links;
	bool tables;
	NetChange elements[FAKE_ELEMENTS_MAX];
	size_t n_elements;
	uint32_t guests[FAKE_LINKS_MAX]; /* that forwarding is held for */
	unsigned holders;
	KernelForwarding forwarding;
	FakeDoor doors[FAKE_LINKS_MAX]; /* of others' firewalls, that are open */
	size_t n_doors;
	const KernelBlock *block; /* what lets nobody pass; NULL: nothing does */
	bool dns_taken;
	const char *user; /* the name of every uid; NULL: nobody has one */
	bool no_resolver;
	char zone[BN_ZONE_SIZE]; /* of which the host was told last; "": of none */
	uint32_t resolver;       /* who answers for it */
} FakeNet;

typedef struct FakeKernel {
	Kernel kernel;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char log[16384];
	FakeJail jails[FAKE_JAILS_MAX];
	size_t n;
	unsigned calls;    /* so far */
	unsigned fail_at;  /* the number of the first call that fails; 0: none does */
	unsigned fail_for; /* how many fail from there on; 0 means 1 */
	int fail_with;     /* negative errno */
	bool kvm_usable;
	bool kvm_unproven; /* the probe could not run its code */
	bool has_verdict;
	KernelVerdict verdict;
	const char
		*held; /* calls that name a key containing this, or the probe, wait; NULL: none */
	unsigned waiting;
	FakeNet net;
} FakeKernel;

/* The functions about networks; fake-net.c. */
void fake_net_init(FakeKernel *f);
/* How much of networks is left: links, elements of tables, tables, holders. */
size_t fake_net_count(FakeKernel *f);

/* For fake-net.c: every call begins and ends so. */
int fake_kernel_begin(FakeKernel *f, const char *key, const char *format, ...) _printf_(3, 4);
int fake_kernel_end_call(FakeKernel *f, int r);

void fake_kernel_init(FakeKernel *f);
void fake_kernel_done(FakeKernel *f);

/* Number of jails of which anything is left. */
size_t fake_kernel_count(FakeKernel *f);
FakeJail *fake_kernel_find(FakeKernel *f, const char *key);
/* The VMM ends by itself. */
void fake_kernel_end(FakeKernel *f, const char *key, const char *ended);

/* `part` of a jail's key, or "kvm": the probe. */
void fake_kernel_hold(FakeKernel *f, const char *part);
/* Returns once a held call waits. */
void fake_kernel_wait_held(FakeKernel *f);
/* Returns once so many calls are done; a held one is not. */
void fake_kernel_wait_calls(FakeKernel *f, unsigned n);
void fake_kernel_let_go(FakeKernel *f);
