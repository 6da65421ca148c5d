/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A daemon that cannot work tells why to who calls it. One that only did not come up would tell nobody: the bus, which
 * waits for it, gives up after minutes. */
#pragma once

#include <gio/gio.h>

typedef struct BangerRefusal BangerRefusal;

/* From now on every call that comes over the connection is answered with `why`. `done` is called in the main loop
 * after each. */
BangerRefusal *banger_refusal_new(GDBusConnection *connection, const GError *why, GSourceFunc done,
				  void *data);
void banger_refusal_free(BangerRefusal *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BangerRefusal, banger_refusal_free)
