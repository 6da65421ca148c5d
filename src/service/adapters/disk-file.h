/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that the helper is handed for a VM. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

/* Opens one without ever waiting for anybody, `flags` O_RDONLY or O_RDWR: a descriptor, or -1. What the helper would
 * refuse, not knowing its path, is refused by that. */
int banger_disk_file_open(const char *path, int flags, bool may_be_empty, GError **error);
