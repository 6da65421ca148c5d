/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Results on standard output: aligned columns for people, JSON for programs, from the same rows. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef enum OutKind {
	OUT_TEXT,   /* const char *; NULL is "" */
	OUT_NUMBER, /* guint64 */
	OUT_SIZE,   /* guint64, in bytes: "8.0G" for people, a number for programs */
	OUT_TIME, /* guint64, µs since 1970, 0: never; local time for people, ISO 8601 in UTC or null for programs */
	OUT_YES, /* guint64: whether; "yes" or nothing for people */
} OutKind;

typedef struct OutColumn {
	const char *name; /* in lower case; NULL ends the columns */
	OutKind kind;
} OutColumn;

typedef struct OutTable OutTable;

/* `columns` must be constant. */
OutTable *out_table_new(const OutColumn *columns);
void out_table_free(OutTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OutTable, out_table_free)

/* One value for each column, of its kind. Texts are escaped where they are not safe for a terminal. */
void out_table_add(OutTable *table, ...);
/* Prints it, by the order of the first column: an array of objects, or lines. */
void out_table_print(const OutTable *table, bool json);
/* Prints its only row: an object, or a line for each value. */
void out_table_print_one(const OutTable *table, bool json);

/* The name of what was made: an object with it, or a line. */
void out_name(const char *name, bool json);
/* An array of texts, or lines. */
void out_words(char **words, bool json);
