/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/ports/privileged.h"

#include "shared/base/cleanup.h"

G_DEFINE_INTERFACE(BangerPrivileged, banger_privileged, G_TYPE_OBJECT)

static void
banger_privileged_default_init(BangerPrivilegedInterface *iface)
{
}

void
banger_vmm_handles_clear(BangerVmmHandles *handles)
{
	bn_closep(&handles->control);
	bn_closep(&handles->agent);
	bn_closep(&handles->console);
	bn_closep(&handles->process);
}
