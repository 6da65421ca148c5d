/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger-vsock-agent: the initramfs's /init, then the guest's end of the agent channel. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/session.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/fd-util.h"
#include "shared/base/log.h"
#include "shared/rules/vmm-argv.h"

typedef struct Agent {
	AgentConfig config;
	AgentBoot boot;
	char *argv0;
	int handing_over; /* process 1 waits for its end, and becomes the image's init */
} Agent;

static uint64_t
now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* A guest that cannot go on ends, and its VMM with it: the host reads the reason on the console. */
static _noreturn_ void
die(const char *what, int error)
{
	bn_log_error("banger: %s: %s", what, strerror(-error));
	sync();
	(void)reboot(RB_POWER_OFF);
	for (;;)
		(void)pause();
}

static void
on_power_off(void *data)
{
	Agent *agent = data;

	agent_power_off(agent->config.handed_over);
}

/* Process 1 becomes the image's init; a child of it is the agent from here on. The commands that wait already
 * are started first: an init keeps every processor busy. */
static void
hand_over(Agent *agent, const char *init)
{
	char *const init_argv[] = { (char *)init, NULL };
	char *const environment[] = { (char *)"HOME=/", (char *)"TERM=linux", NULL };
	int fds[2];
	sigset_t none;
	char byte;
	pid_t pid;

	pid = pipe2(fds, O_CLOEXEC) < 0 ? -1 : fork();
	if (pid < 0)
		die("fork", bn_errno());
	if (pid == 0) {
		(void)close(fds[0]);
		agent->handing_over = fds[1];
		(void)setsid();
		/* systemd spares such processes in its final killing spree: we are part of the machine, like a
		 * root filesystem's daemon. systemd.kill(5), "argv[0][0]". */
		agent->argv0[0] = '@';
		agent->config.handed_over = true;
		return;
	}
	(void)close(fds[1]);
	(void)!read(fds[0], &byte, 1);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)execve(init, init_argv, environment);
	die(init, bn_errno());
}

/* The root is there, or never will be. */
static void
on_ready(void *data)
{
	Agent *agent = data;
	const char *what, *init;
	int r = agent_prepare_finish(agent->config.ready_fd, &what);

	if (r < 0)
		die(what, r);
	if (agent->boot.root == BN_BOOT_ROOT_NONE)
		return;
	r = agent_root_enter();
	if (r < 0)
		die("entering the root", r);
	init = agent_root_find_init(&agent->boot);
	if (init)
		hand_over(agent, init);
}

static void
on_settled(void *data)
{
	Agent *agent = data;

	bn_closep(&agent->handing_over);
	agent_prepare_rest(BN_TAKE_FD(agent->config.ready_fd));
}

int
main(int argc, char **argv)
{
	Agent agent = { .config = { .fd = -1,
				    .is_port = true,
				    .first_us = now_us(),
				    .ready = on_ready,
				    .settled = on_settled,
				    .power_off = on_power_off,
				    .data = &agent },
			.argv0 = argv[0],
			.handing_over = -1 };
	int r;

	if (getpid() != 1) {
		(void)fprintf(stderr,
			      "%s " BANGER_VERSION ": this is the first process of a guest\n",
			      argv[0]);
		return 1;
	}
	(void)umask(0022);
	r = agent_boot_mount_first();
	if (r < 0)
		die("mounting the kernel's filesystems", r);
	agent_boot_read_cmdline(&agent.boot);
	agent.config.ready_fd = agent_prepare_start(&agent.boot);
	if (agent.config.ready_fd < 0)
		die("fork", agent.config.ready_fd);
	agent_modules_load(agent_device_bus());
	agent.config.fd = agent_device_wait_port(BN_VMM_AGENT_PORT);
	if (agent.config.fd < 0)
		die("opening the agent's port", agent.config.fd);
	r = agent_session_run(&agent.config);
	if (getpid() == 1)
		die("the agent's port", r);
	return 1;
}
