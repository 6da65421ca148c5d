/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BangerPublisher: sockets of our own on the host, and others to the guest over the bridge.
 *
 * Not the packet filter's translation of addresses: that takes root, passes by the host's own rules for what comes in,
 * and does not see what the host sends to its 127.0.0.1. Not the agent's channel: the bridge is faster, and what goes
 * over it is in no command's way; `tools/bench ports` measures all three. */
#pragma once

#include "service/ports/publisher.h"

#define BANGER_TYPE_PUBLISHER_SOCKET (banger_publisher_socket_get_type())
G_DECLARE_FINAL_TYPE(BangerPublisherSocket, banger_publisher_socket, BANGER, PUBLISHER_SOCKET,
		     GObject)

BangerPublisher *banger_publisher_socket_new(void);
