/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/manager/store-file.h"

#include <glib/gstdio.h>
#include <stdbool.h>
#include <stdlib.h>

#include "service/base/error.h"
#include "service/manager/migrations.h"
#include "service/manager/store.h"
#include "shared/base/str-util.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(sqlite3, sqlite3_close_v2)

/* The schema in a file name "state-<n>.db", else 0. */
static int
parse_file_name(const char *name)
{
	g_autofree char *number = NULL;
	uint64_t schema = 0;

	if (!g_str_has_prefix(name, "state-") || !g_str_has_suffix(name, ".db"))
		return 0;
	number = g_strndup(name + 6, strlen(name) - 6 - 3);
	return bn_str_parse_u64(number, G_MAXINT, &schema) < 0 ? 0 : (int)schema;
}

/* The newest schema of which there is a file; 0 where there is none. */
static int
find_newest(const char *directory)
{
	g_autoptr(GDir) dir = g_dir_open(directory, 0, /* error= */ NULL);
	const char *name;
	int newest = 0;

	while (dir && (name = g_dir_read_name(dir)))
		newest = MAX(newest, parse_file_name(name));
	return newest;
}

/* SQLite's NOFOLLOW refuses a link anywhere in a path; ours is about the file alone. A home may well be behind one. */
static char *
file_path(const char *directory, int schema, const char *suffix)
{
	g_autofree char *real = realpath(directory, NULL);

	return g_strdup_printf("%s/state-%d.db%s", real ? real : directory, schema, suffix);
}

static bool
set_error(sqlite3 *db, const char *path, GError **error)
{
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_FAILED, "%s: %s", path,
		    db ? sqlite3_errmsg(db) : "out of memory");
	return false;
}

static bool
open_file(const char *path, int flags, sqlite3 **ret, GError **error)
{
	g_autoptr(sqlite3) db = NULL;

	if (sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOFOLLOW, NULL) != SQLITE_OK ||
	    sqlite3_exec(db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL) != SQLITE_OK)
		return set_error(db, path, error);
	(void)sqlite3_busy_timeout(db, 5000);
	*ret = g_steal_pointer(&db);
	return true;
}

static int
get_schema(sqlite3 *db)
{
	sqlite3_stmt *statement = NULL;
	int schema = 0;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW)
		schema = sqlite3_column_int(statement, 0);
	(void)sqlite3_finalize(statement);
	return schema;
}

/* Nothing is written, not even what a reader of a shared database leaves beside it: the schema is never in there. */
static bool
is_readable(const char *directory, int schema)
{
	g_autofree char *path = file_path(directory, schema, "");
	g_autofree char *absolute = g_canonicalize_filename(path, /* relative_to= */ NULL);
	g_autofree char *uri = g_filename_to_uri(absolute, /* hostname= */ NULL, /* error= */ NULL);
	g_autofree char *immutable = uri ? g_strconcat(uri, "?immutable=1", NULL) : NULL;
	g_autoptr(sqlite3) db = NULL;

	return immutable &&
	       open_file(immutable, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, &db,
			 /* error= */ NULL) &&
	       get_schema(db) == schema;
}

int
banger_store_check(const char *directory)
{
	int newest = find_newest(directory);

	if (newest > BANGER_SCHEMA || (newest > 0 && !is_readable(directory, newest)))
		return 2;
	return newest > 0 && newest < BANGER_SCHEMA ? 1 : 0;
}

/* VACUUM INTO writes a complete, compact copy and leaves the old file as it was. */
static bool
copy_file(const char *old_path, const char *path, GError **error)
{
	g_autoptr(sqlite3) old = NULL;
	sqlite3_stmt *copy = NULL;
	bool ok;

	if (!open_file(old_path, SQLITE_OPEN_READWRITE, &old, error))
		return false;
	ok = sqlite3_prepare_v2(old, "VACUUM INTO ?", -1, &copy, NULL) == SQLITE_OK &&
	     sqlite3_bind_text(copy, 1, path, -1, SQLITE_STATIC) == SQLITE_OK &&
	     sqlite3_step(copy) == SQLITE_DONE;
	(void)sqlite3_finalize(copy);
	return ok || set_error(old, old_path, error);
}

/* Copies the content of the older file, migrates the copy, and gives it its name when it is complete. */
static bool
make_file(const char *directory, int from, GError **error)
{
	g_autofree char *path = file_path(directory, BANGER_SCHEMA, "");
	g_autofree char *temporary = file_path(directory, BANGER_SCHEMA, ".new");
	g_autofree char *old_path = file_path(directory, from, "");
	g_autoptr(sqlite3) db = NULL;

	(void)g_unlink(temporary);
	if (from > 0 && !copy_file(old_path, temporary, error))
		return false;
	if (!open_file(temporary, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &db, error))
		return false;
	if (banger_migrations_apply(db, get_schema(db)) != SQLITE_OK)
		return set_error(db, temporary, error);
	g_clear_pointer(&db, sqlite3_close_v2);
	if (g_rename(temporary, path) < 0)
		return banger_error_set_errno(error, "%s", path);
	return true;
}

sqlite3 *
banger_store_file_open(const char *directory, GError **error)
{
	g_autofree char *path = file_path(directory, BANGER_SCHEMA, "");
	int newest = find_newest(directory);
	g_autoptr(sqlite3) db = NULL;

	if (newest > BANGER_SCHEMA) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_FAILED,
			    "%s/state-%d.db was written by a newer version of banger; "
			    "it is left untouched: run that version",
			    directory, newest);
		return NULL;
	}
	if (newest < BANGER_SCHEMA && !make_file(directory, newest, error))
		return NULL;
	if (!open_file(path, SQLITE_OPEN_READWRITE, &db, error))
		return NULL;
	if (sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(db, "PRAGMA cache_size = -256", NULL, NULL, NULL) != SQLITE_OK) {
		(void)set_error(db, path, error);
		return NULL;
	}
	if (get_schema(db) != BANGER_SCHEMA) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_FAILED,
			    "%s is not what its name says; move it away to begin anew", path);
		return NULL;
	}
	return g_steal_pointer(&db);
}
