/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first process: it mounts the root while the agent, its child, brings up the channel to the host; then it loads
 * what can wait, and becomes the image's init. */
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/boot.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/log.h"

_noreturn_ void
agent_die(const char *what, int error)
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

static void
become_init(const char *init)
{
	char *const argv[] = { (char *)init, NULL };
	char *const environment[] = { (char *)"HOME=/", (char *)"TERM=linux", NULL };

	(void)execve(init, argv, environment);
	agent_die(init, bn_errno());
}

/* Without an init: reaps what nobody else does, and ends the guest if the agent ends. */
static _noreturn_ void
stay(pid_t agent)
{
	pid_t pid;

	do
		pid = waitpid(-1, NULL, 0);
	while (pid != agent && (pid >= 0 || errno == EINTR));
	agent_die("the agent", -EPIPE);
}

static int
make_root(const AgentBoot *boot, const char **reterr_what)
{
	int r;

	agent_modules_load("root");
	raise_loopback();
	r = agent_boot_mount_others();
	return r < 0 ? r : agent_root_mount(boot, reterr_what);
}

/* The card comes up while we wait for disks. */
static int
make_root_and_network(const AgentBoot *boot, const char **reterr_what)
{
	pthread_t thread;
	int r, error;

	if (!boot->network.address)
		return make_root(boot, reterr_what);
	*reterr_what = "a thread";
	error = pthread_create(&thread, NULL, agent_network_run, (void *)boot);
	if (error != 0)
		return -error;
	r = make_root(boot, reterr_what);
	if (r >= 0)
		(void)pthread_join(thread, NULL);
	return r;
}

static void
await_agent(int channel)
{
	char byte;

	if (recv(channel, &byte, 1, 0) != 1)
		agent_die("the agent", -EPIPE);
}

_noreturn_ void
agent_first_run(const AgentBoot *boot, pid_t agent, int channel)
{
	const char *what = "the kernel's filesystems", *init;
	int r = agent_boot_mount_devices();

	if (r >= 0)
		r = make_root_and_network(boot, &what);
	if (r < 0)
		agent_die(what, r);
	/* The agent looks for its port in /sys and /dev, as the card's thread did for its driver. */
	await_agent(channel);
	if (boot->root != BN_BOOT_ROOT_NONE)
		r = agent_root_take_filesystems();
	if (r < 0)
		agent_die("the kernel's filesystems in the root", r);
	/* The commands that wait already are started before anything else: an init keeps every processor busy. */
	if (send(channel, "", 1, MSG_NOSIGNAL) != 1)
		agent_die("the agent", -EPIPE);
	await_agent(channel);
	(void)close(channel);
	/* The last that is needed of the initramfs. */
	agent_modules_load("later");
	if (boot->root == BN_BOOT_ROOT_NONE)
		stay(agent);
	r = agent_root_move();
	if (r < 0)
		agent_die("entering the root", r);
	init = agent_root_find_init(boot);
	if (init)
		become_init(init);
	stay(agent);
}
