/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The user's session, as systemd-logind and the user's own systemd tell it. */
#pragma once

#include "service/ports/session.h"

#define BANGER_TYPE_SESSION_LOGIND (banger_session_logind_get_type())
G_DECLARE_FINAL_TYPE(BangerSessionLogind, banger_session_logind, BANGER, SESSION_LOGIND, GObject)

/* Where one of them is missing, a session never ends and the host never waits. `session_bus`: where the user's systemd
 * is, if there is one. */
BangerSession *banger_session_logind_new(GDBusConnection *session_bus);
