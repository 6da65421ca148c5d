/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A jail to be made: the request as it was checked, and what its construction has collected. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "shared/base/fd-util.h"
#include "shared/rules/jail-wire.h"

typedef struct Jail {
	BnJailRequest request;
	int fds[BN_FD_MESSAGE_MAX]; /* the request's, in the order of BN_JAIL_FD_… */
	size_t n_fds;
	int listener;  /* the control socket; LAUNCH only, -1 until it is made */
	int exit_file; /* where the end of the VMM is written; LAUNCH only, -1 until it is made */
	ino_t listener_inode; /* of the file that was bound: only this one is ours to remove */
	int status;           /* where the first process reports one BnJailReply */
} Jail;

static inline bool
jail_is_probe(const Jail *jail)
{
	return jail->request.verb == BN_JAIL_PROBE;
}

static inline bool
jail_has_kvm(const Jail *jail)
{
	return jail_is_probe(jail) || jail->request.spec.kvm;
}

/* One step of a jail's construction: 0 or negative errno. Its name is what an error reports. */
typedef struct Step {
	const char *name;
	int (*run)(const Jail *jail);
} Step;

static inline int
jail_run_steps(const Jail *jail, const Step *steps, size_t n, const char **reterr_step)
{
	for (size_t i = 0; i < n; i++) {
		int r = steps[i].run(jail);

		if (r < 0) {
			*reterr_step = steps[i].name;
			return r;
		}
	}
	return 0;
}
