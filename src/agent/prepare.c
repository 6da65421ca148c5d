/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process beside the first one: it mounts the root, then stays in the initramfs for the modules that can wait,
 * which are out of reach once the root is entered. */
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/boot.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/log.h"

/* One message: how it went. */
typedef struct Report {
	int error;
	char what[64];
} Report;

static void
raise_loopback(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		bn_log_warning("banger: the loopback interface stays down: %s", strerror(errno));
}

static void
prepare(const AgentBoot *boot, Report *report)
{
	const char *what = "the kernel's filesystems";

	agent_modules_load("root");
	raise_loopback();
	report->error = agent_boot_mount_others();
	if (report->error >= 0)
		report->error = agent_root_mount(boot, &what);
	(void)snprintf(report->what, sizeof(report->what), "%s", what);
}

static _noreturn_ void
run(const AgentBoot *boot, int fd)
{
	Report report = {};
	char byte;

	prepare(boot, &report);
	if (send(fd, &report, sizeof(report), MSG_NOSIGNAL) == sizeof(report) &&
	    recv(fd, &byte, 1, 0) == 1) {
		/* Whoever runs a command now comes first. */
		(void)setpriority(PRIO_PROCESS, 0, 19);
		agent_modules_load("later");
	}
	_exit(0);
}

int
agent_prepare_start(const AgentBoot *boot)
{
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return bn_errno();
	pid = fork();
	if (pid < 0)
		return bn_errno();
	if (pid == 0) {
		(void)close(fds[0]);
		run(boot, fds[1]);
	}
	(void)close(fds[1]);
	return fds[0];
}

int
agent_prepare_finish(int fd, const char **reterr_what)
{
	static Report report;

	if (recv(fd, &report, sizeof(report), 0) != sizeof(report)) {
		*reterr_what = "preparing the root";
		return -EPIPE;
	}
	*reterr_what = report.what;
	return report.error;
}

void
agent_prepare_rest(int fd)
{
	(void)send(fd, "", 1, MSG_NOSIGNAL);
	(void)close(fd);
}
