/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Talking to the first process of a jail, which has the VM's uid and is not trusted: every answer
 * is bounded, must have been sent by that uid (the kernel says so with each message), and must come
 * in time. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "helper/kernel/kernel-real.h"
#include "shared/base/errno-util.h"
#include "shared/base/fd-util.h"
#include "shared/base/str-util.h"

#define ANSWER_LIMIT_S 5
/* The VMM's exec, on a host that is busy; and the end of a VMM with much memory to give back. */
#define GO_LIMIT_S  20
#define END_LIMIT_S 20

void
jail_copy_text(const char *text, size_t size, KernelText *ret)
{
	_cleanup_free_ char *clean =
		bn_str_escape(text, strnlen(text, size), sizeof(ret->text) - 4);

	(void)snprintf(ret->text, sizeof(ret->text), "%s", clean ? clean : "");
}

void
jail_describe_error(const char *text, size_t size, int error, KernelText *ret)
{
	/* Room for the reason behind it: a step's name is short, a hostile one is cut. */
	_cleanup_free_ char *clean = bn_str_escape(text, strnlen(text, size), 120);
	/* What is no errno is not one of ours. */
	const char *reason = error < 0 && error > -4096 ? strerror(-error) : "no reason given";

	(void)snprintf(ret->text, sizeof(ret->text), "%s: %s", clean && clean[0] ? clean : "jail",
		       reason);
}

static int
set_limit(int sock, unsigned limit_s)
{
	struct timeval limit = { .tv_sec = limit_s };

	if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return bn_errno();
	return 0;
}

int
jail_prepare_socket(int sock, unsigned limit_s)
{
	int r = bn_fd_set_nonblock(sock, false);

	if (r >= 0)
		r = bn_fd_set_passcred(sock);
	return r < 0 ? r : set_limit(sock, limit_s);
}

int
jail_connect(const char *path, int *ret_sock)
{
	_cleanup_close_ int sock =
		socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int r;

	if (sock < 0)
		return bn_errno();
	if (bn_str_copy(address.sun_path, sizeof(address.sun_path), path) < 0)
		return -ENAMETOOLONG;
	/* Non-blocking: a jail that accepts nobody would hold us. */
	if (connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == ECONNREFUSED ? -ENOENT : bn_errno();
	r = jail_prepare_socket(sock, ANSWER_LIMIT_S);
	if (r < 0)
		return r;
	*ret_sock = BN_TAKE_FD(sock);
	return 0;
}

static bool
is_stream_socket(int fd)
{
	int domain = 0, type = 0;
	socklen_t size = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 || domain != AF_UNIX)
		return false;
	size = sizeof(type);
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) >= 0 && type == SOCK_STREAM;
}

static int
check_sockets(const int *fds, size_t n, size_t wanted)
{
	if (n != wanted)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++)
		if (!is_stream_socket(fds[i]))
			return -EBADMSG;
	return 0;
}

/* One command, one answer, from the right sender. The descriptors are the caller's to close.
 * -ENOENT where the other side is gone, -ETIMEDOUT where it does not answer. */
static int
exchange(const KernelJail *jail, BnJailCommandVerb verb, int signo, BnJailAnswer *ret,
	 int ret_fds[static BN_FD_MESSAGE_MAX], size_t *ret_n_fds, struct ucred *ret_sender)
{
	BnJailCommand request = { .magic = BN_JAIL_WIRE_MAGIC, .verb = verb, .signo = signo };
	ssize_t size;
	int r;

	r = bn_fd_send(jail->control, &request, sizeof(request), NULL, 0);
	if (r < 0)
		return r == -EPIPE || r == -ECONNRESET ? -ENOENT : r == -EAGAIN ? -ETIMEDOUT : r;
	size = bn_fd_receive_from(jail->control, ret, sizeof(*ret), ret_fds, BN_FD_MESSAGE_MAX,
				  ret_n_fds, ret_sender);
	if (size == 0 || size == -ECONNRESET)
		return -ENOENT;
	if (size < 0)
		return size == -EAGAIN ? -ETIMEDOUT : (int)size;
	if (size == sizeof(*ret) && ret_sender->uid == jail->jail_uid)
		return 0;
	bn_fd_close_many(ret_fds, *ret_n_fds);
	return -EBADMSG;
}

/* A command that the jail carries out: `n_fds` descriptors must come with its success. A failure of
 * the jail's own is in *ret_error, beside the -EREMOTEIO that this returns. */
static int
command(const KernelJail *jail, BnJailCommandVerb verb, int signo, int *ret_fds, size_t n_fds,
	int *ret_error, KernelText *reterr)
{
	int fds[BN_FD_MESSAGE_MAX], r;
	struct ucred sender = {};
	BnJailAnswer answer;
	size_t n = 0;

	r = exchange(jail, verb, signo, &answer, fds, &n, &sender);
	if (r < 0)
		return r;
	if (answer.error == 0) {
		r = check_sockets(fds, n, n_fds);
	} else {
		*ret_error = answer.error;
		jail_describe_error(answer.text, sizeof(answer.text), answer.error, reterr);
		r = -EREMOTEIO;
	}
	if (r < 0)
		bn_fd_close_many(fds, n);
	else if (n > 0)
		memcpy(ret_fds, fds, n * sizeof(int));
	return r;
}

int
jail_go(void *ctx, const KernelJail *jail, int ret_fds[static _BN_JAIL_OUT_MAX], KernelText *reterr)
{
	int r = set_limit(jail->control, GO_LIMIT_S), error = 0;

	if (r >= 0)
		r = command(jail, BN_JAIL_GO, 0, ret_fds, _BN_JAIL_OUT_MAX, &error, reterr);
	/* What execve() and the checks before it say of a program that cannot be had. */
	if (r == -EREMOTEIO && (error == -ENOENT || error == -ENOEXEC || error == -EACCES))
		return -ENOEXEC;
	return r == -ENOENT ? -ECONNRESET : r;
}

int
jail_find(void *ctx, const char *key, uid_t jail_uid, KernelJail *ret)
{
	const KernelRealSetup *setup = ctx;
	char path[PATH_MAX];
	int sock = -1, r;

	(void)snprintf(path, sizeof(path), "%s/%s", setup->jail_dir, key);
	r = jail_connect(path, &sock);
	if (r < 0)
		return r;
	*ret = (KernelJail){ .control = sock, .process = -1, .jail_uid = jail_uid };
	return 0;
}

int
jail_open(void *ctx, const KernelJail *jail, int ret_fds[static _BN_JAIL_OUT_MAX],
	  KernelText *reterr)
{
	int error = 0;

	return command(jail, BN_JAIL_OPEN, 0, ret_fds, _BN_JAIL_OUT_MAX, &error, reterr);
}

/* A sign of life: no VMM takes signal 0. Whatever is answered, the kernel tells by whom. */
static int
ask_who(const KernelJail *jail, struct ucred *ret)
{
	int fds[BN_FD_MESSAGE_MAX], r;
	BnJailAnswer ignored;
	size_t n = 0;

	r = exchange(jail, BN_JAIL_SIGNAL, 0, &ignored, fds, &n, ret);
	if (r >= 0)
		bn_fd_close_many(fds, n);
	return r;
}

int
jail_process(void *ctx, const KernelJail *jail, int *ret_pidfd)
{
	struct ucred before = { .pid = -1 }, after = { .pid = -1 };
	_cleanup_close_ int pidfd = -1;
	int r;

	r = ask_who(jail, &before);
	if (r < 0)
		return r;
	if (before.pid <= 0)
		return -ESRCH;
	pidfd = pidfd_open(before.pid, 0);
	if (pidfd < 0)
		return errno == ESRCH ? -ENOENT : bn_errno();
	/* The number might have changed hands before pidfd_open(); who answers after it lived all
	 * along. */
	r = ask_who(jail, &after);
	if (r < 0)
		return r;
	if (after.pid != before.pid)
		return -EBADMSG;
	*ret_pidfd = BN_TAKE_FD(pidfd);
	return 0;
}

int
jail_signal(void *ctx, const KernelJail *jail, int signo, KernelText *reterr)
{
	int error = 0, r = command(jail, BN_JAIL_SIGNAL, signo, NULL, 0, &error, reterr);

	/* The VMM ended, its jail is about to. */
	return r == -EREMOTEIO && (error == -ESRCH || error == -ENOTCONN) ? -ENOENT : r;
}

/* In the child of a threaded process: system calls only, and never libc's setresuid(), which
 * wants to reach the other threads. */
static _noreturn_ void
kill_all_of(uid_t uid)
{
	if (syscall(SYS_setresuid, uid, uid, uid) < 0 || syscall(SYS_geteuid) != (long)uid)
		_exit(1);
	/* Everything this uid may signal is everything of this uid: it has no capability. */
	_exit(kill(-1, SIGKILL) < 0 && errno != ESRCH ? 2 : 0);
}

/* No pid is asked of anybody: the uid is this jail's alone, so whatever has it belongs to the
 * jail. */
static int
sweep_uid(uid_t uid)
{
	int status = 0;
	pid_t child;

	if (uid < BN_JAIL_UID_FIRST || uid > BN_JAIL_UID_LAST)
		return -EINVAL;
	child = fork();
	if (child < 0)
		return bn_errno();
	if (child == 0)
		kill_all_of(uid);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return bn_errno();
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* Nobody holds the other end any more. */
static int
wait_gone(int sock, unsigned limit_s)
{
	struct pollfd p = { .fd = sock };
	int r;

	do
		r = poll(&p, 1, (int)limit_s * 1000);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return bn_errno();
	return r == 0 ? -ETIMEDOUT : 0;
}

int
jail_end(void *ctx, const char *key, uid_t jail_uid)
{
	_cleanup_(kernel_jail_donep) KernelJail jail = KERNEL_JAIL_INIT;
	int error = 0, r;
	KernelText ignored;

	r = jail_find(ctx, key, jail_uid, &jail);
	if (r >= 0) {
		/* Asked first, it reaps the VMM and writes down how that ended. Its answer proves
		 * nothing. */
		r = set_limit(jail.control, END_LIMIT_S);
		if (r >= 0)
			r = command(&jail, BN_JAIL_END, 0, NULL, 0, &error, &ignored);
		if (r >= 0 || r == -ENOENT)
			(void)wait_gone(jail.control, ANSWER_LIMIT_S);
	}
	r = sweep_uid(jail_uid);
	if (r < 0 || jail.control < 0)
		return r;
	return wait_gone(jail.control, END_LIMIT_S);
}
