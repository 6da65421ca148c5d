/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One command in the guest: its process, and the bytes to and from it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/rules/frame.h"

typedef struct AgentExec {
	uint16_t stream;
	pid_t pid; /* 0: it has ended */
	bool tty;
	int status; /* as waitpid() gives it, once pid is 0 */
	bool hung_up;

	uint8_t *description; /* EXEC frames until RUN */
	size_t description_size;

	/* Our ends, -1 where closed. With a terminal in and out are one descriptor each of it, err is unused. */
	int fds[_BN_CHANNEL_MAX];
	/* What the host has sent and the command has not taken. */
	uint8_t *input;
	size_t input_start, input_size;
	bool input_ended;
	uint32_t input_taken; /* not yet returned as credit */
	uint32_t credit[_BN_CHANNEL_MAX];
} AgentExec;

AgentExec *agent_exec_new(uint16_t stream);
void agent_exec_free(AgentExec *exec);

/* Starts it. 0, or negative errno and a text for people in `reterr`. */
int agent_exec_start(AgentExec *exec, const BnExecRequest *request, char reterr[static 256]);

/* Takes input from the host: false where it is more than credit allowed. */
bool agent_exec_take_input(AgentExec *exec, const uint8_t *data, size_t size);
/* Gives the command what it will take now. */
void agent_exec_flush_input(AgentExec *exec);

void agent_exec_signal(AgentExec *exec, int signal_number);
void agent_exec_resize(AgentExec *exec, uint16_t rows, uint16_t columns);
