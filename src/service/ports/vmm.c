/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/ports/vmm.h"

G_DEFINE_INTERFACE(BangerVmm, banger_vmm, G_TYPE_OBJECT)

static void
banger_vmm_default_init(BangerVmmInterface *iface)
{
	g_signal_new("paused", BANGER_TYPE_VMM, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE,
		     1, G_TYPE_ERROR);
	g_signal_new("resumed", BANGER_TYPE_VMM, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
		     G_TYPE_NONE, 0);
}
