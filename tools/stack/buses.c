/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The system bus and the session buses; everything else is started by them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/macro.h"
#include "stack.h"

#define DBUS_DAEMON "/usr/bin/dbus-daemon"
#define LOG_DIR     "/run/banger-stack"
/* Where the daemon finds the pipe on which it says that it listens. */
#define READY_FD 3

typedef struct Bus {
	const char *user; /* whose, or "root" for the system bus */
	bool is_system;
	char log[64];
	char address[96];
} Bus;

static int
redirect_output(const Stack *stack, const Bus *bus)
{
	_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int log = -1;

	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return bn_errno();
	if (stack->verbose)
		return dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ? bn_errno() : 0;
	log = open(bus->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
		return bn_errno();
	return 0;
}

/* In the child. A session of its own: the terminal's signals are for the command alone. */
_noreturn_ static void
run_daemon(const Stack *stack, const Bus *bus, int ready)
{
	const char *const argv[] = { "dbus-daemon",
				     bus->is_system ? "--system" : "--session",
				     "--nofork",
				     "--nopidfile",
				     "--nosyslog",
				     "--print-address=3",
				     bus->is_system ? NULL : bus->address,
				     NULL };
	char **environment = stack_environment(stack, bus->user);
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (!environment || redirect_output(stack, bus) < 0 || setsid() < 0 ||
	    stack_become(bus->user) < 0 || chdir("/") < 0)
		_exit(126);
	/* dup2() onto itself would keep close-on-exec. */
	if (ready == READY_FD ? fcntl(ready, F_SETFD, 0) < 0 : dup2(ready, READY_FD) < 0)
		_exit(126);
	if (close_range(READY_FD + 1, ~0U, 0) < 0)
		_exit(126);
	(void)execve(DBUS_DAEMON, (char *const *)argv, environment);
	_exit(127);
}

static int
start_bus(const Stack *stack, const Bus *bus, pid_t *ret_pid, int *ret_ready)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return stack_fail(bn_errno(), "pipe");
	pid = fork();
	if (pid == 0)
		run_daemon(stack, bus, ends[1]);
	(void)close(ends[1]);
	if (pid < 0) {
		(void)close(ends[0]);
		return stack_fail(bn_errno(), "fork");
	}
	*ret_pid = pid;
	*ret_ready = ends[0];
	return 0;
}

/* The daemon prints its address after it listens, and closes the pipe; one that failed only closes. */
static int
wait_ready(int ready, const Bus *bus)
{
	char address[256];
	ssize_t n;

	do
		n = read(ready, address, sizeof(address));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return 0;
	return stack_fail(n < 0 ? bn_errno() : -EPIPE, "%s of %s did not start; see %s",
			  bus->is_system ? "system bus" : "session bus", bus->user, bus->log);
}

static void
describe(const char *user, bool is_system, Bus *ret)
{
	const StackUser *u = stack_user_find(user);

	*ret = (Bus){ .user = user, .is_system = is_system };
	(void)snprintf(ret->log, sizeof(ret->log), LOG_DIR "/%s.log", is_system ? "system" : user);
	if (u)
		(void)snprintf(ret->address, sizeof(ret->address),
			       "--address=unix:path=/run/user/%u/bus", u->uid);
}

int
stack_buses_start(const Stack *stack, pid_t *ret_pids, size_t *ret_n)
{
	Bus buses[STACK_LIST_MAX + 1];
	int ready[BN_ELEMENTSOF(buses)];
	size_t n = 0, started = 0;
	int r = 0;

	describe("root", true, &buses[n++]);
	for (size_t i = 0; i < stack->n_sessions; i++)
		describe(stack->sessions[i], false, &buses[n++]);
	/* All at once, then all are waited for. */
	for (; r >= 0 && started < n; started += r >= 0)
		r = start_bus(stack, &buses[started], &ret_pids[started], &ready[started]);
	for (size_t i = 0; i < started; i++) {
		if (r >= 0)
			r = wait_ready(ready[i], &buses[i]);
		(void)close(ready[i]);
	}
	*ret_n = started;
	return r;
}
