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

void
banger_bridge_clear(BangerBridge *bridge)
{
	g_clear_pointer(&bridge->interface, g_free);
	g_clear_pointer(&bridge->note, g_free);
	bn_closep(&bridge->dns[0]);
	bn_closep(&bridge->dns[1]);
}

void
banger_tap_clear(BangerTap *tap)
{
	bn_closep(&tap->fd);
}
