/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/base/signal-util.h"

#include <signal.h>
#include <stddef.h>

#include "shared/base/errno-util.h"

int
bn_signal_reset(void)
{
	sigset_t none;

	/* Some numbers between are libc's own, and two cannot be changed: those are as they were. */
	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL);
	(void)sigemptyset(&none);
	return bn_ret_errno(sigprocmask(SIG_SETMASK, &none, NULL));
}
