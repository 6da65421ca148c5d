/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger-stack: options, the new namespaces, and the outer process. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "shared/base/cleanup.h"
#include "shared/base/io-util.h"
#include "shared/base/macro.h"
#include "shared/base/str-util.h"
#include "stack.h"

#define RESOLV_CONF_MAX 65536

typedef struct Outer {
	pid_t first;
	int inner;    /* our end of the socket */
	bool started; /* the command runs: keys and signals are its */
	bool has_terminal;
	struct termios terminal;
} Outer;

int
stack_fail(int error, const char *format, ...)
{
	va_list args;

	(void)fputs("banger-stack: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fprintf(stderr, ": %s\n", strerror(-error));
	return error;
}

static void
print_help(void)
{
	(void)fputs(
		"Usage: banger-stack [OPTION…] [--] COMMAND [ARGUMENT…]\n"
		"Runs COMMAND in a throw-away copy of this system with buses of its own; needs root.\n"
		"Nothing of it is left when COMMAND ends, nor when anything is killed.\n\n"
		"  --stage DIR        copy the tree DIR over / first (of a meson install --destdir)\n"
		"  --user NAME        run as dev (default), dev2 (both in group banger), outsider or root\n"
		"  --root             the same as --user root\n"
		"  --session NAME     a session bus for this user too (dev and --user have one)\n"
		"  --home DIR         what dev finds at home; changes are thrown away\n"
		"  --keep-home        changes of --home are kept\n"
		"  --bind SRC:DST     show SRC at DST, writable; --bind-ro: read-only\n"
		"  --setenv NAME=VAL  for COMMAND, whose environment is otherwise new\n"
		"  --parent PID       end when the caller, which is PID, does\n"
		"  --host-net         keep the network (else: loopback alone)\n"
		"  --world PROGRAM    root's, and run first: it makes what the network has around it,\n"
		"                     says on descriptor 3 that it is there, and stays\n"
		"  --verbose          what services write comes to stderr (else: /run/banger-stack)\n"
		"  --help             print this\n\n"
		"Exit status: COMMAND's (128+n where a signal ended it), 126 or 127 where it cannot be\n"
		"run, 125 where this program failed.\n",
		stdout);
}

static int
add_bind(Stack *stack, char *text, bool read_only)
{
	char *colon = strchr(text, ':');
	StackBind *bind = &stack->binds[stack->n_binds];

	if (!colon || colon[1] != '/' || stack->n_binds == BN_ELEMENTSOF(stack->binds))
		return stack_fail(-EINVAL, "--bind %s", text);
	*colon = '\0';
	bind->source = text;
	bind->target = colon + 1;
	bind->read_only = read_only;
	stack->n_binds++;
	return 0;
}

static int
add_text(const char **list, size_t *n, const char *text)
{
	if (*n == STACK_LIST_MAX)
		return stack_fail(-E2BIG, "%s", text);
	list[(*n)++] = text;
	return 0;
}

static int
add_session(Stack *stack, const char *user)
{
	for (size_t i = 0; i < stack->n_sessions; i++)
		if (strcmp(stack->sessions[i], user) == 0)
			return 0;
	if (!stack_user_find(user))
		return stack_fail(-EINVAL, "no user %s", user);
	return add_text(stack->sessions, &stack->n_sessions, user);
}

/* A caller that died before the signal was asked for is seen by no longer being the parent. */
static int
follow_parent(const char *text)
{
	uint64_t pid;
	int r = bn_str_parse_u64(text, INT_MAX, &pid);

	if (r < 0)
		return stack_fail(r, "--parent %s", text);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return stack_fail(-errno, "--parent %s", text);
	return getppid() == (pid_t)pid ? 0 : stack_fail(-ESRCH, "--parent %s", text);
}

static int
parse_option(Stack *stack, int c)
{
	switch (c) {
	case 's':
		stack->stage = optarg;
		return 0;
	case 'u':
		stack->user = optarg;
		return 0;
	case 'r':
		stack->user = "root";
		return 0;
	case 'S':
		return add_session(stack, optarg);
	case 'h':
		stack->home = optarg;
		return 0;
	case 'k':
		stack->home_writable = true;
		return 0;
	case 'b':
	case 'B':
		return add_bind(stack, optarg, c == 'B');
	case 'e':
		return strchr(optarg, '=')
			       ? add_text(stack->environment, &stack->n_environment, optarg)
			       : stack_fail(-EINVAL, "--setenv %s", optarg);
	case 'p':
		return follow_parent(optarg);
	case 'n':
		stack->host_net = true;
		return 0;
	case 'w':
		stack->world = optarg;
		return 0;
	case 'v':
		stack->verbose = true;
		return 0;
	default:
		return -EINVAL;
	}
}

/* 1: go on; 0: help was asked for; negative after saying what is wrong. */
static int
parse_options(int argc, char **argv, Stack *stack)
{
	static const struct option options[] = {
		{ "stage", required_argument, NULL, 's' },
		{ "user", required_argument, NULL, 'u' },
		{ "root", no_argument, NULL, 'r' },
		{ "session", required_argument, NULL, 'S' },
		{ "home", required_argument, NULL, 'h' },
		{ "keep-home", no_argument, NULL, 'k' },
		{ "bind", required_argument, NULL, 'b' },
		{ "bind-ro", required_argument, NULL, 'B' },
		{ "setenv", required_argument, NULL, 'e' },
		{ "parent", required_argument, NULL, 'p' },
		{ "host-net", no_argument, NULL, 'n' },
		{ "world", required_argument, NULL, 'w' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, '?' + 256 },
		{},
	};
	int r = 0, c;

	while (r >= 0 && (c = getopt_long(argc, argv, "+", options, NULL)) >= 0) {
		if (c == '?' + 256) {
			print_help();
			return 0;
		}
		r = parse_option(stack, c);
	}
	if (r < 0)
		return r;
	if (optind == argc)
		return stack_fail(-EINVAL, "no command; see --help");
	/* Interfaces and routes are for a network that goes away again. */
	if (stack->world && stack->host_net)
		return stack_fail(-EINVAL, "--world with --host-net");
	stack->command = argv + optind;
	r = add_session(stack, stack_users[0].name);
	if (r >= 0 && strcmp(stack->user, "root") != 0)
		r = add_session(stack, stack->user);
	return r < 0 ? r : 1;
}

/* Read before the world changes: often a link into /run, which is a new one there. */
static void
read_resolv_conf(Stack *stack)
{
	_cleanup_close_ int fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	stack->resolv_conf = fd < 0 ? NULL : calloc(1, RESOLV_CONF_MAX + 1);
	n = stack->resolv_conf ? bn_io_read_all(fd, stack->resolv_conf, RESOLV_CONF_MAX) : 0;
	if (n < 0)
		stack->resolv_conf = NULL;
}

static void
read_terminal(Stack *stack, Outer *outer)
{
	outer->has_terminal = tcgetattr(STDIN_FILENO, &outer->terminal) == 0;
	/* Standard output that goes elsewhere may go to a pipe whose reader shares our process group and needs the
	 * terminal as well: then the group stays as it is. */
	stack->take_terminal = outer->has_terminal && isatty(STDOUT_FILENO) &&
			       tcgetpgrp(STDIN_FILENO) == getpgrp();
}

/* In the first process. What comes before the death signal is set would be missed: so look whether the outer process
 * is still there afterwards. */
_noreturn_ static void
become_first(Stack *stack, int outer_end)
{
	int flags =
		CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (stack->host_net ? 0 : CLONE_NEWNET);
	struct pollfd outer = { .fd = stack->outer, .events = POLLIN };

	(void)close(outer_end);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&outer, 1, 0) != 0)
		_exit(STACK_EXIT_FAILURE);
	if (unshare(flags) < 0) {
		(void)stack_fail(-errno, "new namespaces");
		_exit(STACK_EXIT_FAILURE);
	}
	stack_first_run(stack);
}

static int
start_first(Stack *stack, Outer *outer)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return stack_fail(-errno, "socketpair");
	if (unshare(CLONE_NEWPID) < 0)
		return stack_fail(-errno, "new pid namespace");
	outer->inner = ends[0];
	stack->outer = ends[1];
	outer->first = fork();
	if (outer->first < 0)
		return stack_fail(-errno, "fork");
	if (outer->first == 0)
		become_first(stack, ends[0]);
	(void)close(ends[1]);
	return 0;
}

static void
tell_first(const Outer *outer, char message)
{
	/* It may be gone already: its exit is waited for elsewhere. */
	(void)send(outer->inner, &message, 1, MSG_NOSIGNAL);
}

static void
hear_first(Outer *outer)
{
	char message;

	if (recv(outer->inner, &message, 1, MSG_DONTWAIT) != 1)
		return;
	if (message == STACK_MSG_STARTED)
		outer->started = true;
	if (message != STACK_MSG_STOPPED)
		return;
	/* The caller's shell sees us stop, takes the terminal, and gives it back with SIGCONT. */
	(void)raise(SIGSTOP);
	tell_first(outer, tcgetpgrp(STDIN_FILENO) == getpgrp() ? STACK_MSG_FOREGROUND
							       : STACK_MSG_BACKGROUND);
}

/* The status to end with at once, or -1. */
static int
on_signal(const Outer *outer, const struct signalfd_siginfo *signal)
{
	int number = (int)signal->ssi_signo;
	bool is_key = signal->ssi_code == SI_KERNEL;

	if (number == SIGCHLD)
		return -1;
	if (number == SIGTERM || number == SIGHUP || !outer->started)
		return 128 + number;
	/* A key's signal went to the whole process group, and so to the command. */
	if (!is_key)
		tell_first(outer, number == SIGINT ? STACK_MSG_INTERRUPT : STACK_MSG_QUIT);
	return -1;
}

/* Everything in the pid namespace is gone when its first process can be waited for. */
static int
wait_first(Outer *outer, int options, int *ret_status)
{
	int status;
	pid_t pid = waitpid(outer->first, &status, options);

	if (pid != outer->first)
		return -EAGAIN;
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}

static int
loop(Outer *outer, int signals)
{
	struct pollfd fds[] = { { .fd = signals, .events = POLLIN },
				{ .fd = outer->inner, .events = POLLIN } };
	int status;

	for (;;) {
		struct signalfd_siginfo signal;

		if (poll(fds, BN_ELEMENTSOF(fds), -1) < 0 && errno != EINTR)
			return STACK_EXIT_FAILURE;
		if (fds[1].revents & POLLIN)
			hear_first(outer);
		if (fds[1].revents & POLLHUP)
			fds[1].fd = -1;
		if (fds[0].revents && read(signals, &signal, sizeof(signal)) == sizeof(signal)) {
			int end = on_signal(outer, &signal);

			if (end >= 0) {
				(void)kill(outer->first, SIGKILL);
				(void)wait_first(outer, 0, &status);
				return end;
			}
		}
		if (wait_first(outer, WNOHANG, &status) == 0)
			return status;
	}
}

static int
block_signals(void)
{
	static const int numbers[] = { SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT };
	sigset_t blocked;
	int fd;

	(void)sigemptyset(&blocked);
	for (size_t i = 0; i < BN_ELEMENTSOF(numbers); i++)
		(void)sigaddset(&blocked, numbers[i]);
	fd = signalfd(-1, &blocked, SFD_CLOEXEC);
	/* In the background we may still take the terminal back. */
	(void)sigaddset(&blocked, SIGTTOU);
	return sigprocmask(SIG_BLOCK, &blocked, NULL) < 0 ? -errno : fd;
}

int
main(int argc, char **argv)
{
	Stack stack = { .user = stack_users[0].name };
	Outer outer = {};
	int r = parse_options(argc, argv, &stack);
	int signals, status;

	if (r <= 0)
		return r < 0 ? STACK_EXIT_FAILURE : 0;
	if (geteuid() != 0) {
		(void)fputs("banger-stack: needs root: run it with sudo\n", stderr);
		return STACK_EXIT_FAILURE;
	}
	(void)umask(022);
	stack.term = getenv("TERM");
	stack.lang = getenv("LANG");
	if (!stack.lang)
		stack.lang = "C.UTF-8";
	read_resolv_conf(&stack);
	read_terminal(&stack, &outer);
	signals = block_signals();
	if (signals < 0 || start_first(&stack, &outer) < 0)
		return STACK_EXIT_FAILURE;
	status = loop(&outer, signals);
	if (stack.take_terminal)
		(void)tcsetpgrp(STDIN_FILENO, getpgrp());
	/* What was killed had no time to leave the terminal as it was. */
	if (outer.has_terminal && status >= STACK_EXIT_FAILURE)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &outer.terminal);
	return status;
}
