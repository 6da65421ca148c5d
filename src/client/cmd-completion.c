/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* completion: scripts made from the command table; needs no daemon. */
#include <stdio.h>

#include "client/cli.h"
#include "client/help.h"

static char *
list_nouns(void)
{
	g_autoptr(GString) nouns = g_string_new(NULL);
	const char *last = "";

	for (const Command *c = commands; c->noun; c++) {
		if (!g_str_equal(c->noun, last))
			g_string_append_printf(nouns, "%s%s", nouns->len ? " " : "", c->noun);
		last = c->noun;
	}
	return g_string_free(g_steal_pointer(&nouns), FALSE);
}

static char *
list_verbs(const char *noun)
{
	g_autoptr(GString) verbs = g_string_new(NULL);

	for (const Command *c = commands; c->noun; c++)
		if (c->verb && g_str_equal(c->noun, noun))
			g_string_append_printf(verbs, "%s%s", verbs->len ? " " : "", c->verb);
	return g_string_free(g_steal_pointer(&verbs), FALSE);
}

static void
print_bash(void)
{
	g_autofree char *nouns = list_nouns();
	g_auto(GStrv) words = g_strsplit(nouns, " ", -1);

	(void)printf(
		"_banger() {\n"
		"\tlocal cur=${COMP_WORDS[COMP_CWORD]}\n"
		"\tcase $COMP_CWORD in\n"
		"\t1) COMPREPLY=($(compgen -W '%s --json --quiet --no-ask --help --version' -- \"$cur\")) ;;\n"
		"\t2) case ${COMP_WORDS[1]} in\n",
		nouns);
	for (char **noun = words; *noun; noun++) {
		g_autofree char *verbs = list_verbs(*noun);

		if (*verbs)
			(void)printf("\t\t%s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")) ;;\n",
				     *noun, verbs);
	}
	(void)puts("\t\tesac ;;\n\t*) case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in");
	for (const Command *c = commands; c->noun; c++) {
		if (!c->verb)
			continue;
		(void)printf("\t\t'%s %s') COMPREPLY=($(compgen -W '--help", c->noun, c->verb);
		help_print_words(c);
		(void)puts("' -- \"$cur\")) ;;");
	}
	(void)puts("\t\tesac ;;\n\tesac\n}\ncomplete -o default -F _banger banger");
}

static void
print_fish(void)
{
	for (const Command *c = commands; c->noun; c++) {
		if (c->verb)
			(void)printf(
				"complete -c banger -n '__fish_seen_subcommand_from %s' -a %s -d \"%s\"\n",
				c->noun, c->verb, c->summary);
		else
			(void)printf(
				"complete -c banger -n __fish_use_subcommand -a %s -d \"%s\"\n",
				c->noun, c->summary);
	}
	(void)puts("complete -c banger -n __fish_use_subcommand -a 'vm image kernel'");
}

int
cmd_completion(Cli *cli, int argc, char **argv)
{
	if (!cli_parse(cli, NULL, &argc, &argv, 1, 1))
		return CLI_USAGE;
	if (g_str_equal(argv[1], "bash")) {
		print_bash();
	} else if (g_str_equal(argv[1], "zsh")) {
		/* zsh runs bash's completions once it is told to. */
		(void)puts("autoload -U +X bashcompinit && bashcompinit");
		print_bash();
	} else if (g_str_equal(argv[1], "fish")) {
		print_fish();
	} else {
		return cli_usage(_("'%s': must be bash, zsh or fish"), argv[1]);
	}
	return CLI_OK;
}
