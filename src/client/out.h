/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Results on standard output: aligned columns for people, JSON for programs, from the same rows. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct OutTable OutTable;

/* `columns`: their names, in lower case; NULL-terminated and constant. */
OutTable *out_table_new(const char *const *columns);
void out_table_free(OutTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OutTable, out_table_free)

/* One value for each column, then NULL. Escaped where it is not safe for a terminal. */
void out_table_add(OutTable *table, ...) G_GNUC_NULL_TERMINATED;
/* Prints it: an array of objects, or lines. */
void out_table_print(const OutTable *table, bool json);
/* Prints its only row: an object, or a line for each value. */
void out_table_print_one(const OutTable *table, bool json);

/* "512M", "8.0G"; the caller's to free. */
char *out_size(guint64 bytes);
char *out_time(gint64 us);
