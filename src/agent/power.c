/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/grace.h"
#include "shared/base/cleanup.h"
#include "shared/base/io-util.h"

/* What programs get to end by themselves where there is no init that has an opinion. */
#define GRACE_MS 5000

#define STATUS_MAX 8192

/* Whether process 1 would read the signal, which it blocks for that; before it does, the kernel drops every signal
 * for it, and does not say so. proc(5), "SigBlk". */
static bool
is_heard(int signal_number)
{
	_cleanup_free_ char *text = NULL;
	const char *line;

	if (bn_io_read_file(AT_FDCWD, "/proc/1/status", STATUS_MAX, &text, NULL) < 0)
		return false;
	line = strstr(text, "\nSigBlk:");
	return line && (strtoull(line + strlen("\nSigBlk:"), NULL, 16) >> (signal_number - 1) & 1);
}

/* systemd(1): SIGRTMIN+4 starts poweroff.target. sd_booted(3): the directory tells that it is process 1. An init
 * that is not yet listening has not begun what is worth an orderly end. */
static bool
ask_systemd(void)
{
	return access("/run/systemd/system", F_OK) == 0 && is_heard(SIGRTMIN + 4) &&
	       kill(1, SIGRTMIN + 4) == 0;
}

void
agent_power_off(void)
{
	if (ask_systemd())
		return;
	(void)kill(-1, SIGTERM);
	(void)kill(-1, SIGCONT);
	agent_grace_wait(GRACE_MS);
	(void)kill(-1, SIGKILL);
	sync();
	/* Busy or not, the disks are clean when this returns. */
	(void)mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	sync();
	(void)reboot(RB_POWER_OFF);
}
