/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who answers guests, and the host, when they ask for names: those of this user's VMs, and everybody else's. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/rules/ipv4.h"

#define BANGER_TYPE_NAMES (banger_names_get_type())
G_DECLARE_INTERFACE(BangerNames, banger_names, BANGER, NAMES, GObject)

struct _BangerNamesInterface {
	GTypeInterface parent;

	/* Answers from now on, on a bound UDP socket and a listening TCP socket, and no longer where it did before.
	 * Both are taken over, also on failure, which means that they are no such sockets. Who asks from outside of
	 * `subnet` hears of the user's VMs, and of nothing else. */
	bool (*start)(BangerNames *self, int udp_fd, int tcp_fd, const BnPrefix *subnet,
		      GError **error);
	/* Closes both; what was asked and not answered yet never is. The names stay known. */
	void (*stop)(BangerNames *self);

	/* A VM has this address (host order) from now on, and no other. False, and nothing changed, where `name` is no
	 * name of a VM. */
	bool (*set)(BangerNames *self, const char *name, uint32_t address);
	/* Nothing happens where nobody has the name. */
	void (*remove)(BangerNames *self, const char *name);
};
