/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The systemd scope of a jail: its memory, CPU and task limits, and its place in banger.slice. */
#pragma once

#include "helper/kernel/kernel-real.h"

/* Returns once systemd has put the process into the scope; blocks for a bounded time, on a bus
 * connection of its own, so any thread may call it. A scope that could not be made leaves
 * nothing. */
int scope_start(const char *bus_address, const KernelScope *scope);
