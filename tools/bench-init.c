/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first process of a guest that does nothing: what starting one costs at least (tools/bench start). */
#include <sys/reboot.h>
#include <unistd.h>

static const char mark[] = "bench-init: here\n";

int
main(void)
{
	/* The kernel gives its first process the console. */
	if (write(STDOUT_FILENO, mark, sizeof(mark) - 1) < 0)
		(void)reboot(RB_AUTOBOOT);
	return reboot(RB_POWER_OFF);
}
