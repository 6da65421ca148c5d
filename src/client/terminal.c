/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "shared/base/macro.h"

static struct termios saved;
static volatile sig_atomic_t is_raw;

void
terminal_restore(void)
{
	if (is_raw)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	is_raw = 0;
}

bool
terminal_is_raw(void)
{
	return is_raw;
}

/* The signal has its default action again, and takes it as soon as this returns: whoever waits for us learns the truth.
 * Output that nobody reads is not waited for. */
static void
on_end(int signal_number)
{
	if (is_raw)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	is_raw = 0;
	(void)raise(signal_number);
}

static bool
is_harmless(int signal_number)
{
	static const int harmless[] = { SIGCHLD, SIGCONT, SIGURG,  SIGWINCH,
					SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU };

	for (size_t i = 0; i < BN_ELEMENTSOF(harmless); i++)
		if (harmless[i] == signal_number)
			return true;
	return false;
}

/* Everything that would end us. What is blocked meanwhile includes SIGTTOU: the terminal can be set from the background
 * as well. */
static void
catch_ends(void)
{
	struct sigaction action = { .sa_handler = on_end, .sa_flags = SA_RESETHAND }, old;

	(void)sigfillset(&action.sa_mask);
	for (int i = 1; i <= SIGRTMAX; i++)
		if (!is_harmless(i) && sigaction(i, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			(void)sigaction(i, &action, NULL);
}

bool
terminal_make_raw(void)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return false;
	raw = saved;
	cfmakeraw(&raw);
	is_raw = 1;
	(void)atexit(terminal_restore);
	catch_ends();
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	return true;
}
