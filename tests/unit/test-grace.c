/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What programs do with the time they get to end in. */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/grace.h"

/* Longer than any test may take. */
#define EVER_MS 100000000

/* In a process group of its own, which does not outlive us. */
static pid_t
start(void (*run)(void))
{
	sigset_t mask;
	pid_t pid;

	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGCHLD);
	check_int(sigprocmask(SIG_BLOCK, &mask, NULL), 0);
	check_int(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid = fork();
	check(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)setpgid(0, 0);
		run();
		_exit(0);
	}
	(void)setpgid(pid, pid);
	return pid;
}

static void
leave_a_child(void)
{
	if (fork() == 0)
		_exit(0);
}

static void
stay(void)
{
	(void)pause();
}

/* Nobody reads it: its other end is us, so that SIGPIPE ends who goes on without us. */
static int alive[2];

/* One ends as the next begins, for ever: the news that somebody ended never stop. */
static void
relay(void)
{
	(void)close(alive[0]);
	while (fork() == 0)
		(void)!write(alive[1], "", 1);
}

static void
end(pid_t group)
{
	check_int(kill(-group, SIGKILL), 0);
	while (waitpid(-group, NULL, 0) > 0)
		;
}

static void
test_wait_when_all_have_ended_then_returns(void)
{
	(void)start(leave_a_child);
	(void)start(leave_a_child);
	agent_grace_wait(EVER_MS);
	check_int(waitpid(-1, NULL, WNOHANG), -1);
}

static void
test_wait_when_one_stays_then_its_time_ends(void)
{
	pid_t group = start(stay);

	agent_grace_wait(50);
	check_int(waitpid(-group, NULL, WNOHANG), 0);
	end(group);
}

static void
test_wait_when_others_end_all_the_time_then_it_ends_all_the_same(void)
{
	pid_t group;

	check_int(pipe2(alive, O_CLOEXEC | O_NONBLOCK), 0);
	group = start(relay);
	agent_grace_wait(50);
	check(waitpid(-group, NULL, WNOHANG) >= 0);
	end(group);
}

TEST_MAIN(TEST(test_wait_when_all_have_ended_then_returns),
	  TEST(test_wait_when_one_stays_then_its_time_ends),
	  TEST(test_wait_when_others_end_all_the_time_then_it_ends_all_the_same))
