/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The system bus and the session buses, and the world around; everything else is started by them. */
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
/* Where a service finds the pipe on which it says that it is ready. */
#define READY_FD 3

typedef struct Service {
	const char *what;
	const char *user; /* whose */
	char log[64];
	char address[96];
	const char *argv[8]; /* the program by its path */
} Service;

static int
redirect_output(const Stack *stack, const Service *service)
{
	_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int log = -1;

	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return bn_errno();
	if (stack->verbose)
		return dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ? bn_errno() : 0;
	log = open(service->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
		return bn_errno();
	return 0;
}

/* In the child. A session of its own: the terminal's signals are for the command alone. */
_noreturn_ static void
run_service(const Stack *stack, const Service *service, int ready)
{
	char **environment = stack_environment(stack, service->user);
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (!environment || redirect_output(stack, service) < 0 || setsid() < 0 ||
	    stack_become(service->user) < 0 || chdir("/") < 0)
		_exit(126);
	/* dup2() onto itself would keep close-on-exec. */
	if (ready == READY_FD ? fcntl(ready, F_SETFD, 0) < 0 : dup2(ready, READY_FD) < 0)
		_exit(126);
	if (close_range(READY_FD + 1, ~0U, 0) < 0)
		_exit(126);
	(void)execve(service->argv[0], (char *const *)service->argv, environment);
	_exit(127);
}

static int
start_service(const Stack *stack, const Service *service, pid_t *ret_pid, int *ret_ready)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return stack_fail(bn_errno(), "pipe");
	pid = fork();
	if (pid == 0)
		run_service(stack, service, ends[1]);
	(void)close(ends[1]);
	if (pid < 0) {
		(void)close(ends[0]);
		return stack_fail(bn_errno(), "fork");
	}
	*ret_pid = pid;
	*ret_ready = ends[0];
	return 0;
}

/* A bus prints its address when it listens, the world a word, and both close the pipe; one that failed only closes. */
static int
wait_ready(int ready, const Service *service)
{
	char word[256];
	ssize_t n;

	do
		n = read(ready, word, sizeof(word));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return 0;
	return stack_fail(n < 0 ? bn_errno() : -EPIPE, "%s of %s did not start; see %s",
			  service->what, service->user, service->log);
}

static void
describe_bus(const char *user, bool is_system, Service *ret)
{
	const char *const words[] = { DBUS_DAEMON,  is_system ? "--system" : "--session",
				      "--nofork",   "--nopidfile",
				      "--nosyslog", "--print-address=3",
				      NULL };
	const StackUser *u = stack_user_find(user);

	ret->what = is_system ? "the system bus" : "a session bus";
	ret->user = user;
	(void)snprintf(ret->log, sizeof(ret->log), LOG_DIR "/%s.log", is_system ? "system" : user);
	memcpy(ret->argv, words, sizeof(words));
	if (is_system || !u)
		return;
	(void)snprintf(ret->address, sizeof(ret->address), "--address=unix:path=/run/user/%u/bus",
		       u->uid);
	ret->argv[BN_ELEMENTSOF(words) - 1] = ret->address;
}

static size_t
describe_all(const Stack *stack, Service *ret)
{
	size_t n = 0;

	describe_bus("root", true, &ret[n++]);
	for (size_t i = 0; i < stack->n_sessions; i++)
		describe_bus(stack->sessions[i], false, &ret[n++]);
	if (stack->world)
		ret[n++] = (Service){ .what = "the world",
				      .user = "root",
				      .log = LOG_DIR "/world.log",
				      .argv = { stack->world } };
	return n;
}

int
stack_services_start(const Stack *stack, StackService *ret, size_t *ret_n)
{
	Service services[STACK_SERVICES_MAX] = {};
	int ready[STACK_SERVICES_MAX];
	size_t n = describe_all(stack, services), started = 0;
	int r = 0;

	/* All at once, then all are waited for. */
	for (; r >= 0 && started < n; started += r >= 0) {
		ret[started].what = services[started].what;
		r = start_service(stack, &services[started], &ret[started].pid, &ready[started]);
	}
	for (size_t i = 0; i < started; i++) {
		if (r >= 0)
			r = wait_ready(ready[i], &services[i]);
		(void)close(ready[i]);
	}
	*ret_n = started;
	return r;
}
