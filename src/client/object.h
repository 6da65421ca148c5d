/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What images and kernels have in common: lists, looks, deletion, defaults. */
#pragma once

#include "client/cli.h"
#include "client/out.h"

typedef struct ObjectKind {
	const char *interface;
	const OutColumn *columns;
	void (*add_row)(OutTable *table, GVariant *properties, bool is_default);
	gboolean (*find)(BangerDBusManager *manager, const char *reference, char **ret_path,
			 GCancellable *cancellable, GError **error);
} ObjectKind;

/* Waits for the job that makes one and prints its name; `error` (taken) where there is no job. */
int object_finish(Cli *cli, const char *job, GError *error);

int object_list(Cli *cli, const ObjectKind *kind, int argc, char **argv);
int object_show(Cli *cli, const ObjectKind *kind, int argc, char **argv);
int object_delete(Cli *cli, const ObjectKind *kind, int argc, char **argv);
int object_make_default(Cli *cli, const ObjectKind *kind, int argc, char **argv);
