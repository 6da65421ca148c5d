/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The a{sv} of a method, read through a table: every key known, every type right, nothing ignored. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

typedef struct BangerOption {
	const char *key;
	const char *type; /* a D-Bus type string: "s", "u", "t", "b", "as" or "h" */
	/* Where the value goes: const char ** (borrowed from `options`), uint32_t *, uint64_t *, bool *,
	 * const char *** (the array is the caller's to g_free(), its strings are borrowed), int32_t * (index
	 * of a descriptor). Untouched where the key is absent. */
	void *target;
} BangerOption;

/* False with BANGER_ERROR_INVALID_ARGUMENT naming the key. `table` ends with a NULL key. */
bool banger_options_read(GVariant *options, const BangerOption *table, GError **error);
