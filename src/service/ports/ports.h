/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All that a VM needs of the world, in one struct that main() fills and tests fake. */
#pragma once

#include "service/ports/console.h"
#include "service/ports/guest.h"
#include "service/ports/image.h"
#include "service/ports/privileged.h"
#include "service/ports/storage.h"
#include "service/ports/vmm.h"

typedef struct BangerPorts {
	BangerPrivileged *privileged;
	BangerStorage *storage;
	BangerImageStore *images;
	/* Each takes the descriptor over. */
	BangerVmm *(*vmm_new)(int fd);
	BangerGuest *(*guest_new)(int fd);
	/* `fresh`: forget what an earlier run left in the log. `fd` may be -1: only the log. */
	BangerConsole *(*console_new)(const char *vm, int fd, bool fresh);
	/* The host's time stamp counter in kHz; 0 where it cannot be known. */
	uint32_t tsc_khz;
} BangerPorts;
