/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options that `vm run` and `vm create` have in common. */
#pragma once

#include "client/cli.h"

typedef struct CreateOptions {
	char *name, *image, *kernel, *memory, *disk, *vmm, *accelerator, *init;
	int vcpus;
} CreateOptions;

/* Entries for them, to be put before a command's own; `n` entries, no end mark. */
#define CREATE_ENTRIES(o)                                                                          \
	{ "name", 0, 0, G_OPTION_ARG_STRING, &(o).name, NULL, NULL },                              \
		{ "image", 0, 0, G_OPTION_ARG_STRING, &(o).image, NULL, NULL },                    \
		{ "kernel", 0, 0, G_OPTION_ARG_STRING, &(o).kernel, NULL, NULL },                  \
		{ "vcpus", 0, 0, G_OPTION_ARG_INT, &(o).vcpus, NULL, NULL },                       \
		{ "memory", 0, 0, G_OPTION_ARG_STRING, &(o).memory, NULL, NULL },                  \
		{ "disk", 0, 0, G_OPTION_ARG_STRING, &(o).disk, NULL, NULL },                      \
		{ "vmm", 0, 0, G_OPTION_ARG_STRING, &(o).vmm, NULL, NULL },                        \
		{ "accelerator", 0, 0, G_OPTION_ARG_STRING, &(o).accelerator, NULL, NULL },        \
	{                                                                                          \
		"init", 0, 0, G_OPTION_ARG_STRING, &(o).init, NULL, NULL                           \
	}

/* Puts what was given into the options of CreateVM. False after it has said what is wrong. */
bool create_options_fill(const CreateOptions *options, GVariantDict *dict);
void create_options_clear(CreateOptions *options);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CreateOptions, create_options_clear)

/* Makes the default image and kernel where they are missing and not named, after asking. */
bool create_prepare(Cli *cli, const CreateOptions *options, bool yes, GError **error);
