/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger-vsock-agent: the initramfs's /init, then the guest's end of the agent channel. */
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/session.h"
#include "shared/base/cleanup.h"
#include "shared/base/clock.h"
#include "shared/base/errno-util.h"
#include "shared/rules/vmm-argv.h"

typedef struct Agent {
	AgentConfig config;
	AgentBoot boot;
} Agent;

static void
on_power_off(void *data)
{
	agent_power_off();
}

/* The root is there, or never will be. */
static void
on_ready(void *data)
{
	Agent *agent = data;
	char byte;
	int r = 0;

	if (recv(agent->config.ready_fd, &byte, 1, 0) != 1)
		agent_die("the first process", -EPIPE);
	if (agent->boot.root != BN_BOOT_ROOT_NONE)
		r = agent_root_enter();
	if (r < 0)
		agent_die("entering the root", r);
}

/* A first process that is gone takes the whole guest along. */
static void
tell_first(const Agent *agent)
{
	(void)send(agent->config.ready_fd, "", 1, MSG_NOSIGNAL);
}

static void
on_settled(void *data)
{
	Agent *agent = data;

	tell_first(agent);
	bn_closep(&agent->config.ready_fd);
}

static _noreturn_ void
run_agent(Agent *agent, char *argv0)
{
	int r;

	(void)setsid();
	/* systemd spares such processes in its final killing spree: we are part of the machine, like a root
	 * filesystem's daemon. systemd.kill(5), "argv[0][0]". */
	argv0[0] = '@';
	/* What commands leave behind is ours to end, with an init beside us or without. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	agent_modules_load(bn_boot_bus_to_string(agent->boot.bus));
	r = agent_boot_mount_devices();
	if (r < 0)
		agent_die("mounting the kernel's filesystems", r);
	agent->config.fd = agent_device_wait_port(BN_VMM_AGENT_PORT);
	if (agent->config.fd < 0)
		agent_die("opening the agent's port", agent->config.fd);
	tell_first(agent);
	(void)agent_session_run(&agent->config);
	_exit(1);
}

int
main(int argc, char **argv)
{
	Agent agent = { .config = { .fd = -1,
				    .is_port = true,
				    .first_us = bn_clock_us(),
				    .ready = on_ready,
				    .settled = on_settled,
				    .power_off = on_power_off,
				    .data = &agent } };
	int fds[2], r;
	pid_t pid;

	if (getpid() != 1) {
		(void)fprintf(stderr,
			      "%s " BANGER_VERSION ": this is the first process of a guest\n",
			      argv[0]);
		return 1;
	}
	(void)umask(0022);
	r = agent_boot_mount_proc();
	if (r < 0)
		agent_die("mounting /proc", r);
	agent_boot_read_cmdline(&agent.boot);
	/* A host may ask while /proc is on its way to the root. */
	agent_boot_read_id(agent.config.boot_id);
	pid = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0 ? -1 : fork();
	if (pid < 0)
		agent_die("fork", bn_errno());
	agent.config.ready_fd = fds[1];
	(void)close(fds[pid == 0 ? 0 : 1]);
	if (pid == 0)
		run_agent(&agent, argv[0]);
	agent_first_run(&agent.boot, pid, fds[0]);
}
