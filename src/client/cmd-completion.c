/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* completion: scripts made from the command table; needs no daemon. */
#include <stdio.h>
#include <string.h>

#include "client/cli.h"
#include "client/help.h"
#include "service/base/vm-spec.h"

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

/* Whose names a command's arguments are, or NULL. */
static const char *
find_kind(const Command *command)
{
	static const struct {
		const char *argument, *kind;
	} kinds[] = { { "VM", "vm" }, { "IMAGE", "image" }, { "KERNEL", "kernel" } };

	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (strstr(command->arguments, kinds[i].argument))
			return kinds[i].kind;
	return NULL;
}

static char *
list_vmms(void)
{
	g_autoptr(GStrvBuilder) words = g_strv_builder_new();
	g_auto(GStrv) list = NULL;

	for (int i = 0; i < _BN_VMM_MAX; i++)
		g_strv_builder_add(words, bn_vmm_kind_to_string((BnVmmKind)i));
	list = g_strv_builder_end(words);
	return g_strjoinv(" ", list);
}

static char *
list_accelerators(void)
{
	g_autoptr(GStrvBuilder) words = g_strv_builder_new();
	g_auto(GStrv) list = NULL;

	for (int i = 0; i < _BANGER_ACCELERATOR_MAX; i++)
		g_strv_builder_add(words, banger_accelerator_to_string((BangerAccelerator)i));
	list = g_strv_builder_end(words);
	return g_strjoinv(" ", list);
}

static void
print_bash_values(void)
{
	g_autofree char *vmms = list_vmms(), *accelerators = list_accelerators();

	(void)printf(
		"\tcase ${COMP_WORDS[COMP_CWORD - 1]} in\n"
		"\t--image) COMPREPLY=($(compgen -W \"$(_banger_names image)\" -- \"$cur\")); return ;;\n"
		"\t--kernel) COMPREPLY=($(compgen -W \"$(_banger_names kernel)\" -- \"$cur\")); return ;;\n"
		"\t--vmm) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n"
		"\t--accelerator) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n"
		"\t--init) COMPREPLY=($(compgen -W 'auto none' -- \"$cur\")); return ;;\n"
		"\tesac\n",
		vmms, accelerators);
}

/* The word behind the noun. */
static void
print_bash_verbs(void)
{
	g_autofree char *nouns = list_nouns();
	g_auto(GStrv) words = g_strsplit(nouns, " ", -1);

	for (char **noun = words; *noun; noun++) {
		g_autofree char *verbs = list_verbs(*noun);

		if (*verbs)
			(void)printf("\t\t%s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")) ;;\n",
				     *noun, verbs);
	}
	for (const Command *c = commands; c->noun; c++) {
		g_autofree char *choice = g_strdelimit(g_strdup(c->arguments), "|", ' ');

		if (!c->verb && *choice)
			(void)printf("\t\t%s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")) ;;\n",
				     c->noun, choice);
	}
}

static void
print_bash(void)
{
	g_autofree char *nouns = list_nouns();

	(void)puts("_banger_names() {\n"
		   "\tlocal name rest\n"
		   "\tbanger \"$1\" list 2>/dev/null | while read -r name rest; do\n"
		   "\t\t[[ $name == NAME ]] || echo \"$name\"\n"
		   "\tdone\n"
		   "}\n"
		   "_banger() {\n"
		   "\tlocal cur=${COMP_WORDS[COMP_CWORD]}\n"
		   "\tCOMPREPLY=()");
	print_bash_values();
	(void)printf(
		"\tcase $COMP_CWORD in\n"
		"\t1) COMPREPLY=($(compgen -W '%s --json --quiet --no-ask --help --version' -- \"$cur\")) ;;\n"
		"\t2) case ${COMP_WORDS[1]} in\n",
		nouns);
	print_bash_verbs();
	(void)puts("\t\tesac ;;\n\t*) case \"${COMP_WORDS[1]} ${COMP_WORDS[2]} $cur\" in");
	for (const Command *c = commands; c->noun; c++) {
		const char *kind = find_kind(c);

		if (!c->verb)
			continue;
		/* Options once they have begun, where names may stand too. */
		(void)printf("\t\t'%s %s '%s*) COMPREPLY=($(compgen -W '--help", c->noun, c->verb,
			     kind ? "-" : "");
		help_print_words(c);
		(void)puts("' -- \"$cur\")) ;;");
		if (kind)
			(void)printf(
				"\t\t'%s %s '*) COMPREPLY=($(compgen -W \"$(_banger_names %s)\" -- \"$cur\")) ;;\n",
				c->noun, c->verb, kind);
	}
	(void)puts("\t\tesac ;;\n\tesac\n}\ncomplete -o default -F _banger banger");
}

static void
print_fish(void)
{
	(void)puts(
		"function __banger_names\n"
		"\tbanger $argv[1] list 2>/dev/null | string replace -r ' .*' '' | string match -v NAME\n"
		"end");
	for (const Command *c = commands; c->noun; c++) {
		const char *kind = find_kind(c);

		if (c->verb)
			(void)printf(
				"complete -c banger -n '__fish_seen_subcommand_from %s' -a %s -d \"%s\"\n",
				c->noun, c->verb, c->summary);
		else
			(void)printf(
				"complete -c banger -n __fish_use_subcommand -a %s -d \"%s\"\n",
				c->noun, c->summary);
		if (c->verb && kind)
			(void)printf(
				"complete -c banger -n '__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s' -a '(__banger_names %s)'\n",
				c->noun, c->verb, kind);
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
