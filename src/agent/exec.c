/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "agent/user.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/fd-util.h"
#include "shared/base/macro.h"
#include "shared/base/signal-util.h"

AgentExec *
agent_exec_new(uint16_t stream)
{
	AgentExec *exec = calloc(1, sizeof(*exec));

	if (!exec)
		return NULL;
	exec->stream = stream;
	for (size_t i = 0; i < _BN_CHANNEL_MAX; i++) {
		exec->fds[i] = -1;
		exec->credit[i] = BN_FRAME_WINDOW;
	}
	return exec;
}

void
agent_exec_free(AgentExec *exec)
{
	if (!exec)
		return;
	bn_fd_close_many(exec->fds, BN_ELEMENTSOF(exec->fds));
	free(exec->description);
	free(exec->input);
	free(exec);
}

/* What the child gets as 0, 1 and 2, and what we keep. */
typedef struct Ends {
	int child[3];
	int ours[3];
} Ends;

static void
ends_done(Ends *ends)
{
	bn_fd_close_many(ends->child, 3);
	bn_fd_close_many(ends->ours, 3);
}

static int
make_pipes(Ends *ends)
{
	for (size_t i = 0; i < 3; i++) {
		int fds[2];
		size_t ours = i == BN_CHANNEL_IN ? 1 : 0;

		if (pipe2(fds, O_CLOEXEC) < 0)
			return bn_errno();
		ends->ours[i] = fds[ours];
		ends->child[i] = fds[1 - ours];
	}
	return 0;
}

static int
make_terminal(Ends *ends, const BnExecRequest *request)
{
	struct winsize size = { .ws_row = request->rows, .ws_col = request->columns };
	int master, slave;

	if (openpty(&master, &slave, NULL, NULL, &size) < 0)
		return bn_errno();
	ends->ours[BN_CHANNEL_OUT] = master;
	ends->child[0] = slave;
	if (fcntl(master, F_SETFD, FD_CLOEXEC) < 0 || fcntl(slave, F_SETFD, FD_CLOEXEC) < 0)
		return bn_errno();
	ends->ours[BN_CHANNEL_IN] = bn_fd_dup(master);
	ends->child[1] = bn_fd_dup(slave);
	ends->child[2] = bn_fd_dup(slave);
	return ends->ours[BN_CHANNEL_IN] < 0 || ends->child[1] < 0 || ends->child[2] < 0 ? -EMFILE
											 : 0;
}

static bool
is_same_variable(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n) == 0 && (b[n] == '=' || b[n] == '\0');
}

static bool
is_among(const char *variable, char *const *list)
{
	for (; list && *list; list++)
		if (is_same_variable(variable, *list))
			return true;
	return false;
}

static void
free_environment(char ***env)
{
	for (char **p = *env; p && *p; p++)
		free(*p);
	free(*env);
}

/* The variables a login gives, and the caller's, which win; each name once, because of two some programs take the
 * first and others the last. NULL where memory runs out. */
static char **
make_environment(const AgentUser *user, char *const *extra)
{
	const char *const login[][2] = {
		{ "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
		{ "HOME", user->home },
		{ "USER", user->name },
		{ "LOGNAME", user->name },
		{ "SHELL", user->shell },
	};
	_cleanup_(free_environment) char **env = NULL;
	size_t n = 0, used = 0;

	while (extra && extra[n])
		n++;
	env = calloc(n + BN_ELEMENTSOF(login) + 1, sizeof(*env));
	if (!env)
		return NULL;
	for (size_t i = 0; i < BN_ELEMENTSOF(login); i++) {
		if (is_among(login[i][0], extra))
			continue;
		if (asprintf(&env[used], "%s=%s", login[i][0], login[i][1]) < 0) {
			env[used] = NULL;
			return NULL;
		}
		used++;
	}
	for (size_t i = 0; i < n; i++) {
		if (is_among(extra[i], extra + i + 1))
			continue;
		env[used] = strdup(extra[i]);
		if (!env[used++])
			return NULL;
	}
	return BN_TAKE_PTR(env);
}

static _noreturn_ void
child_fail(int status, const char *what, int error)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "banger: %s: %s\n", what, strerror(error));

	if (n > 0)
		(void)!write(STDERR_FILENO, text, BN_MIN((size_t)n, sizeof(text) - 1));
	_exit(status);
}

static void
child_become(const AgentUser *user)
{
	if (setgroups(user->n_groups, user->groups) < 0 || setgid(user->gid) < 0 ||
	    setuid(user->uid) < 0)
		child_fail(126, user->name, errno);
}

/* Runs between fork and exec, in a program with one thread. */
static _noreturn_ void
child_run(const BnExecRequest *request, const AgentUser *user, const Ends *ends, char *const *env)
{
	char login[sizeof(user->shell) + 1];
	char *shell_argv[] = { login, NULL };
	const char *name = strrchr(user->shell, '/');
	int error;

	/* A session of its own: one group to signal, and a terminal to be master of. */
	(void)setsid();
	if (request->tty)
		(void)ioctl(ends->child[0], TIOCSCTTY, 0);
	for (int i = 0; i < 3; i++)
		if (dup2(ends->child[i], i) < 0)
			_exit(126);
	(void)bn_signal_reset();
	(void)umask(0022);
	child_become(user);
	if (*request->workdir ? chdir(request->workdir) < 0
			      : chdir(user->home) < 0 && chdir("/") < 0)
		child_fail(126, request->workdir, errno);
	environ = (char **)env;
	if (request->argv[0]) {
		(void)execvp(request->argv[0], request->argv);
		error = errno;
		child_fail(error == ENOENT ? 127 : 126, request->argv[0], error);
	}
	(void)snprintf(login, sizeof(login), "-%s", name ? name + 1 : user->shell);
	(void)execv(user->shell, shell_argv);
	child_fail(errno == ENOENT ? 127 : 126, user->shell, errno);
}

static int
spawn(AgentExec *exec, const BnExecRequest *request, const AgentUser *user, Ends *ends)
{
	_cleanup_(free_environment) char **env = make_environment(user, request->environment);
	pid_t pid;

	if (!env)
		return -ENOMEM;
	pid = fork();
	if (pid == 0)
		child_run(request, user, ends, env);
	if (pid < 0)
		return bn_errno();
	exec->pid = pid;
	return 0;
}

int
agent_exec_start(AgentExec *exec, const BnExecRequest *request, char reterr[static 256])
{
	_cleanup_(ends_done) Ends ends = { .child = { -1, -1, -1 }, .ours = { -1, -1, -1 } };
	AgentUser user;
	int r;

	if (agent_user_find(request->user, &user) < 0) {
		(void)snprintf(reterr, 256, "there is no user '%s' in the guest", request->user);
		return -ESRCH;
	}
	exec->input = malloc(BN_FRAME_WINDOW);
	r = !exec->input   ? -ENOMEM
	    : request->tty ? make_terminal(&ends, request)
			   : make_pipes(&ends);
	for (size_t i = 0; r >= 0 && i < 3; i++)
		if (ends.ours[i] >= 0)
			r = bn_fd_set_nonblock(ends.ours[i], true);
	exec->tty = request->tty;
	if (r >= 0)
		r = spawn(exec, request, &user, &ends);
	if (r < 0) {
		(void)snprintf(reterr, 256, "the command cannot be started: %s", strerror(-r));
		return r;
	}
	for (size_t i = 0; i < 3; i++)
		exec->fds[i] = BN_TAKE_FD(ends.ours[i]);
	return 0;
}

bool
agent_exec_take_input(AgentExec *exec, const uint8_t *data, size_t size)
{
	if (!exec->input || exec->input_ended)
		return exec->input != NULL;
	if (size > BN_FRAME_WINDOW - exec->input_size)
		return false;
	/* It begins at the front again as often as it is empty, so it is rarely moved. */
	if (exec->input_start + exec->input_size + size > BN_FRAME_WINDOW) {
		memmove(exec->input, exec->input + exec->input_start, exec->input_size);
		exec->input_start = 0;
	}
	memcpy(exec->input + exec->input_start + exec->input_size, data, size);
	exec->input_size += size;
	return true;
}

void
agent_exec_flush_input(AgentExec *exec)
{
	int *fd = &exec->fds[BN_CHANNEL_IN];

	while (exec->input_size > 0) {
		/* Where it does not want any more, the rest is taken as read. */
		ssize_t n = *fd < 0 ? (ssize_t)exec->input_size
				    : write(*fd, exec->input + exec->input_start, exec->input_size);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && errno != EINTR)
			bn_closep(fd);
		if (n < 0)
			continue;
		exec->input_start += (size_t)n;
		exec->input_size -= (size_t)n;
		exec->input_taken += (uint32_t)n;
	}
	exec->input_start = 0;
	if (exec->input_ended && *fd >= 0) {
		/* A terminal has no end; the character for it does what a person's Ctrl-D does. */
		if (exec->tty)
			(void)!write(*fd, "\004", 1);
		bn_closep(fd);
	}
}

void
agent_exec_signal(AgentExec *exec, int signal_number)
{
	pid_t foreground;

	if (exec->pid <= 0)
		return;
	/* On a terminal it is the foreground job that is meant. */
	if (exec->tty && ioctl(exec->fds[BN_CHANNEL_OUT], TIOCGPGRP, &foreground) == 0 &&
	    foreground > 1 && foreground != exec->pid)
		(void)kill(-foreground, signal_number);
	(void)kill(-exec->pid, signal_number);
}

void
agent_exec_resize(AgentExec *exec, uint16_t rows, uint16_t columns)
{
	struct winsize size = { .ws_row = rows, .ws_col = columns };

	if (exec->tty && exec->fds[BN_CHANNEL_OUT] >= 0)
		(void)ioctl(exec->fds[BN_CHANNEL_OUT], TIOCSWINSZ, &size);
}
