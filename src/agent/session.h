/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's side of the agent channel: one loop over one descriptor. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/rules/frame.h"

typedef struct AgentSession AgentSession;

typedef struct AgentConfig {
	int fd;       /* non-blocking */
	bool is_port; /* a virtio port, which reads as ended while no host has it open; else a socket */
	uint64_t first_us; /* monotonic clock at the first process */
	char boot_id[BN_FRAME_BOOT_ID + 1];
	/* Readable as soon as commands can run, which is told to `ready`; until then a host gets its hello, and
	 * what it asks for waits. -1: commands can run at once. */
	int ready_fd;
	void (*ready)(void *data);
	/* After what waited has been begun. */
	void (*settled)(void *data);
	/* Carries out SHUTDOWN, after a sync and the answer; may not return. */
	void (*power_off)(void *data);
	void *data;
} AgentConfig;

/* Serves until the descriptor fails for good. Returns negative errno; 0 at the end of a socket. SIGCHLD is
 * blocked and SIGPIPE ignored by it. */
int agent_session_run(const AgentConfig *config);
