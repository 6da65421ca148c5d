/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options that `vm run` and `vm create` have in common. */
#pragma once

#include "client/cli.h"
#include "service/base/port-list.h"

typedef struct CreateOptions {
	char *name, *image, *kernel, *vcpus, *memory, *disk, *vmm, *accelerator, *init, *network;
	char **publish;
	gboolean nat, lan, peer;
} CreateOptions;

#define CREATE_ENTRIES_MAX 24

/* The entries for them, then a command's own, up to and with the end mark. */
void create_options_entries(CreateOptions *options, const GOptionEntry *own,
			    GOptionEntry ret[static CREATE_ENTRIES_MAX]);

/* What --network, --nat and --lan come to; NULL where none was given, "" after it has said what is wrong. */
const char *create_network(const char *network, bool nat, bool lan);

/* Puts those of --publish or --unpublish into `dict`, and into `list`. False after it has said what is wrong. */
bool create_ports(GVariantDict *dict, const char *key, char **texts, GArray *list);

/* Puts what was given into the options of CreateVM. False after it has said what is wrong. */
bool create_options_fill(const CreateOptions *options, GVariantDict *dict);
void create_options_clear(CreateOptions *options);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CreateOptions, create_options_clear)

/* Makes the default image and kernel where they are missing and not named, after asking. */
bool create_prepare(Cli *cli, const CreateOptions *options, bool yes, GError **error);
