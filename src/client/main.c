/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger: the command table, help, and the way to each command. */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "client/cli.h"

const Command commands[] = {
	{ "vm", "run", "[OPTIONS] [-- COMMAND…]",
	  "create and start a VM, and run a command or a shell in it", cmd_vm_run },
	{ "vm", "create", "[OPTIONS]", "create a VM without starting it", cmd_vm_create },
	{ "vm", "start", "VM…", "start VMs, or let paused ones go on", cmd_vm_start },
	{ "vm", "stop", "[--timeout S] VM…", "shut VMs down, losing nothing", cmd_vm_stop },
	{ "vm", "restart", "[--timeout S] VM…", "stop VMs and start them again", cmd_vm_restart },
	{ "vm", "kill", "[--signal NAME] VM…",
	  "send a signal to VMs' VMMs, without a word to the guests", cmd_vm_kill },
	{ "vm", "delete", "[-f] VM…", "destroy VMs and their disks", cmd_vm_delete },
	{ "vm", "list", "", "list the VMs", cmd_vm_list },
	{ "vm", "show", "VM", "tell all about a VM", cmd_vm_show },
	{ "vm", "exec", "[OPTIONS] VM [--] COMMAND…", "run a command in a VM", cmd_vm_exec },
	{ "vm", "shell", "[OPTIONS] VM", "open a shell in a VM", cmd_vm_shell },
	{ "vm", "logs", "[-f] VM", "show what a guest wrote to its serial port", cmd_vm_logs },
	{ "vm", "console", "VM", "open a guest's serial port; Ctrl-] leaves it", cmd_vm_console },
	{ "ps", NULL, "", "the same as 'vm list'", cmd_vm_list },
	{ "image", "build", "[OPTIONS]", "build an image from Debian packages", cmd_image_build },
	{ "image", "import", "--name NAME FILE|-", "make an image of a tar archive",
	  cmd_image_import },
	{ "image", "list", "", "list the images", cmd_image_list },
	{ "image", "show", "IMAGE", "tell all about an image", cmd_image_show },
	{ "image", "delete", "IMAGE…", "delete images that no VM uses", cmd_image_delete },
	{ "image", "default", "IMAGE", "make it the one a VM gets where none is named",
	  cmd_image_default },
	{ "kernel", "import", "--fetch | --package FILE | --vmlinuz FILE [--modules TAR]",
	  "make a kernel that VMs can boot", cmd_kernel_import },
	{ "kernel", "list", "", "list the kernels", cmd_kernel_list },
	{ "kernel", "show", "KERNEL", "tell all about a kernel", cmd_kernel_show },
	{ "kernel", "delete", "KERNEL…", "delete kernels that no VM uses", cmd_kernel_delete },
	{ "kernel", "default", "KERNEL", "make it the one a VM gets where none is named",
	  cmd_kernel_default },
	{ "doctor", NULL, "", "look whether everything VMs need is there; changes nothing",
	  cmd_doctor },
	{ "completion", NULL, "bash|zsh|fish", "print a completion script", cmd_completion },
	{ "version", NULL, "", "print the version", cmd_version },
	{ NULL, NULL, NULL, NULL, NULL },
};

static const char *terminal_kind;

const char *
cli_terminal_kind(void)
{
	return terminal_kind;
}

static void
print_help(const char *noun)
{
	(void)puts("usage: banger [--json] [--quiet] [--no-ask] COMMAND\n");
	for (const Command *c = commands; c->noun; c++) {
		g_autofree char *name = g_strdup_printf("%s%s%s", c->noun, c->verb ? " " : "",
							c->verb ? c->verb : "");

		if (noun && !g_str_equal(noun, c->noun))
			continue;
		(void)printf("  %-16s %s\n", name, c->summary);
		if (noun)
			(void)printf("  %16s banger %s %s\n", "", name, c->arguments);
	}
	(void)puts("\n  --json     results as JSON\n"
		   "  --quiet    no progress\n"
		   "  --no-ask   never ask a question\n"
		   "\nbanger NOUN --help tells more.");
}

int
cmd_version(Cli *cli, int argc, char **argv)
{
	if (!cli_parse(NULL, &argc, &argv, 0, 0))
		return CLI_USAGE;
	(void)printf(cli->json ? "{ \"version\" : \"%s\" }\n" : "banger %s\n", BANGER_VERSION);
	return CLI_OK;
}

static const Command *
find_command(int argc, char **argv)
{
	bool noun_known = false;

	for (const Command *c = commands; c->noun; c++) {
		if (!g_str_equal(c->noun, argv[0]))
			continue;
		noun_known = true;
		if (!c->verb || (argc > 1 && g_str_equal(c->verb, argv[1])))
			return c;
	}
	if (!noun_known)
		(void)cli_usage("there is no command '%s'", argv[0]);
	else if (argc < 2)
		(void)cli_usage("what about '%s'? See 'banger %s --help'", argv[0], argv[0]);
	else
		(void)cli_usage("there is no command '%s %s'", argv[0], argv[1]);
	return NULL;
}

/* Reads what stands before the noun. False where there is nothing more to do, with the exit status. */
static bool
read_globals(Cli *cli, int *argc, char ***argv, int *ret_status)
{
	*ret_status = CLI_OK;
	for ((*argc)--, (*argv)++; *argc > 0 && (*argv)[0][0] == '-'; (*argc)--, (*argv)++) {
		const char *option = (*argv)[0];

		if (g_str_equal(option, "--json")) {
			cli->json = true;
		} else if (g_str_equal(option, "--quiet") || g_str_equal(option, "-q")) {
			cli->quiet = true;
		} else if (g_str_equal(option, "--no-ask")) {
			cli->no_ask = true;
		} else if (g_str_equal(option, "--help") || g_str_equal(option, "-h")) {
			print_help(NULL);
			return false;
		} else if (g_str_equal(option, "--version")) {
			(void)puts("banger " BANGER_VERSION);
			return false;
		} else {
			*ret_status = cli_usage("there is no option '%s'", option);
			return false;
		}
	}
	if (*argc > 0)
		return true;
	print_help(NULL);
	*ret_status = CLI_USAGE;
	return false;
}

/* "--help" anywhere before a "--" is about the command. */
static bool
wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && !g_str_equal(argv[i], "--"); i++)
		if (g_str_equal(argv[i], "--help") || g_str_equal(argv[i], "-h"))
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	Cli cli = {};
	const Command *command;
	int status;

	(void)setlocale(LC_ALL, "");
	terminal_kind = g_getenv("TERM");
	if (!read_globals(&cli, &argc, &argv, &status))
		return status;
	if (wants_help(argc, argv)) {
		print_help(argv[0]);
		return CLI_OK;
	}
	command = find_command(argc, argv);
	if (!command)
		return CLI_USAGE;
	if (command->verb) {
		argc--;
		argv++;
	}
	status = command->run(&cli, argc, argv);
	g_clear_object(&cli.manager);
	g_clear_object(&cli.bus);
	return status;
}
