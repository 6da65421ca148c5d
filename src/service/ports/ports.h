/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All that a VM needs of the world, in one struct that main() fills and tests fake. */
#pragma once

#include "service/ports/console.h"
#include "service/ports/guest.h"
#include "service/ports/image.h"
#include "service/ports/names.h"
#include "service/ports/privileged.h"
#include "service/ports/publisher.h"
#include "service/ports/session.h"
#include "service/ports/storage.h"
#include "service/ports/vmm.h"

typedef struct BangerPorts {
	BangerPrivileged *privileged;
	BangerStorage *storage;
	BangerImageStore *images;
	BangerSession *session;
	BangerNames *names;
	BangerPublisher *publisher;
	const char *zone;       /* what names of VMs end in: "dev.vm" */
	unsigned bridge_idle_s; /* how long the bridge stays behind the last VM on it */
	/* Each takes the descriptor over. */
	BangerVmm *(*vmm_new)(int fd);
	BangerGuest *(*guest_new)(int fd);
	/* `fresh`: forget what an earlier run left in the log. `fd` may be -1: only the log. */
	BangerConsole *(*console_new)(const char *vm, int fd, bool fresh);
	/* For the doctor: whether a program can be run; the user's directory for data (borrowed) and how much is free
	 * there, in bytes, or false. */
	bool (*can_run)(const char *path);
	/* Whether a file is root's alone to write, with every directory above it; and whether the user has subordinate
	 * ids, which building an image takes. */
	bool (*is_roots)(const char *path);
	bool (*has_subids)(void);
	bool (*get_space)(const char **ret_directory, uint64_t *ret_free);
	/* The host's time stamp counter in kHz; 0 where it cannot be known. */
	uint32_t tsc_khz;
} BangerPorts;
