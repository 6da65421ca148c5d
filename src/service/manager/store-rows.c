/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/manager/store-rows.h"

#include <string.h>

#include "service/base/error.h"
#include "shared/base/str-util.h"
#include "shared/rules/names.h"

#define SHOWN_MAX 200

/* One row, column by column; the first that cannot be decides what is said. */
typedef struct Reader {
	sqlite3_stmt *statement;
	const char *what;
	GError *error;
} Reader;

static char *
show(Reader *reader, int column)
{
	const char *value = (const char *)sqlite3_column_text(reader->statement, column);
	int size = sqlite3_column_bytes(reader->statement, column);

	return bn_str_escape(value ? value : "", value ? (size_t)size : 0, SHOWN_MAX);
}

/* The name is the second column of them all. */
static void
refuse(Reader *reader, int column)
{
	g_autofree char *name = show(reader, 1), *value = show(reader, column);

	if (!reader->error)
		reader->error =
			g_error_new(BANGER_ERROR, BANGER_ERROR_FAILED,
				    "the state is damaged: %s %s: %s cannot be '%s'", reader->what,
				    name, sqlite3_column_name(reader->statement, column), value);
}

/* Like everything that goes to the bus. */
static char *
read_text(Reader *reader, int column)
{
	const char *value = (const char *)sqlite3_column_text(reader->statement, column);
	int size = sqlite3_column_bytes(reader->statement, column);

	if (value && strlen(value) == (size_t)size && g_utf8_validate(value, size, NULL))
		return g_strdup(value);
	refuse(reader, column);
	return g_strdup("");
}

static char *
read_checked(Reader *reader, int column, bool (*is_right)(const char *))
{
	char *value = read_text(reader, column);

	if (!is_right(value))
		refuse(reader, column);
	return value;
}

static int64_t
read_number(Reader *reader, int column, int64_t max)
{
	int64_t value = sqlite3_column_int64(reader->statement, column);

	if (value < 0 || value > max)
		refuse(reader, column);
	return value;
}

/* One of the words of an enumeration. */
static int
read_word(Reader *reader, int column, int (*parse)(const char *))
{
	g_autofree char *word = read_text(reader, column);
	int value = parse(word);

	if (value < 0)
		refuse(reader, column);
	return value;
}

BangerImageRow *
banger_image_row_read(sqlite3_stmt *statement, GError **error)
{
	Reader reader = { .statement = statement, .what = "image" };
	g_autoptr(BangerImageRow) row = g_new0(BangerImageRow, 1);

	row->id = read_checked(&reader, 0, bn_names_is_id);
	row->name = read_checked(&reader, 1, bn_names_is_object);
	row->digest = read_text(&reader, 2);
	row->size = (uint64_t)read_number(&reader, 3, INT64_MAX);
	row->disk_usage = (uint64_t)read_number(&reader, 4, INT64_MAX);
	row->init = read_text(&reader, 5);
	row->source = read_text(&reader, 6);
	row->created_us = read_number(&reader, 7, INT64_MAX);
	if (!reader.error)
		return g_steal_pointer(&row);
	g_propagate_error(error, reader.error);
	return NULL;
}

BangerKernelRow *
banger_kernel_row_read(sqlite3_stmt *statement, GError **error)
{
	Reader reader = { .statement = statement, .what = "kernel" };
	g_autoptr(BangerKernelRow) row = g_new0(BangerKernelRow, 1);

	row->id = read_checked(&reader, 0, bn_names_is_id);
	row->name = read_checked(&reader, 1, bn_names_is_object);
	row->release = read_text(&reader, 2);
	row->digest = read_text(&reader, 3);
	row->disk_usage = (uint64_t)read_number(&reader, 4, INT64_MAX);
	row->source = read_text(&reader, 5);
	row->created_us = read_number(&reader, 6, INT64_MAX);
	if (!reader.error)
		return g_steal_pointer(&row);
	g_propagate_error(error, reader.error);
	return NULL;
}

static int
parse_vmm(const char *word)
{
	return (int)bn_vmm_kind_from_string(word);
}

static int
parse_accelerator(const char *word)
{
	return (int)banger_accelerator_from_string(word);
}

static int
parse_reach(const char *word)
{
	return (int)banger_reach_from_string(word);
}

static int
parse_state(const char *word)
{
	return (int)banger_vm_state_from_string(word);
}

/* Each behind a space. */
static void
read_ports(Reader *reader, int column, GArray *ret)
{
	g_autofree char *text = read_text(reader, column);
	g_auto(GStrv) ports = g_strsplit(text, " ", -1);

	if (!banger_port_list_add(ret, (const char *const *)ports, /* error= */ NULL))
		refuse(reader, column);
}

static void
read_spec(Reader *reader, BangerVmSpec *spec)
{
	spec->id = read_checked(reader, 0, bn_names_is_id);
	spec->name = read_checked(reader, 1, bn_names_is_vm);
	spec->image = read_checked(reader, 2, bn_names_is_id);
	spec->kernel = read_checked(reader, 3, bn_names_is_id);
	spec->vcpus = (uint32_t)read_number(reader, 4, BN_VCPUS_MAX);
	spec->memory_bytes = (uint64_t)read_number(reader, 5, INT64_MAX);
	spec->disk_bytes = (uint64_t)read_number(reader, 6, INT64_MAX);
	spec->vmm = (BnVmmKind)read_word(reader, 7, parse_vmm);
	spec->accelerator = (BangerAccelerator)read_word(reader, 8, parse_accelerator);
	spec->use_init = read_number(reader, 9, 1) != 0;
	spec->ephemeral = read_number(reader, 10, 1) != 0;
	spec->created_us = read_number(reader, 11, INT64_MAX);
}

/* What is left are the bounds that its creation was held to. */
static void
check_spec(Reader *reader, const BangerVmSpec *spec)
{
	if (reader->error || banger_vm_spec_check_kept(spec, &reader->error))
		return;
	g_prefix_error(&reader->error, "the state is damaged: VM %s: ", spec->name);
	reader->error->code = BANGER_ERROR_FAILED;
}

BangerVmRow *
banger_vm_row_read(sqlite3_stmt *statement, GError **error)
{
	Reader reader = { .statement = statement, .what = "VM" };
	g_autoptr(BangerVmRow) row = g_new0(BangerVmRow, 1);

	row->spec = banger_vm_spec_new();
	read_spec(&reader, row->spec);
	check_spec(&reader, row->spec);
	row->started_us = read_number(&reader, 12, INT64_MAX);
	row->state = (BangerVmState)read_word(&reader, 13, parse_state);
	row->last_error = read_text(&reader, 14);
	row->ready = read_number(&reader, 15, 1) != 0;
	row->spec->reach = (BangerReach)read_word(&reader, 16, parse_reach);
	row->spec->peer = read_number(&reader, 17, 1) != 0;
	row->spec->host = (uint32_t)read_number(&reader, 18, UINT32_MAX);
	read_ports(&reader, 19, row->spec->ports);
	if (!reader.error)
		return g_steal_pointer(&row);
	g_propagate_error(error, reader.error);
	return NULL;
}
