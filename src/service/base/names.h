/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names on the session bus. */
#pragma once

#define BANGER_BUS_NAME    "org.banger.Manager"
#define BANGER_OBJECT_PATH "/org/banger/Manager"

/* "/org/banger/Manager/<kind>/<id>"; the caller's to free. */
char *banger_path_new(const char *kind, const char *id);
