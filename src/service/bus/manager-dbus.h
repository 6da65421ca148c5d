/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.banger.Manager. */
#pragma once

#include "service/bus/bus.h"

BangerDBusManager *banger_manager_dbus_new(BangerBus *bus);
