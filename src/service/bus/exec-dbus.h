/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The part of org.banger.VM that runs commands. */
#pragma once

#include "service/bus/bus.h"

/* Connects Exec, SignalExec and ResizeExec of one VM. */
void banger_exec_dbus_connect(BangerBus *bus, BangerVm *vm, BangerDBusVM *skeleton);
