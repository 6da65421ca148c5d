/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In which order modules are loaded, from what each says it needs. Pure. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The text of /banger/modules, as the agent reads it: a path per line, "-" ends a wave, "--" separates
 * `early` from `later`. `depends`: module name → "a,b,c". A name that is in `builtin` needs no loading; one
 * that is in neither is left out where it is only wanted, and an error where another needs it. Returns NULL
 * with the missing name in *ret_missing. The names in the order of first use are added to `used` (owned). */
char *boot_module_plan(GHashTable *depends, GHashTable *builtin, const char *const *early,
		       const char *const *later, GPtrArray *used, const char **ret_missing);

/* "crc32c-intel.ko" and "crc32c_intel" are one module. Owned. */
char *boot_module_name(const char *file);
