/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The schemas that there have been, in order. */
#pragma once

#include <sqlite3.h>

/* The newest schema; a database says its own in PRAGMA user_version. */
#define BANGER_SCHEMA 3

/* Brings an open database from the schema `from` (0: empty) to BANGER_SCHEMA in one transaction. Returns an SQLite
 * result code. */
int banger_migrations_apply(sqlite3 *db, int from);
