/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Talking to banger-jail's launcher, and starting it where systemd does not: the same socket, the
 * same protocol of socket activation, the same program. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "helper/kernel/kernel-real.h"
#include "shared/base/errno-util.h"
#include "shared/base/fd-util.h"
#include "shared/base/str-util.h"

#define LAUNCHER_LIMIT_S 20
#define LISTEN_FD        3

/* "LISTEN_PID=<pid>": after fork() only the plainest code may run. */
static void
print_pid(char *text, pid_t pid)
{
	char digits[12];
	int n = 0;

	for (; pid > 0; pid /= 10)
		digits[n++] = (char)('0' + pid % 10);
	text += strlen(text);
	while (n > 0)
		*text++ = digits[--n];
	*text = '\0';
}

static _noreturn_ void
exec_launcher(const char *program, int listener, int null)
{
	char listen_pid[32] = "LISTEN_PID=";
	char *const args[] = { (char *)program, NULL };
	char *const environment[] = { (char *)"LISTEN_FDS=1", listen_pid, NULL };

	/* Neither our session's end nor our own may end it. */
	(void)setsid();
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0)
		_exit(1);
	/* dup2() onto itself would leave close-on-exec set. */
	if (listener == LISTEN_FD ? fcntl(listener, F_SETFD, 0) < 0 : dup2(listener, LISTEN_FD) < 0)
		_exit(1);
	if (close_range(LISTEN_FD + 1, ~0U, 0) < 0)
		_exit(1);
	print_pid(listen_pid, getpid());
	execve(program, args, environment);
	_exit(1);
}

/* Forks twice, so that the launcher is nobody's child whom we would have to reap. The pid in
 * LISTEN_PID is that of the process that executes. */
static int
spawn_launcher(const char *program, int listener)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int status = 0;
	pid_t child;

	if (null < 0)
		return bn_errno();
	if (access(program, X_OK) < 0)
		return bn_errno();
	child = fork();
	if (child < 0)
		return bn_errno();
	if (child == 0) {
		pid_t grandchild = fork();

		if (grandchild == 0)
			exec_launcher(program, listener, null);
		_exit(grandchild < 0);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return bn_errno();
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EAGAIN;
}

static int
listen_at(const char *path)
{
	_cleanup_close_ int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (sock < 0)
		return bn_errno();
	if (bn_str_copy(address.sun_path, sizeof(address.sun_path), path) < 0)
		return -ENAMETOOLONG;
	/* Nobody listens at what is there: the caller tried, and holds the directory's lock. */
	if (unlink(path) < 0 && errno != ENOENT)
		return bn_errno();
	/* umask 077: private from the moment it exists. */
	if (bind(sock, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(sock, 128) < 0)
		return bn_errno();
	return BN_TAKE_FD(sock);
}

static int
open_jail_dir(const char *path)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return bn_errno();
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return bn_errno();
	if (st.st_uid != geteuid() || (st.st_mode & 022) != 0)
		return -EPERM;
	return BN_TAKE_FD(fd);
}

static int
start_launcher(const KernelRealSetup *setup, const char *path, int *ret_sock)
{
	_cleanup_close_ int dir = open_jail_dir(setup->jail_dir), listener = -1;
	int r;

	if (dir < 0)
		return dir;
	/* One of us starts it; who waited here finds it started. */
	if (flock(dir, LOCK_EX) < 0)
		return bn_errno();
	r = jail_connect(path, ret_sock);
	if (r != -ENOENT)
		return r;
	listener = listen_at(path);
	if (listener < 0)
		return listener;
	/* A connection made now waits in the queue until the launcher takes it. */
	r = jail_connect(path, ret_sock);
	if (r < 0)
		return r;
	r = spawn_launcher(setup->jail_program, listener);
	if (r < 0) {
		(void)unlink(path);
		bn_closep(ret_sock);
	}
	return r;
}

int
launcher_connect(const KernelRealSetup *setup, int *ret_sock)
{
	char path[PATH_MAX];
	int sock = -1, r;

	(void)snprintf(path, sizeof(path), "%s/" BN_JAIL_SOCKET, setup->jail_dir);
	r = jail_connect(path, &sock);
	if (r == -ENOENT && !setup->scope_start)
		r = start_launcher(setup, path, &sock);
	if (r >= 0)
		r = jail_prepare_socket(sock, LAUNCHER_LIMIT_S);
	if (r < 0) {
		bn_closep(&sock);
		return r;
	}
	*ret_sock = sock;
	return 0;
}

/* One request, one reply; `n_fds` descriptors with a success. */
static int
ask(const KernelRealSetup *setup, const BnJailRequest *request, const int *fds, size_t n_fds,
    BnJailReply *ret, int *ret_fds, size_t n_ret_fds)
{
	_cleanup_close_ int sock = -1;
	struct ucred sender = {};
	size_t n = 0;
	ssize_t size;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = launcher_connect(setup, &sock);
	if (r >= 0)
		r = bn_fd_send(sock, request, sizeof(*request), fds, n_fds);
	if (r < 0)
		return r;
	size = bn_fd_receive_from(sock, ret, sizeof(*ret), ret_fds, n_ret_fds, &n, &sender);
	if (size < 0)
		return size == -EAGAIN ? -ETIMEDOUT : (int)size;
	if (size == 0)
		r = -ECONNRESET;
	else if (size != sizeof(*ret) || sender.uid != geteuid() || ret->error > 0)
		r = -EBADMSG;
	else if (ret->error == 0 && n != n_ret_fds)
		r = -EBADMSG;
	if (r < 0 || ret->error < 0)
		bn_fd_close_many(ret_fds, n);
	ret->text[sizeof(ret->text) - 1] = '\0';
	return r;
}

int
launcher_probe(void *ctx, uid_t jail_uid, KernelVerdict *ret)
{
	BnJailRequest request = { .magic = BN_JAIL_WIRE_MAGIC,
				  .verb = BN_JAIL_PROBE,
				  .jail_uid = jail_uid };
	BnJailReply reply = {};
	int r = ask(ctx, &request, NULL, 0, &reply, NULL, 0);

	if (r < 0 || reply.error < 0)
		return r < 0 ? r : reply.error;
	*ret = (KernelVerdict){ .usable = reply.usable == 1, .proven = reply.proven == 1 };
	jail_copy_text(reply.text, sizeof(reply.text), &ret->reason);
	return 0;
}

int
launcher_launch(void *ctx, const KernelLaunch *launch, KernelJail *ret, KernelText *reterr)
{
	BnJailRequest request = { .magic = BN_JAIL_WIRE_MAGIC,
				  .verb = BN_JAIL_LAUNCH,
				  .jail_uid = launch->jail_uid,
				  .spec = *launch->spec };
	int fds[2] = { -1, -1 }, r;
	BnJailReply reply = {};

	(void)snprintf(request.key, sizeof(request.key), "%s", launch->key);
	r = ask(ctx, &request, launch->fds, launch->n_fds, &reply, fds, BN_ELEMENTSOF(fds));
	if (r >= 0 && reply.error < 0) {
		jail_describe_error(reply.text, sizeof(reply.text), reply.error, reterr);
		/* The step that looks for the VMM's program and at who may write it. */
		return strcmp(reply.text, "check programs") == 0 ? -ENOEXEC : reply.error;
	}
	if (r >= 0)
		r = jail_prepare_socket(fds[1], LAUNCHER_LIMIT_S);
	if (r < 0) {
		bn_fd_close_many(fds, BN_ELEMENTSOF(fds));
		return r;
	}
	*ret = (KernelJail){ .process = fds[0], .control = fds[1], .jail_uid = launch->jail_uid };
	return 0;
}
