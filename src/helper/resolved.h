/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* systemd-resolved, told about one link of ours: org.freedesktop.resolve1(5). */
#pragma once

#include "helper/kernel/kernel-real.h"

/* As names_begin() and names_end() of the kernel seam, on a bus connection of its own: any thread may call them. */
int resolved_begin(const char *bus_address, const KernelNames *names, KernelText *reterr);
int resolved_end(const char *bus_address, const char *bridge);
