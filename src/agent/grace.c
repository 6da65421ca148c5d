/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/grace.h"

#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

static int64_t
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

void
agent_grace_wait(unsigned patience_ms)
{
	int64_t end = now_ns() + patience_ms * INT64_C(1000000), left;
	sigset_t mask;

	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGCHLD);
	/* Whoever ends brings nobody else more time: a program can go on forking for as long as it likes. */
	while ((left = end - now_ns()) > 0) {
		struct timespec limit = { .tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S };
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0)
			return;
		if (pid == 0)
			(void)sigtimedwait(&mask, NULL, &limit);
	}
}
