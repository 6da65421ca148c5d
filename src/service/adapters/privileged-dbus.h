/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BangerPrivileged by org.banger.Helper on the system bus. */
#pragma once

#include "service/ports/privileged.h"

#define BANGER_TYPE_PRIVILEGED_DBUS (banger_privileged_dbus_get_type())
G_DECLARE_FINAL_TYPE(BangerPrivilegedDBus, banger_privileged_dbus, BANGER, PRIVILEGED_DBUS, GObject)

/* Connects with the first call, and again where the bus has gone since; a call that cannot fails with
 * BANGER_ERROR_HELPER_UNAVAILABLE. `may_ask`: whether polkit may ask the person at the machine. */
BangerPrivileged *banger_privileged_dbus_new(bool may_ask);
