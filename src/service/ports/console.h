/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a VM's serial console goes, as the engine sees it. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

#define BANGER_TYPE_CONSOLE (banger_console_get_type())
G_DECLARE_INTERFACE(BangerConsole, banger_console, BANGER, CONSOLE, GObject)

struct _BangerConsoleInterface {
	GTypeInterface parent;

	/* The other end of a connection to the console: what is written from now on, and what is typed. A
	 * descriptor of the caller's, or -1. */
	int (*open)(BangerConsole *self, GError **error);

	/* A stream of what was kept; with `follow` it goes on until the console ends. */
	int (*open_log)(BangerConsole *self, bool follow, GError **error);

	/* What the guest said last: the line of its kernel's panic, where there is one among the last, or the last
	 * one that is not empty. Bounded, and safe to show; the caller's to free. NULL where it said nothing. */
	char *(*get_last_words)(BangerConsole *self);
};
