/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BangerGuest by the agent channel (shared/rules/frame.h) over a connected stream. */
#pragma once

#include "service/ports/guest.h"

#define BANGER_TYPE_GUEST_AGENT (banger_guest_agent_get_type())
G_DECLARE_FINAL_TYPE(BangerGuestAgent, banger_guest_agent, BANGER, GUEST_AGENT, GObject)

/* Takes over the descriptor. */
BangerGuest *banger_guest_agent_new(int fd);
