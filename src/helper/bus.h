/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The helper on its bus: messages become calls of the dispatcher, its answers become messages; the
 * name is taken, and given back when nobody needs it. */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "helper/op-dispatch.h"

typedef struct Bus Bus;

/* Connects; `idle_ms` without a call and the helper ends. */
int bus_new(sd_event *event, const char *address, unsigned idle_ms, Bus **ret);
Bus *bus_free(Bus *bus);

sd_bus *bus_get_connection(Bus *bus);
Transport bus_get_transport(Bus *bus);

/* Serves: from here on calls arrive. */
int bus_start(Bus *bus, Dispatch *dispatch);
/* Aborts what waits, finishes what runs, then ends the event loop. */
void bus_terminate(Bus *bus);
