/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/help.h"

#include <stdio.h>
#include <string.h>

/* A word that is further off was meant otherwise. */
#define NEAR 2

typedef enum Wanted { NOTHING, LINES, WORDS } Wanted;

/* A command's options stand where it reads them, so they are asked for by running it up to there. */
static Wanted wanted = NOTHING;

/* "-d, --detach", "    --name NAME". Owned. */
static char *
option_usage(const GOptionEntry *entry)
{
	g_autoptr(GString) text = g_string_new(NULL);

	if (entry->short_name)
		g_string_append_printf(text, "-%c, ", entry->short_name);
	else
		g_string_append(text, "    ");
	g_string_append_printf(text, "--%s", entry->long_name);
	if (entry->arg_description)
		g_string_append_printf(text, " %s", _(entry->arg_description));
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
print_lines(const GOptionEntry *entries)
{
	glong width = 0;

	for (const GOptionEntry *entry = entries; entry->long_name; entry++) {
		g_autofree char *usage = option_usage(entry);

		width = MAX(width, g_utf8_strlen(usage, -1));
	}
	(void)printf("\n%s\n", _("Options:"));
	for (const GOptionEntry *entry = entries; entry->long_name; entry++) {
		g_autofree char *usage = option_usage(entry);

		(void)printf("  %s%*s  %s\n", usage, (int)(width - g_utf8_strlen(usage, -1)), "",
			     _(entry->description));
	}
}

bool
help_describe(const GOptionEntry *entries)
{
	if (wanted == LINES && entries)
		print_lines(entries);
	for (; wanted == WORDS && entries && entries->long_name; entries++)
		(void)printf(" --%s", entries->long_name);
	return wanted != NOTHING;
}

static void
describe(const Command *command, Wanted what)
{
	char *argv[] = { (char *)(command->verb ? command->verb : command->noun), NULL };

	wanted = what;
	(void)command->run(&(Cli){}, 1, argv);
	wanted = NOTHING;
}

static const Command *current;

void
help_set_current(const Command *command)
{
	current = command;
}

const char *
help_get_way(void)
{
	static char way[64] = "banger --help";

	if (current)
		(void)g_snprintf(way, sizeof(way), "banger %s%s%s --help", current->noun,
				 current->verb ? " " : "", current->verb ? current->verb : "");
	return way;
}

static char *
command_name(const Command *command)
{
	return command->verb ? g_strdup_printf("%s %s", command->noun, command->verb)
			     : g_strdup(command->noun);
}

void
help_print_words(const Command *command)
{
	describe(command, WORDS);
}

void
help_print_command(const Command *command)
{
	g_autofree char *name = command_name(command);

	(void)printf("%s banger [--json] [--quiet] [--no-ask] %s%s%s\n\n%s\n", _("usage:"), name,
		     *command->arguments ? " " : "",
		     *command->arguments ? _(command->arguments) : "", _(command->summary));
	describe(command, LINES);
	if (command->details)
		(void)printf("\n%s\n", _(command->details));
}

void
help_print(const char *noun)
{
	(void)printf("%s banger [--json] [--quiet] [--no-ask] %s\n\n", _("usage:"), _("COMMAND"));
	for (const Command *c = commands; c->noun; c++) {
		g_autofree char *name = command_name(c);

		if (!noun || g_str_equal(noun, c->noun))
			(void)printf("  %-16s %s\n", name, _(c->summary));
	}
	(void)printf("\n  --json           %s\n"
		     "  --quiet          %s\n"
		     "  --no-ask         %s\n"
		     "  --version        %s\n"
		     "\n%s\n",
		     _("results as JSON"), _("no progress, and no names of what was done"),
		     _("never ask a question"), _("print the version"),
		     _("'banger COMMAND --help' tells more; so does the manual page banger(1)."));
}

/* How many letters must be added, left out or replaced to make one of the other: Wagner and Fischer's way. */
static size_t
distance(const char *a, const char *b)
{
	size_t n = strlen(b);
	g_autofree size_t *row = g_new(size_t, n + 1);

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t corner = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t replaced = corner + (a[i] != b[j]);

			corner = row[j + 1];
			row[j + 1] = MIN(replaced, MIN(row[j], row[j + 1]) + 1);
		}
	}
	return row[n];
}

/* The noun, or the noun's verb, that looks most like the word; NULL where none does. */
static const char *
nearest(const char *noun, const char *word)
{
	const char *best = NULL;
	size_t least = NEAR + 1;

	for (const Command *c = commands; c->noun; c++) {
		const char *candidate = noun ? c->verb : c->noun;

		if (!candidate || (noun && !g_str_equal(noun, c->noun)) ||
		    distance(word, candidate) >= least)
			continue;
		best = candidate;
		least = distance(word, candidate);
	}
	return best;
}

const Command *
help_find(const char *noun, const char *verb)
{
	const char *meant;
	bool known = false;

	for (const Command *c = commands; c->noun; c++) {
		if (!g_str_equal(c->noun, noun))
			continue;
		known = true;
		if (!c->verb || g_strcmp0(c->verb, verb) == 0)
			return c;
	}
	meant = known && !verb ? NULL : nearest(known ? noun : NULL, known ? verb : noun);
	if (known && !verb)
		(void)cli_usage(_("a word is missing: 'banger %s --help' shows which there are"),
				noun);
	else if (meant)
		(void)cli_usage(_("there is no command '%s%s%s': do you mean '%s'?"),
				known ? noun : "", known ? " " : "", known ? verb : noun, meant);
	else
		(void)cli_usage(_("there is no command '%s%s%s'"), known ? noun : "",
				known ? " " : "", known ? verb : noun);
	return NULL;
}
