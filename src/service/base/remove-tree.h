/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Removal of a directory of ours with all that is in it. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Never follows a symbolic link. Succeeds where there is nothing. */
bool banger_remove_tree(const char *path, GError **error);
