/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection to the bus of its own, for a worker: sd-bus shares none between threads. */
#pragma once

#include <systemd/sd-bus.h>

int own_bus_open(const char *address, sd_bus **ret);
