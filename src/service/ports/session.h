/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ends, or interrupts, everything that a user runs: the end of the user's session, and the host's shutdown and
 * sleep. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

#define BANGER_TYPE_SESSION (banger_session_get_type())
G_DECLARE_INTERFACE(BangerSession, banger_session, BANGER, SESSION, GObject)

/* Signals: "shutdown": the host goes down, and waits a little for who holds it; "resumed": it has slept; "changed":
 * ends_processes() says something else. */
struct _BangerSessionInterface {
	GTypeInterface parent;

	/* How many VMs are live. While any is, the host is asked to let us know before it goes down, and to wait then.
	 * Never fails: where nobody can be asked, nobody waits. */
	void (*hold)(BangerSession *self, unsigned live);

	/* Whether what this user runs ends with the user's last session, as far as is known. */
	bool (*ends_processes)(BangerSession *self);

	/* Whether that end has begun: when we are told to go, it tells a log-out from a restart of ours. */
	void (*is_ending)(BangerSession *self, GAsyncReadyCallback callback, void *data);
	bool (*is_ending_finish)(BangerSession *self, GAsyncResult *result);
};
