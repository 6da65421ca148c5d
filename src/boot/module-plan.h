/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In which order modules are loaded, from what each says it needs. Pure. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Appends the names of `wanted` and of all that they need to `ret` (of borrowed keys of `depends`), each once
 * and behind what it needs itself. `depends`: module name → "a,b,c". A name that is in `builtin` needs no
 * loading; one that is in neither is left out where it is only wanted; where another needs it, false is
 * returned with the one that does in *ret_missing. */
bool boot_module_plan(GHashTable *depends, GHashTable *builtin, const char *const *wanted,
		      GPtrArray *ret, const char **ret_missing);

/* "crc32c-intel.ko" and "crc32c_intel" are one module. Owned. */
char *boot_module_name(const char *file);
