/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger-vsock-agent: the initramfs's /init, then the guest's end of the agent channel. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <net/if.h>
#include <time.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/session.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/log.h"
#include "shared/rules/vmm-argv.h"

typedef struct Agent {
	AgentConfig config;
	AgentBoot boot;
	int later; /* tells the child in the initramfs to load the rest */
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
raise_loopback(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		bn_log_warning("banger: the loopback interface stays down: %s", strerror(errno));
}

/* The modules that can wait are in the initramfs, which is out of reach once the root is entered: a child that stays
 * there loads them when it is told. */
static int
prepare_later(void)
{
	int fds[2];
	pid_t pid;
	char byte;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		(void)close(fds[1]);
		if (read(fds[0], &byte, 1) == 1)
			agent_modules_load(/* later= */ true);
		_exit(0);
	}
	(void)close(fds[0]);
	return fds[1];
}

static void
on_hello(void *data)
{
	Agent *agent = data;

	(void)!write(agent->later, "", 1);
	bn_closep(&agent->later);
}

static void
on_power_off(void *data)
{
	Agent *agent = data;

	agent_power_off(agent->config.handed_over);
}

/* Process 1 becomes the image's init; a child of it is the agent from here on. */
static void
hand_over(Agent *agent, const char *init, char **argv)
{
	char *const init_argv[] = { (char *)init, NULL };
	char *const environment[] = { (char *)"HOME=/", (char *)"TERM=linux", NULL };
	pid_t pid = fork();

	if (pid < 0)
		die("fork", bn_errno());
	if (pid > 0) {
		(void)close(agent->config.fd);
		(void)execve(init, init_argv, environment);
		die(init, bn_errno());
	}
	(void)setsid();
	/* systemd spares such processes in its final killing spree: we are part of the machine, like a root
	 * filesystem's daemon. systemd.kill(5), "argv[0][0]". */
	argv[0][0] = '@';
	agent->config.handed_over = true;
}

static void
enter_root(Agent *agent, int uevents, char **argv)
{
	const char *what = "the root", *init;
	int r = agent_root_mount(&agent->boot, uevents, &what);

	if (r < 0)
		die(what, r);
	r = agent_root_enter();
	if (r < 0)
		die("entering the root", r);
	init = agent_root_find_init(&agent->boot);
	if (init)
		hand_over(agent, init, argv);
}

int
main(int argc, char **argv)
{
	Agent agent = { .config = { .fd = -1,
				    .is_port = true,
				    .first_us = now_us(),
				    .later = on_hello,
				    .power_off = on_power_off } };
	_cleanup_close_ int uevents = -1;
	int r;

	if (getpid() != 1) {
		(void)fprintf(stderr,
			      "%s " BANGER_VERSION ": this is the first process of a guest\n",
			      argv[0]);
		return 1;
	}
	(void)umask(0022);
	r = agent_boot_mount_kernel();
	if (r < 0)
		die("mounting the kernel's filesystems", r);
	agent_boot_read_cmdline(&agent.boot);
	/* Before anything can announce itself. */
	uevents = agent_device_listen();
	if (uevents < 0)
		die("listening for devices", uevents);
	agent_modules_load(/* later= */ false);
	agent.later = prepare_later();
	agent.config.data = &agent;
	raise_loopback();
	agent.config.fd = agent_device_wait_port(uevents, BN_VMM_AGENT_PORT);
	if (agent.config.fd < 0)
		die("opening the agent's port", agent.config.fd);
	if (agent.boot.root != BN_BOOT_ROOT_NONE)
		enter_root(&agent, uevents, argv);
	r = agent_session_run(&agent.config);
	if (getpid() == 1)
		die("the agent's port", r);
	return 1;
}
