/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "jail/vmm.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/filter.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"
#include "shared/base/macro.h"
#include "shared/base/signal-util.h"
#include "shared/rules/vmm-argv.h"

/* Above every number that the VMM is started with. */
#define FD_ASIDE 64
static_assert(FD_ASIDE > _BN_VMM_FD_MAX, "descriptors put aside must not be overwritten");

typedef struct Failure {
	int error;
	char step[32];
} Failure;

int
vmm_listen(Vmm *vmm)
{
	for (size_t i = 0; i < _BN_JAIL_OUT_MAX; i++) {
		VmmSocket *s = &vmm->sockets[i];

		s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (s->fd < 0)
			return bn_errno();
		s->address = (struct sockaddr_un){ .sun_family = AF_UNIX };
		/* Only a family: the kernel picks a free abstract name (unix(7), autobind). */
		if (bind(s->fd, (struct sockaddr *)&s->address, sizeof(sa_family_t)) < 0)
			return bn_errno();
		s->size = sizeof(s->address);
		if (getsockname(s->fd, (struct sockaddr *)&s->address, &s->size) < 0 ||
		    listen(s->fd, 4) < 0)
			return bn_errno();
	}
	return 0;
}

int
vmm_connect(const Vmm *vmm, unsigned which)
{
	const VmmSocket *s = &vmm->sockets[which];
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return bn_errno();
	if (connect(fd, (const struct sockaddr *)&s->address, s->size) < 0)
		return bn_errno();
	r = bn_fd_set_nonblock(fd, false);
	return r < 0 ? r : BN_TAKE_FD(fd);
}

/* Puts what the VMM gets at its numbers. All are put aside first: a number may be another's
 * source. */
static int
place_descriptors(const Vmm *vmm, const Jail *jail, int output)
{
	int sources[_BN_VMM_FD_MAX] = {
		[STDIN_FILENO] = STDIN_FILENO,
		[STDOUT_FILENO] = output,
		[STDERR_FILENO] = output,
		[BN_VMM_FD_KERNEL] = jail->fds[BN_JAIL_FD_KERNEL],
		[BN_VMM_FD_INITRAMFS] = jail->fds[BN_JAIL_FD_INITRAMFS],
		[BN_VMM_FD_AGENT] = vmm->sockets[BN_JAIL_OUT_AGENT].fd,
		[BN_VMM_FD_CONTROL] = vmm->sockets[BN_JAIL_OUT_CONTROL].fd,
		[BN_VMM_FD_CONSOLE] = vmm->sockets[BN_JAIL_OUT_CONSOLE].fd,
	};
	/* Disks, and the tap behind them: in the order in which they came. */
	unsigned n = BN_VMM_FD_DISK + (unsigned)jail->n_fds - BN_JAIL_FD_DISK;

	for (unsigned i = BN_VMM_FD_DISK; i < n; i++)
		sources[i] = jail->fds[BN_JAIL_FD_DISK + i - BN_VMM_FD_DISK];
	for (unsigned i = 0; i < n; i++) {
		sources[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, FD_ASIDE);
		if (sources[i] < 0)
			return bn_errno();
	}
	for (unsigned i = 0; i < n; i++)
		if (dup2(sources[i], (int)i) < 0)
			return bn_errno();
	return bn_ret_errno(close_range(n, UINT_MAX, CLOSE_RANGE_CLOEXEC));
}

/* A raw image never grows. Without this bound a VMM that has been taken over could fill the host's
 * filesystem through the one file that it may write. */
static int
limit_files(const Jail *jail)
{
	const BnVmmSpec *spec = &jail->request.spec;
	struct rlimit limit = {};
	struct stat st;

	for (size_t i = 0; i < spec->n_disks; i++) {
		if (spec->disk_read_only[i])
			continue;
		if (fstat(jail->fds[BN_JAIL_FD_DISK + i], &st) < 0)
			return bn_errno();
		limit.rlim_cur = limit.rlim_max = BN_MAX(limit.rlim_max, (rlim_t)st.st_size);
	}
	return bn_ret_errno(setrlimit(RLIMIT_FSIZE, &limit));
}

/* In the child: comes back only with a failure. */
static int
execute(const Vmm *vmm, const Jail *jail, int output, const char **reterr_step)
{
	static char path[] = "PATH=/usr/bin";
	static char *const environment[] = { path, NULL };
	static BnVmmArgv argv;
	const BnVmmSpec *spec = &jail->request.spec;
	int r;

	*reterr_step = "make arguments";
	r = bn_vmm_argv_make(spec, &argv);
	if (r < 0)
		return r;
	*reterr_step = "limit files";
	r = limit_files(jail);
	if (r < 0)
		return r;
	*reterr_step = "place descriptors";
	r = place_descriptors(vmm, jail, output);
	if (r < 0)
		return r;
	*reterr_step = "reset signals";
	r = bn_signal_reset();
	if (r < 0)
		return r;
	*reterr_step = "install filter";
	r = filter_install_vmm(spec->kind, spec->kvm, spec->network);
	if (r < 0)
		return r;
	*reterr_step = "execute";
	(void)execve(argv.args[0], argv.args, environment);
	return bn_errno();
}

int
vmm_start(Vmm *vmm, const Jail *jail, int output, char reterr_step[static 32])
{
	_cleanup_close_ int theirs = -1, ours = -1;
	Failure failure = {};
	int ends[2];
	pid_t pid;

	(void)snprintf(reterr_step, 32, "fork");
	if (pipe2(ends, O_CLOEXEC) < 0)
		return bn_errno();
	ours = ends[0];
	/* Out of the way of the numbers that the child fills; exec closes it, which is the good
	 * news. */
	theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, FD_ASIDE);
	bn_closep(&ends[1]);
	pid = theirs < 0 ? -1 : fork();
	if (pid < 0)
		return bn_errno();
	if (pid == 0) {
		const char *step = NULL;

		failure.error = execute(vmm, jail, output, &step);
		(void)snprintf(failure.step, sizeof(failure.step), "%s", step);
		(void)bn_io_write_all(theirs, &failure, sizeof(failure));
		_exit(127);
	}
	bn_closep(&theirs);
	for (size_t i = 0; i < _BN_JAIL_OUT_MAX; i++)
		bn_closep(&vmm->sockets[i].fd);
	if (bn_io_read_all(ours, &failure, sizeof(failure)) != 0) {
		(void)waitpid(pid, NULL, 0);
		(void)snprintf(reterr_step, 32, "%s", failure.step);
		return failure.error < 0 ? failure.error : -EIO;
	}
	vmm->pid = pid;
	return 0;
}
