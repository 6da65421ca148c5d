/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/boot.h"

/* What programs get to end by themselves where there is no init that has an opinion. */
#define GRACE_S 5

/* systemd(1): SIGRTMIN+4 starts poweroff.target. */
static bool
ask_systemd(void)
{
	return access("/run/systemd/system", F_OK) == 0 && kill(1, SIGRTMIN + 4) == 0;
}

/* Waits until no process is left but us, or the time is over. SIGCHLD is blocked. */
static void
wait_for_all(void)
{
	struct timespec limit = { .tv_sec = GRACE_S };
	sigset_t mask;

	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGCHLD);
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0)
			return;
		if (pid == 0 && sigtimedwait(&mask, NULL, &limit) < 0)
			return;
	}
}

void
agent_power_off(bool handed_over)
{
	if (handed_over && ask_systemd())
		return;
	(void)kill(-1, SIGTERM);
	(void)kill(-1, SIGCONT);
	if (!handed_over)
		wait_for_all();
	(void)kill(-1, SIGKILL);
	sync();
	/* Busy or not, the disks are clean when this returns. */
	(void)mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	sync();
	(void)reboot(RB_POWER_OFF);
}
