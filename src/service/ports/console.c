/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/ports/console.h"

G_DEFINE_INTERFACE(BangerConsole, banger_console, G_TYPE_OBJECT)

static void
banger_console_default_init(BangerConsoleInterface *iface)
{
}
