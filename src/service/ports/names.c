/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/ports/names.h"

G_DEFINE_INTERFACE(BangerNames, banger_names, G_TYPE_OBJECT)

static void
banger_names_default_init(BangerNamesInterface *iface)
{
}
