/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who lets programs outside of a guest reach its ports. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/rules/port.h"

#define BANGER_TYPE_PUBLISHER (banger_publisher_get_type())
G_DECLARE_INTERFACE(BangerPublisher, banger_publisher, BANGER, PUBLISHER, GObject)

struct _BangerPublisherInterface {
	GTypeInterface parent;

	/* Takes the host's port for a VM, and passes on what comes there to that port of `guest` (an address in host
	 * order). Where it has it already that cannot fail, and what is open there is cut if it leads elsewhere from
	 * then on. False where it cannot be had: BANGER_ERROR_BUSY where somebody has it, another VM for one. */
	bool (*publish)(BangerPublisher *self, const char *vm, const BnPort *port, uint32_t guest,
			GError **error);
	/* Gives it back, and cuts what is open there. Nothing happens where the VM has not taken it. */
	void (*withdraw)(BangerPublisher *self, const char *vm, const BnPort *port);
};
