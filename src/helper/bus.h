/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The helper on its bus: messages become calls of the dispatcher, its answers become messages; the
 * name is taken, and given back when nobody needs it. */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "helper/op-dispatch.h"

typedef struct Bus Bus;

typedef struct BusSetup {
	const char *address;
	unsigned idle_ms;      /* this long without a call, and the helper ends */
	unsigned last_ms;      /* see bus_terminate() */
	unsigned arrivals_max; /* calls whose user is not known yet */
} BusSetup;

/* Connects. `setup` is copied, but for the address, which is not needed any more. */
int bus_new(sd_event *event, const BusSetup *setup, Bus **ret);
Bus *bus_free(Bus *bus);

sd_bus *bus_get_connection(Bus *bus);
Transport bus_get_transport(Bus *bus);

/* Serves: from here on calls arrive. */
int bus_start(Bus *bus, Dispatch *dispatch);
/* For SIGTERM. Aborts what waits, finishes what runs, then ends the event loop. After the helper has
 * given its name back by itself, the first SIGTERM is systemd's answer to that (Type=dbus): a call
 * that came meanwhile is served, together with all others until there is none, for `last_ms`. */
void bus_terminate(Bus *bus);
