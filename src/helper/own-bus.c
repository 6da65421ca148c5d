/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/own-bus.h"

#include <stdbool.h>

#include "shared/base/cleanup.h"

int
own_bus_open(const char *address, sd_bus **ret)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_address(bus, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(bus, true);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r >= 0)
		*ret = BN_TAKE_PTR(bus);
	return r;
}
