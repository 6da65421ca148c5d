/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/grace.h"

#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>

#include "shared/base/clock.h"

#define NS_PER_S UINT64_C(1000000000)

void
agent_grace_wait(unsigned patience_ms)
{
	uint64_t now, end = bn_clock_ns() + patience_ms * UINT64_C(1000000);
	sigset_t mask;

	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGCHLD);
	/* Whoever ends brings nobody else more time: a program can go on forking for as long as it likes. */
	while ((now = bn_clock_ns()) < end) {
		struct timespec limit = { .tv_sec = (time_t)((end - now) / NS_PER_S),
					  .tv_nsec = (long)((end - now) % NS_PER_S) };
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0)
			return;
		if (pid == 0)
			(void)sigtimedwait(&mask, NULL, &limit);
	}
}
