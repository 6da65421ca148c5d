/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gio.h>

#include "banger-dbus.h"
#include "service/manager/good.h"
