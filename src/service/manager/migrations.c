/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/manager/migrations.h"

#include <stdio.h>

#include "shared/base/macro.h"

/* steps[n] brings schema n to n + 1. A step that has been released is never edited. */
static const char *const steps[] = {
	"CREATE TABLE image ("
	"  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, digest TEXT NOT NULL,"
	"  size INTEGER NOT NULL, disk_usage INTEGER NOT NULL, init TEXT NOT NULL,"
	"  source TEXT NOT NULL, created INTEGER NOT NULL) STRICT;"
	"CREATE TABLE kernel ("
	"  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, release TEXT NOT NULL,"
	"  digest TEXT NOT NULL, disk_usage INTEGER NOT NULL, source TEXT NOT NULL,"
	"  created INTEGER NOT NULL) STRICT;"
	"CREATE TABLE vm ("
	"  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
	"  image TEXT NOT NULL REFERENCES image(id), kernel TEXT NOT NULL REFERENCES kernel(id),"
	"  vcpus INTEGER NOT NULL, memory INTEGER NOT NULL, disk INTEGER NOT NULL,"
	"  vmm TEXT NOT NULL, accelerator TEXT NOT NULL, use_init INTEGER NOT NULL,"
	"  driver TEXT NOT NULL, ephemeral INTEGER NOT NULL, created INTEGER NOT NULL,"
	"  started INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL,"
	"  last_error TEXT NOT NULL DEFAULT '', ready INTEGER NOT NULL DEFAULT 0) STRICT;"
	"CREATE INDEX vm_image ON vm(image);"
	"CREATE INDEX vm_kernel ON vm(kernel);"
	"CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;",
	"ALTER TABLE vm ADD COLUMN reach TEXT NOT NULL DEFAULT 'none';"
	"ALTER TABLE vm ADD COLUMN peer INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE vm ADD COLUMN host INTEGER NOT NULL DEFAULT 0;"
	"UPDATE vm SET host = rowid + 1;"
	"CREATE UNIQUE INDEX vm_host ON vm(host);",
	"ALTER TABLE vm ADD COLUMN ports TEXT NOT NULL DEFAULT '';",
};

_Static_assert(BN_ELEMENTSOF(steps) == BANGER_SCHEMA, "one step per schema");

int
banger_migrations_apply(sqlite3 *db, int from)
{
	char pragma[64];
	int r = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	for (int i = from; r == SQLITE_OK && i < BANGER_SCHEMA; i++)
		r = sqlite3_exec(db, steps[i], NULL, NULL, NULL);
	(void)snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", BANGER_SCHEMA);
	if (r == SQLITE_OK)
		r = sqlite3_exec(db, pragma, NULL, NULL, NULL);
	if (r == SQLITE_OK)
		return sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}
