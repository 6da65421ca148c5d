/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the command table and each command's options tell: help for people, words for completion. */
#pragma once

#include "client/cli.h"

/* The usage and a line for every command, or for those of one noun. */
void help_print(const char *noun);
/* All about one command. */
void help_print_command(const Command *command);
/* Its options as words, each with a space before it. */
void help_print_words(const Command *command);

/* The command that runs; how it is used: "banger vm show VM"; and what to type for help about as much as was
 * understood: "banger vm show --help". Both are the caller's to free. */
void help_set_current(const Command *command);
char *help_make_usage(void);
char *help_make_way(void);

/* cli_parse() asks it first: whether a command is only to describe its options, which is then done. */
bool help_describe(const GOptionEntry *entries);

/* The command that is meant by these words, or NULL after it has said what is wrong. `verb` may be NULL. */
const Command *help_find(const char *noun, const char *verb);
