/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/out.h"

#include <json-glib/json-glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/str-util.h"

#define VALUE_MAX 4096

/* `text` is what people read. */
typedef struct Cell {
	char *text;
	guint64 number;
} Cell;

typedef struct Row {
	Cell *cells;
	guint n;
} Row;

struct OutTable {
	const OutColumn *columns;
	guint n;
	GPtrArray *rows; /* Row */
};

static void
row_free(Row *row)
{
	for (guint i = 0; i < row->n; i++)
		g_free(row->cells[i].text);
	g_free(row->cells);
	g_free(row);
}

OutTable *
out_table_new(const OutColumn *columns)
{
	OutTable *table = g_new0(OutTable, 1);

	table->columns = columns;
	while (columns[table->n].name)
		table->n++;
	table->rows = g_ptr_array_new_with_free_func((GDestroyNotify)row_free);
	return table;
}

void
out_table_free(OutTable *table)
{
	g_ptr_array_unref(table->rows);
	g_free(table);
}

static char *
format_size(guint64 bytes)
{
	static const char units[] = "BKMGT";
	double value = (double)bytes;
	int unit = 0;

	for (; value >= 1024 && units[unit + 1]; unit++)
		value /= 1024;
	return g_strdup_printf(value < 10 && unit > 0 ? "%.1f%c" : "%.0f%c", value, units[unit]);
}

static char *
format_time(guint64 us)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_local((gint64)(us / G_USEC_PER_SEC));

	return us == 0 ? g_strdup("never") : g_date_time_format(time, "%Y-%m-%d %H:%M:%S");
}

static char *
format_number(OutKind kind, guint64 number)
{
	switch (kind) {
	case OUT_SIZE:
		return format_size(number);
	case OUT_TIME:
		return format_time(number);
	case OUT_YES:
		return g_strdup(number ? "yes" : "");
	default:
		return g_strdup_printf("%" G_GUINT64_FORMAT, number);
	}
}

void
out_table_add(OutTable *table, ...)
{
	Row *row = g_new0(Row, 1);
	va_list args;

	row->n = table->n;
	row->cells = g_new0(Cell, table->n);
	va_start(args, table);
	for (guint i = 0; i < table->n; i++) {
		Cell *cell = &row->cells[i];

		if (table->columns[i].kind == OUT_TEXT) {
			const char *value = va_arg(args, const char *);

			cell->text = bn_str_escape(value ? value : "", value ? strlen(value) : 0,
						   VALUE_MAX);
		} else {
			cell->number = va_arg(args, guint64);
			cell->text = format_number(table->columns[i].kind, cell->number);
		}
	}
	va_end(args);
	g_ptr_array_add(table->rows, row);
}

static void
add_value(JsonBuilder *builder, OutKind kind, const Cell *cell)
{
	g_autoptr(GDateTime) time = NULL;
	g_autofree char *text = NULL;

	switch (kind) {
	case OUT_TEXT:
		json_builder_add_string_value(builder, cell->text);
		break;
	case OUT_YES:
		json_builder_add_boolean_value(builder, cell->number != 0);
		break;
	case OUT_TIME:
		if (cell->number == 0) {
			json_builder_add_null_value(builder);
			break;
		}
		time = g_date_time_new_from_unix_utc((gint64)(cell->number / G_USEC_PER_SEC));
		text = g_date_time_format_iso8601(time);
		json_builder_add_string_value(builder, text);
		break;
	default:
		json_builder_add_int_value(builder, (gint64)cell->number);
	}
}

static void
add_object(JsonBuilder *builder, const OutTable *table, const Row *row)
{
	json_builder_begin_object(builder);
	for (guint i = 0; i < table->n; i++) {
		json_builder_set_member_name(builder, table->columns[i].name);
		add_value(builder, table->columns[i].kind, &row->cells[i]);
	}
	json_builder_end_object(builder);
}

static void
print_json(JsonBuilder *builder)
{
	g_autoptr(JsonNode) root = json_builder_get_root(builder);
	g_autofree char *text = json_to_string(root, /* pretty= */ TRUE);

	(void)puts(text);
}

static void
print_lines(const OutTable *table)
{
	g_autofree glong *widths = g_new0(glong, table->n);

	for (guint c = 0; c < table->n; c++) {
		widths[c] = g_utf8_strlen(table->columns[c].name, -1);
		for (guint r = 0; r < table->rows->len; r++) {
			const Row *row = g_ptr_array_index(table->rows, r);

			widths[c] = MAX(widths[c], g_utf8_strlen(row->cells[c].text, -1));
		}
	}
	for (guint r = 0; r <= table->rows->len; r++) {
		const Row *row = r ? g_ptr_array_index(table->rows, r - 1) : NULL;

		for (guint c = 0; c < table->n; c++) {
			g_autofree char *head = g_ascii_strup(table->columns[c].name, -1);
			const char *value = row ? row->cells[c].text : head;
			int pad = (int)(widths[c] - g_utf8_strlen(value, -1));

			(void)printf("%s%*s%s", value, c + 1 < table->n ? pad : 0, "",
				     c + 1 < table->n ? "  " : "\n");
		}
	}
}

static int
compare_rows(gconstpointer a, gconstpointer b)
{
	const Row *const *x = a, *const *y = b;

	return strcmp((*x)->cells[0].text, (*y)->cells[0].text);
}

void
out_table_print(const OutTable *table, bool json)
{
	g_autoptr(JsonBuilder) builder = NULL;

	g_ptr_array_sort(table->rows, compare_rows);
	if (!json) {
		print_lines(table);
		return;
	}
	builder = json_builder_new();
	json_builder_begin_array(builder);
	for (guint r = 0; r < table->rows->len; r++)
		add_object(builder, table, g_ptr_array_index(table->rows, r));
	json_builder_end_array(builder);
	print_json(builder);
}

void
out_table_print_one(const OutTable *table, bool json)
{
	const Row *row = g_ptr_array_index(table->rows, 0);
	g_autoptr(JsonBuilder) builder = NULL;

	for (guint c = 0; !json && c < table->n; c++)
		(void)printf("%-20s %s\n", table->columns[c].name, row->cells[c].text);
	if (!json)
		return;
	builder = json_builder_new();
	add_object(builder, table, row);
	print_json(builder);
}

void
out_name(const char *name, bool json)
{
	g_autoptr(JsonBuilder) builder = NULL;

	if (!json) {
		(void)puts(name);
		return;
	}
	builder = json_builder_new();
	json_builder_begin_object(builder);
	json_builder_set_member_name(builder, "name");
	json_builder_add_string_value(builder, name);
	json_builder_end_object(builder);
	print_json(builder);
}

void
out_words(char **words, bool json)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_array(builder);
	for (; *words; words++) {
		g_autofree char *safe = bn_str_escape(*words, strlen(*words), VALUE_MAX);

		if (!json)
			(void)puts(safe);
		json_builder_add_string_value(builder, safe);
	}
	json_builder_end_array(builder);
	if (json)
		print_json(builder);
}
