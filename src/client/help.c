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

/* Those that every command has; cli_parse() and main() read them. */
static const GOptionEntry general[] = {
	{ "json", 0, 0, G_OPTION_ARG_NONE, NULL, N_("results as JSON"), NULL },
	{ "quiet", 'q', 0, G_OPTION_ARG_NONE, NULL,
	  N_("no progress, and no names of what was done"), NULL },
	{ "no-ask", 0, 0, G_OPTION_ARG_NONE, NULL, N_("never ask a question"), NULL },
	{ "help", 'h', 0, G_OPTION_ARG_NONE, NULL, N_("print this; with a command, all about it"),
	  NULL },
	{ "version", 0, 0, G_OPTION_ARG_NONE, NULL, N_("print the version"), NULL },
	{ NULL },
};

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

/* The words of the command line that are understood. */
static const Command *current;
static const char *current_noun;

void
help_set_current(const Command *command)
{
	current = command;
}

static char *
command_name(const Command *command)
{
	return command->verb ? g_strdup_printf("%s %s", command->noun, command->verb)
			     : g_strdup(command->noun);
}

char *
help_make_usage(void)
{
	g_autofree char *name = command_name(current);

	return g_strdup_printf("banger %s%s%s", name, *current->arguments ? " " : "",
			       *current->arguments ? _(current->arguments) : "");
}

char *
help_make_way(void)
{
	g_autofree char *name = current ? command_name(current) : g_strdup(current_noun);

	return name ? g_strdup_printf("banger %s --help", name) : g_strdup("banger --help");
}

void
help_print_words(const Command *command)
{
	describe(command, WORDS);
}

void
help_print_command(const Command *command)
{
	g_autofree char *usage = NULL;

	help_set_current(command);
	usage = help_make_usage();
	(void)printf("%s %s\n\n%s\n", _("usage:"), usage, _(command->summary));
	describe(command, LINES);
	if (command->details)
		(void)printf("\n%s\n", _(command->details));
	(void)printf("\n%s\n",
		     _("--json, --quiet and --no-ask go with every command: see 'banger --help'."));
}

void
help_print(const char *noun)
{
	(void)printf("%s banger %s%s%s\n\n", _("usage:"), noun ? noun : "", noun ? " " : "",
		     _("COMMAND"));
	if (!noun)
		(void)printf("%s\n\n",
			     _("real Linux virtual machines of your own, with one command"));
	for (const Command *c = commands; c->noun; c++) {
		g_autofree char *name = command_name(c);

		if (!noun || g_str_equal(noun, c->noun))
			(void)printf("  %-16s %s\n", name, _(c->summary));
	}
	if (!noun)
		print_lines(general);
	(void)printf("\n%s\n",
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
	current_noun = known ? noun : NULL;
	if (known && !verb)
		(void)cli_usage(_("a command is missing behind '%s'"), noun);
	else if (meant)
		(void)cli_usage(_("there is no command '%s%s%s': do you mean '%s'?"),
				known ? noun : "", known ? " " : "", known ? verb : noun, meant);
	else
		(void)cli_usage(_("there is no command '%s%s%s'"), known ? noun : "",
				known ? " " : "", known ? verb : noun);
	return NULL;
}
