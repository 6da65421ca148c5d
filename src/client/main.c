/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger: from the words on the command line to the command. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli.h"
#include "client/help.h"
#include "shared/base/fd-util.h"
#include "shared/base/str-util.h"

static const char *terminal_kind;

const char *
cli_terminal_kind(void)
{
	return terminal_kind;
}

int
cmd_version(Cli *cli, int argc, char **argv)
{
	if (!cli_parse(cli, NULL, &argc, &argv, 0, 0))
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

/* "--help" anywhere before a "--" is about the command; behind the VM of 'vm exec' it is the guest's. */
static bool
wants_help(char **words)
{
	bool is_exec = words[0] && g_str_equal(words[0], "exec");

	for (size_t i = 0; words[i] && !g_str_equal(words[i], "--"); i++) {
		if (is_help(words[i]))
			return true;
		if (is_exec && i > 0 && words[i][0] != '-')
			return false;
	}
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
	help_set_current(command);
	return command->verb ? command->run(cli, argc - 1, argv + 1)
			     : command->run(cli, argc, argv);
}

/* D-Bus carries UTF-8 and nothing else. */
static bool
check_words(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		g_autofree char *safe = NULL;

		if (g_utf8_validate(argv[i], -1, NULL))
			continue;
		safe = bn_str_escape(argv[i], strlen(argv[i]), 200);
		(void)cli_usage(_("argument %d is not UTF-8: %s"), i, safe);
		return false;
	}
	return true;
}

static int
read_words(Cli *cli, int argc, char **argv)
{
	if (!check_words(argc, argv))
		return CLI_USAGE;
	for (argc--, argv++; argc > 0 && argv[0][0] == '-'; argc--, argv++) {
		if (read_global(cli, argv[0]))
			continue;
		if (is_help(argv[0])) {
			help_print(NULL);
			return CLI_OK;
		}
		if (g_str_equal(argv[0], "--version"))
			return cmd_version(cli, 1, argv);
		return cli_usage(_("there is no option '%s'"), argv[0]);
	}
	if (argc == 0) {
		help_print(NULL);
		return CLI_USAGE;
	}
	return run(cli, argc, argv);
}

/* What was printed counts only once it is out. */
static int
check_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	cli_tell_write_error(errno);
	return status == CLI_OK ? CLI_FAILED : status;
}

/* What cannot be written to is to fail, as it does for every other program. */
static void
keep_output_closed(void)
{
	int fd;

	if (fcntl(STDOUT_FILENO, F_GETFD) >= 0)
		return;
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fd != STDOUT_FILENO) {
		(void)dup2(fd, STDOUT_FILENO);
		(void)close(fd);
	}
}

int
main(int argc, char **argv)
{
	Cli cli = {};
	int status;

	keep_output_closed();
	bn_fd_fill_standard();
	(void)setlocale(LC_ALL, "");
	(void)bindtextdomain(GETTEXT_PACKAGE, BANGER_LOCALEDIR);
	(void)bind_textdomain_codeset(GETTEXT_PACKAGE, "UTF-8");
	(void)textdomain(GETTEXT_PACKAGE);
	terminal_kind = g_getenv("TERM");
	status = read_words(&cli, argc, argv);
	g_clear_object(&cli.manager);
	g_clear_object(&cli.bus);
	return check_output(status);
}
