/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options that `vm run` and `vm create` have in common. */
#pragma once

#include "client/cli.h"

typedef struct CreateOptions {
	char *name, *image, *kernel, *memory, *disk, *vmm, *accelerator, *init;
	int vcpus;
} CreateOptions;

/* Entries for them, to be put before a command's own; `n` entries, no end mark. */
#define CREATE_ENTRIES(o)                                                                            \
	{ "name",    0,                                                                              \
	  0,         G_OPTION_ARG_STRING,                                                            \
	  &(o).name, N_("the VM's name: a-z, 0-9 and hyphens; otherwise one is made up"),            \
	  N_("NAME") },                                                                              \
		{ "image",    0,                                                                     \
		  0,          G_OPTION_ARG_STRING,                                                   \
		  &(o).image, N_("its image; otherwise the default one"),                            \
		  N_("IMAGE") },                                                                     \
		{ "kernel",    0,                                                                    \
		  0,           G_OPTION_ARG_STRING,                                                  \
		  &(o).kernel, N_("its kernel; otherwise the default one"),                          \
		  N_("KERNEL") },                                                                    \
		{ "vcpus",          0,          0,                                                   \
		  G_OPTION_ARG_INT, &(o).vcpus, N_("number of processors; otherwise 2"),             \
		  N_("N") },                                                                         \
		{ "memory",    0,                                                                    \
		  0,           G_OPTION_ARG_STRING,                                                  \
		  &(o).memory, N_("size of its memory, like 512M or 4G; otherwise 1G"),              \
		  N_("SIZE") },                                                                      \
		{ "disk",    0,                                                                      \
		  0,         G_OPTION_ARG_STRING,                                                    \
		  &(o).disk, N_("size of its disk; only what is written takes space; otherwise 8G"), \
		  N_("SIZE") },                                                                      \
		{ "vmm",    0,                                                                       \
		  0,        G_OPTION_ARG_STRING,                                                     \
		  &(o).vmm, N_("qemu-microvm (the default) or qemu-q35"),                            \
		  N_("VMM") },                                                                       \
		{ "accelerator",                                                                     \
		  0,                                                                                 \
		  0,                                                                                 \
		  G_OPTION_ARG_STRING,                                                               \
		  &(o).accelerator,                                                                  \
		  N_("auto (the default), kvm or tcg"),                                              \
		  N_("KIND") },                                                                      \
	{                                                                                            \
		"init", 0, 0, G_OPTION_ARG_STRING, &(o).init,                                        \
			N_("auto (the image's own, where it has one) or none"), N_("INIT")           \
	}

/* Puts what was given into the options of CreateVM. False after it has said what is wrong. */
bool create_options_fill(const CreateOptions *options, GVariantDict *dict);
void create_options_clear(CreateOptions *options);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CreateOptions, create_options_clear)

/* Makes the default image and kernel where they are missing and not named, after asking. */
bool create_prepare(Cli *cli, const CreateOptions *options, bool yes, GError **error);
