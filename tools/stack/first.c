/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first process: makes the world, runs services and the command, reaps, and takes everything along when it
 * ends. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/macro.h"
#include "stack.h"

typedef struct First {
	const Stack *stack;
	StackService services[STACK_SERVICES_MAX];
	size_t n_services;
	pid_t command;
} First;

/* The command's own process group gets the terminal, so that keys reach it and not us. The number must be set
 * before it runs and before we go on: both sides do it, whoever comes first. */
static void
give_terminal(pid_t group)
{
	(void)setpgid(group, group);
	/* SIGTTOU is blocked here: a process in the background may then do this. */
	(void)tcsetpgrp(STDIN_FILENO, group);
}

_noreturn_ static void
run_command(const Stack *stack)
{
	char **environment = stack_environment(stack, stack->user);
	const StackUser *user = stack_user_find(stack->user);
	char home[64] = "/root";
	sigset_t none;

	if (stack->take_terminal)
		give_terminal(getpid());
	if (user)
		(void)snprintf(home, sizeof(home), "/home/%s", user->name);
	if (!environment || close_range(3, ~0U, 0) < 0 || stack_become(stack->user) < 0 ||
	    chdir(home) < 0) {
		(void)stack_fail(-errno, "become %s", stack->user);
		_exit(STACK_EXIT_FAILURE);
	}
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* execvpe() looks in the caller's PATH. */
	environ = environment;
	(void)execvp(stack->command[0], stack->command);
	(void)stack_fail(-errno, "%s", stack->command[0]);
	_exit(errno == ENOENT ? 127 : 126);
}

static int
tell_outer(const Stack *stack, char message)
{
	return write(stack->outer, &message, 1) == 1 ? 0 : -EPIPE;
}

static int
start_command(First *first)
{
	first->command = fork();
	if (first->command < 0)
		return stack_fail(-errno, "fork");
	if (first->command == 0)
		run_command(first->stack);
	if (first->stack->take_terminal)
		give_terminal(first->command);
	return tell_outer(first->stack, STACK_MSG_STARTED);
}

static int
exit_status(const siginfo_t *info)
{
	return info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
}

/* A service is needed by everything; what it starts may end and be started again. */
static void
check_service(const First *first, pid_t pid)
{
	for (size_t i = 0; i < first->n_services; i++) {
		if (first->services[i].pid != pid)
			continue;
		(void)fprintf(stderr, "banger-stack: %s ended, and everything with it\n",
			      first->services[i].what);
		_exit(STACK_EXIT_FAILURE);
	}
}

static void
reap(First *first)
{
	for (;;) {
		siginfo_t info = {};

		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG) < 0 || info.si_pid == 0)
			return;
		if (info.si_code == CLD_STOPPED) {
			if (info.si_pid == first->command && first->stack->take_terminal)
				(void)tell_outer(first->stack, STACK_MSG_STOPPED);
			continue;
		}
		if (info.si_pid == first->command)
			_exit(exit_status(&info));
		check_service(first, info.si_pid);
	}
}

static void
obey(const First *first)
{
	pid_t target = first->stack->take_terminal ? -first->command : first->command;
	char message;

	/* The outer process is gone; the kernel's SIGKILL is on its way too. */
	if (read(first->stack->outer, &message, 1) != 1)
		_exit(STACK_EXIT_FAILURE);
	switch (message) {
	case STACK_MSG_FOREGROUND:
		give_terminal(first->command);
		(void)kill(target, SIGCONT);
		break;
	case STACK_MSG_BACKGROUND:
		(void)kill(target, SIGCONT);
		break;
	case STACK_MSG_INTERRUPT:
		(void)kill(target, SIGINT);
		break;
	case STACK_MSG_QUIT:
		(void)kill(target, SIGQUIT);
		break;
	}
}

_noreturn_ static void
loop(First *first, int signals)
{
	struct pollfd fds[] = { { .fd = signals, .events = POLLIN },
				{ .fd = first->stack->outer, .events = POLLIN } };

	for (;;) {
		struct signalfd_siginfo ignored;

		if (poll(fds, BN_ELEMENTSOF(fds), -1) < 0 && errno != EINTR)
			_exit(STACK_EXIT_FAILURE);
		if (fds[0].revents && read(signals, &ignored, sizeof(ignored)) > 0)
			reap(first);
		if (fds[1].revents)
			obey(first);
	}
}

void
stack_first_run(const Stack *stack)
{
	First first = { .stack = stack };
	sigset_t children;
	int signals;

	(void)sigemptyset(&children);
	(void)sigaddset(&children, SIGCHLD);
	signals = signalfd(-1, &children, SFD_CLOEXEC);
	if (signals < 0 || stack_world_enter(stack) < 0 || stack_people_make(stack) < 0 ||
	    stack_services_start(stack, first.services, &first.n_services) < 0 ||
	    start_command(&first) < 0)
		_exit(STACK_EXIT_FAILURE);
	loop(&first, signals);
}
