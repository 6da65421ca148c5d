/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/ports/session.h"

G_DEFINE_INTERFACE(BangerSession, banger_session, G_TYPE_OBJECT)

static void
banger_session_default_init(BangerSessionInterface *iface)
{
	static const char *const names[] = { "shutdown", "resumed", "changed" };

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		g_signal_new(names[i], BANGER_TYPE_SESSION, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
			     G_TYPE_NONE, 0);
}
