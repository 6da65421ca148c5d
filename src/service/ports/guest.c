/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/ports/guest.h"

G_DEFINE_INTERFACE(BangerGuest, banger_guest, G_TYPE_OBJECT)

static void
banger_guest_default_init(BangerGuestInterface *iface)
{
	g_signal_new("closed", BANGER_TYPE_GUEST, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
		     G_TYPE_NONE, 1, G_TYPE_ERROR);
}
