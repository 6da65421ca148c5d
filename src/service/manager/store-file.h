/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The database's file: found, made, migrated, or refused. */
#pragma once

#include <glib.h>
#include <sqlite3.h>

/* See banger_store_open(); the caller's to sqlite3_close_v2(). */
sqlite3 *banger_store_file_open(const char *directory, GError **error);
