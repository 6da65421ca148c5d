/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger: from the words on the command line to the command. */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "client/cli.h"
#include "client/help.h"

static const char *terminal_kind;

const char *
cli_terminal_kind(void)
{
	return terminal_kind;
}

int
cmd_version(Cli *cli, int argc, char **argv)
{
	if (!cli_parse(NULL, &argc, &argv, 0, 0))
		return CLI_USAGE;
	(void)printf(cli->json ? "{ \"version\" : \"%s\" }\n" : "banger %s\n", BANGER_VERSION);
	return CLI_OK;
}

/* One of the options that every command has. */
static bool
read_global(Cli *cli, const char *option)
{
	if (g_str_equal(option, "--json"))
		cli->json = true;
	else if (g_str_equal(option, "--quiet") || g_str_equal(option, "-q"))
		cli->quiet = true;
	else if (g_str_equal(option, "--no-ask"))
		cli->no_ask = true;
	else
		return false;
	return true;
}

static bool
is_help(const char *word)
{
	return g_str_equal(word, "--help") || g_str_equal(word, "-h");
}

/* "--help" anywhere before a "--" is about the command. */
static bool
wants_help(char **words)
{
	for (; *words && !g_str_equal(*words, "--"); words++)
		if (is_help(*words))
			return true;
	return false;
}

static bool
has_verbs(const char *noun)
{
	for (const Command *c = commands; c->noun; c++)
		if (g_str_equal(c->noun, noun) && c->verb)
			return true;
	return false;
}

/* About a noun, or about a noun and its verb. */
static int
print_help(char **words)
{
	const Command *command;

	if (has_verbs(words[0]) && (!words[1] || is_help(words[1]))) {
		help_print(words[0]);
		return CLI_OK;
	}
	command = help_find(words[0], words[1]);
	if (!command)
		return CLI_USAGE;
	help_print_command(command);
	return CLI_OK;
}

static int
run(Cli *cli, int argc, char **argv)
{
	const Command *command;

	if (g_str_equal(argv[0], "help") && argc == 1) {
		help_print(NULL);
		return CLI_OK;
	}
	if (g_str_equal(argv[0], "help"))
		return print_help(argv + 1);
	if (wants_help(argv + 1))
		return print_help(argv);
	command = help_find(argv[0], argv[1]);
	if (!command)
		return CLI_USAGE;
	return command->verb ? command->run(cli, argc - 1, argv + 1)
			     : command->run(cli, argc, argv);
}

int
main(int argc, char **argv)
{
	Cli cli = {};
	int status;

	(void)setlocale(LC_ALL, "");
	(void)bindtextdomain(GETTEXT_PACKAGE, BANGER_LOCALEDIR);
	(void)bind_textdomain_codeset(GETTEXT_PACKAGE, "UTF-8");
	(void)textdomain(GETTEXT_PACKAGE);
	terminal_kind = g_getenv("TERM");
	for (argc--, argv++; argc > 0 && argv[0][0] == '-'; argc--, argv++) {
		if (read_global(&cli, argv[0]))
			continue;
		if (is_help(argv[0])) {
			help_print(NULL);
			return CLI_OK;
		}
		if (g_str_equal(argv[0], "--version"))
			return cmd_version(&cli, 1, argv);
		return cli_usage(_("there is no option '%s'"), argv[0]);
	}
	if (argc == 0) {
		help_print(NULL);
		return CLI_USAGE;
	}
	status = run(&cli, argc, argv);
	g_clear_object(&cli.manager);
	g_clear_object(&cli.bus);
	return status;
}
