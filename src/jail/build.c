/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "jail/build.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/confine.h"
#include "jail/enter.h"
#include "jail/probe.h"
#include "jail/rundir.h"
#include "jail/warden.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"
#include "shared/base/macro.h"

/* Construction takes milliseconds and waits for nobody; only a kernel that hangs comes here. */
#define PATIENCE_MS 10000

/* Users' VMs go before the host's own services when memory runs out. */
static int
raise_oom_score(const Jail *jail)
{
	_cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return bn_errno();
	return bn_io_write_all(fd, "300", 3);
}

static _noreturn_ void
run_first_process(const Jail *jail)
{
	static const Step last[] = { { "take signals", warden_prepare } };
	BnJailReply reply = {};
	const char *step = "";

	reply.error = enter_jail(jail, &step);
	if (reply.error >= 0)
		reply.error = confine_process(jail, &step);
	if (reply.error >= 0 && !jail_is_probe(jail))
		reply.error = jail_run_steps(jail, last, BN_ELEMENTSOF(last), &step);
	(void)snprintf(reply.text, sizeof(reply.text), "%s", reply.error < 0 ? step : "");
	if (reply.error >= 0 && jail_is_probe(jail))
		probe_kvm(&reply);
	/* A builder that is gone has nobody to give the jail to. */
	if (bn_io_write_all(jail->status, &reply, sizeof(reply)) >= 0 && reply.error >= 0 &&
	    !jail_is_probe(jail)) {
		(void)close(jail->status);
		warden_run();
	}
	_exit(0);
}

/* Like fork(), into namespaces of its own. */
static pid_t
clone_first_process(int *ret_pidfd)
{
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET |
			 CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* What the first process says before it goes on, or goes: the whole reply, or nothing. */
static int
read_status(int fd, BnJailReply *ret)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	int r;

	do
		r = poll(&wait, 1, PATIENCE_MS);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r < 0 ? bn_errno() : -ETIMEDOUT;
	return bn_io_read_all(fd, ret, sizeof(*ret)) == sizeof(*ret) ? 0 : -EIO;
}

static int
run_jail(Jail *jail, BnJailReply *ret_reply, int *ret_pidfd)
{
	_cleanup_close_ int status = -1;
	int ends[2], pidfd = -1, r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return bn_errno();
	status = ends[0];
	jail->status = ends[1];
	pid = clone_first_process(&pidfd);
	if (pid == 0)
		run_first_process(jail);
	r = bn_ret_errno(pid);
	bn_closep(&jail->status);
	if (r < 0)
		return r;
	r = read_status(status, ret_reply);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	if (r < 0 || ret_reply->error < 0 || jail_is_probe(jail)) {
		/* Nobody else may be told while a trace of it is left. */
		(void)waitpid(pid, NULL, 0);
		(void)close(pidfd);
		return r;
	}
	*ret_pidfd = pidfd;
	return 0;
}

void
build_jail(Jail *jail, BnJailReply *ret_reply, int ret_fds[static _BN_JAIL_REPLY_MAX])
{
	static const Step score[] = { { "raise oom score", raise_oom_score } };
	const char *step = "";
	int r;

	memset(ret_reply, 0, sizeof(*ret_reply));
	memset(ret_fds, -1, sizeof(int) * _BN_JAIL_REPLY_MAX);
	r = jail_run_steps(jail, score, BN_ELEMENTSOF(score), &step);
	if (r >= 0 && !jail_is_probe(jail))
		r = rundir_make(jail, &ret_fds[BN_JAIL_REPLY_CONTROL], &step);
	if (r >= 0) {
		step = "clone";
		r = run_jail(jail, ret_reply, &ret_fds[BN_JAIL_REPLY_PIDFD]);
	}
	if (r < 0) {
		ret_reply->error = r;
		(void)snprintf(ret_reply->text, sizeof(ret_reply->text), "%s", step);
	}
	if (ret_reply->error < 0)
		build_undo(jail, ret_fds);
}

void
build_undo(const Jail *jail, int fds[static _BN_JAIL_REPLY_MAX])
{
	if (fds[BN_JAIL_REPLY_PIDFD] >= 0) {
		(void)syscall(SYS_pidfd_send_signal, fds[BN_JAIL_REPLY_PIDFD], SIGKILL, NULL, 0);
		(void)waitid(P_PIDFD, (id_t)fds[BN_JAIL_REPLY_PIDFD], NULL, WEXITED);
	}
	bn_fd_close_many(fds, _BN_JAIL_REPLY_MAX);
	if (!jail_is_probe(jail))
		rundir_undo(jail);
}
