/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/out.h"

#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/str-util.h"

#define VALUE_MAX 4096

struct OutTable {
	const char *const *columns;
	guint n;
	GPtrArray *rows; /* GStrv */
};

OutTable *
out_table_new(const char *const *columns)
{
	OutTable *table = g_new0(OutTable, 1);

	table->columns = columns;
	table->n = g_strv_length((char **)columns);
	table->rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
	return table;
}

void
out_table_free(OutTable *table)
{
	g_ptr_array_unref(table->rows);
	g_free(table);
}

void
out_table_add(OutTable *table, ...)
{
	char **row = g_new0(char *, table->n + 1);
	va_list args;

	va_start(args, table);
	for (guint i = 0; i < table->n; i++) {
		const char *value = va_arg(args, const char *);

		row[i] = bn_str_escape(value ? value : "", value ? strlen(value) : 0, VALUE_MAX);
	}
	va_end(args);
	g_ptr_array_add(table->rows, row);
}

static void
add_object(JsonBuilder *builder, const OutTable *table, char *const *row)
{
	json_builder_begin_object(builder);
	for (guint i = 0; i < table->n; i++) {
		json_builder_set_member_name(builder, table->columns[i]);
		json_builder_add_string_value(builder, row[i]);
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
		widths[c] = g_utf8_strlen(table->columns[c], -1);
		for (guint r = 0; r < table->rows->len; r++) {
			char **row = g_ptr_array_index(table->rows, r);

			widths[c] = MAX(widths[c], g_utf8_strlen(row[c], -1));
		}
	}
	for (guint r = 0; r <= table->rows->len; r++) {
		char **row = r ? g_ptr_array_index(table->rows, r - 1) : NULL;

		for (guint c = 0; c < table->n; c++) {
			g_autofree char *head = g_ascii_strup(table->columns[c], -1);
			const char *value = row ? row[c] : head;
			int pad = (int)(widths[c] - g_utf8_strlen(value, -1));

			(void)printf("%s%*s%s", value, c + 1 < table->n ? pad : 0, "",
				     c + 1 < table->n ? "  " : "\n");
		}
	}
}

void
out_table_print(const OutTable *table, bool json)
{
	g_autoptr(JsonBuilder) builder = NULL;

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
	char **row = g_ptr_array_index(table->rows, 0);
	g_autoptr(JsonBuilder) builder = NULL;

	for (guint c = 0; !json && c < table->n; c++)
		(void)printf("%-20s %s\n", table->columns[c], row[c]);
	if (!json)
		return;
	builder = json_builder_new();
	add_object(builder, table, row);
	print_json(builder);
}

char *
out_size(guint64 bytes)
{
	static const char units[] = "BKMGT";
	double value = (double)bytes;
	int unit = 0;

	for (; value >= 1024 && units[unit + 1]; unit++)
		value /= 1024;
	return g_strdup_printf(value < 10 && unit > 0 ? "%.1f%c" : "%.0f%c", value, units[unit]);
}

char *
out_time(gint64 us)
{
	g_autoptr(GDateTime) time = NULL;

	if (us == 0)
		return g_strdup("never");
	time = g_date_time_new_from_unix_local(us / G_USEC_PER_SEC);
	return g_date_time_format(time, "%Y-%m-%d %H:%M:%S");
}
