/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm run, vm exec, vm shell: commands in guests. */
#include <stdio.h>
#include <string.h>

#include "client/cli.h"
#include "client/create.h"
#include "client/out.h"
#include "service/base/error.h"
#include "shared/base/str-util.h"
#include "shared/rules/names.h"

/* The argv is borrowed. */
static void
exec_clear(CliExec *exec)
{
	g_strfreev(exec->environment);
	g_free(exec->user);
	g_free(exec->workdir);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CliExec, exec_clear)

/* The options that say how a command runs, and those of vm run alone. */
#define EXEC_ENTRIES 3
#define OWN_ENTRIES  4

static void
exec_entries(CliExec *exec, GOptionEntry ret[static EXEC_ENTRIES])
{
	const GOptionEntry entries[EXEC_ENTRIES] = {
		{ "env", 'e', 0, G_OPTION_ARG_STRING_ARRAY, &exec->environment,
		  N_("set a variable for the command; may be repeated"), N_("NAME=VALUE") },
		{ "user", 'u', 0, G_OPTION_ARG_STRING, &exec->user,
		  N_("run the command as this user of the guest; otherwise root"), N_("USER") },
		{ "workdir", 'w', 0, G_OPTION_ARG_STRING, &exec->workdir,
		  N_("run the command in this directory; otherwise the user's home"), N_("DIR") },
	};

	memcpy(ret, entries, sizeof(entries));
}

/* The daemon's own rules, before a machine is started for nothing. */
static bool
check_exec(const CliExec *exec)
{
	for (char **variable = exec->environment; variable && *variable; variable++)
		if (!bn_names_is_variable(*variable)) {
			(void)cli_usage(_("--env %s: must be NAME=VALUE"), *variable);
			return false;
		}
	if (exec->user && !bn_names_is_user(exec->user)) {
		(void)cli_usage(
			_("--user %s: must be a name of a-z, 0-9, '-', '_' and '.', and no digit first"),
			exec->user);
		return false;
	}
	if (exec->workdir && !bn_names_is_workdir(exec->workdir)) {
		(void)cli_usage(_("--workdir %s: must be an absolute path of at most 4095 bytes"),
				exec->workdir);
		return false;
	}
	return true;
}

typedef struct RunOptions {
	CreateOptions create;
	CliExec exec;
	gboolean remove, detach, dry_run, yes;
} RunOptions;

static void
run_options_clear(RunOptions *options)
{
	create_options_clear(&options->create);
	exec_clear(&options->exec);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RunOptions, run_options_clear)

static int
print_plan(Cli *cli, GVariant *options)
{
	g_auto(GStrv) plan = NULL;
	GError *error = NULL;

	if (!banger_dbus_manager_call_plan_vm_sync(cli->manager, options, &plan,
						   /* cancellable= */ NULL, &error))
		return cli_fail_own(error);
	out_words(plan, cli->json);
	return CLI_OK;
}

static void
delete_vm(Cli *cli, BangerDBusVM *vm)
{
	g_autofree char *job = NULL;
	g_autoptr(GVariant) result = NULL;
	g_autoptr(GError) error = NULL;
	GVariantDict options;

	cli_options_init(&options);
	g_variant_dict_insert(&options, "force", "b", TRUE);
	if (banger_dbus_vm_call_delete_sync(vm, g_variant_dict_end(&options), &job,
					    /* cancellable= */ NULL, &error))
		result = cli_wait(cli, job, &error);
	/* It may have gone by itself: that is what was wanted. */
	if (error && !g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD) &&
	    !g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_OBJECT) &&
	    !g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY))
		(void)cli_fail(g_steal_pointer(&error));
}

static int
print_name(Cli *cli, const char *path)
{
	GError *error = NULL;
	g_autoptr(GHashTable) vms = cli_list(cli, "org.banger.VM", &error);
	GVariant *properties = vms ? g_hash_table_lookup(vms, path) : NULL;

	if (!vms)
		return cli_fail_own(error);
	if (properties)
		out_name(cli_text(properties, "Name"), cli->json);
	if (!cli->quiet && cli_flag(cli, "EndsWithSession"))
		(void)fputs(
			_("banger: it is shut down when you log out; to keep it: 'loginctl enable-linger'\n"),
			stderr);
	return CLI_OK;
}

/* The command is asked for at once, so that it begins without another word; the progress is shown until the guest
 * is there. */
static int
run_in(Cli *cli, RunOptions *options, const char *path, const char *job, char **argv)
{
	GError *error = NULL;
	g_autoptr(BangerDBusVM) vm = cli_vm(cli, path, &error);
	g_autoptr(GVariant) started = NULL;
	int status;

	if (!vm)
		return cli_fail_own(error);
	options->exec.argv = argv;
	if (!options->detach && !cli_exec_begin(cli, vm, &options->exec))
		return CLI_OWN_FAILURE;
	started = cli_wait(cli, job, &error);
	if (!started && !options->detach && cli_exec_is_lost()) {
		/* What the next daemon says of a job it never had is no answer. */
		g_clear_error(&error);
		return cli_exec_finish();
	}
	if (!started) {
		/* Its log has gone with it, and is not to be recommended. */
		if (g_error_matches(error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE))
			error->code = BANGER_ERROR_FAILED;
		return cli_fail_own(error);
	}
	if (options->detach)
		return print_name(cli, path);
	status = cli_exec_finish();
	if (options->remove)
		delete_vm(cli, vm);
	return status;
}

static bool
parse_run(Cli *cli, RunOptions *o, int *argc, char ***argv)
{
	GOptionEntry own[OWN_ENTRIES + EXEC_ENTRIES + 1] = {
		{ "rm", 0, 0, G_OPTION_ARG_NONE, &o->remove,
		  N_("delete the VM when the command has ended, or this program dies"), NULL },
		{ "detach", 'd', 0, G_OPTION_ARG_NONE, &o->detach,
		  N_("leave the VM running in the background and print its name"), NULL },
		{ "dry-run", 0, 0, G_OPTION_ARG_NONE, &o->dry_run,
		  N_("print what would be done, and do nothing"), NULL },
		{ "yes", 'y', 0, G_OPTION_ARG_NONE, &o->yes,
		  N_("make a missing default image or kernel without asking"), NULL },
	};
	GOptionEntry entries[CREATE_ENTRIES_MAX];
	char **dashes = NULL;

	exec_entries(&o->exec, own + OWN_ENTRIES);
	create_options_entries(&o->create, own, entries);
	for (int i = 1; i < *argc && !dashes; i++)
		if (g_str_equal((*argv)[i], "--"))
			dashes = *argv + i;
	if (!cli_parse(cli, entries, argc, argv, 0, CLI_COMMAND) || !check_exec(&o->exec))
		return false;
	/* What is left was behind "--", or is a path. */
	if (*argc > 1 && !dashes) {
		(void)cli_usage(_("'%s': workspaces do not exist yet; put a command behind '--'"),
				(*argv)[1]);
		return false;
	}
	if (o->detach && (*argc > 1 || o->remove)) {
		(void)cli_usage(_("--detach goes with neither a command nor --rm"));
		return false;
	}
	return true;
}

int
cmd_vm_run(Cli *cli, int argc, char **argv)
{
	g_auto(RunOptions) options = {};
	g_autofree char *path = NULL, *job = NULL;
	GError *error = NULL;
	GVariantDict dict;

	if (!parse_run(cli, &options, &argc, &argv))
		return CLI_USAGE;
	cli_options_init(&dict);
	if (!create_options_fill(&options.create, &dict)) {
		g_variant_dict_clear(&dict);
		return CLI_USAGE;
	}
	if (!cli_connect(cli))
		return CLI_OWN_FAILURE;
	if (options.dry_run)
		return print_plan(cli, g_variant_dict_end(&dict));
	if (!create_prepare(cli, &options.create, options.yes, &error))
		return cli_fail_own(error);
	g_variant_dict_insert(&dict, "start", "b", TRUE);
	if (options.remove) {
		g_variant_dict_insert(&dict, "ephemeral", "b", TRUE);
		cli_set_ephemeral();
	}
	if (!banger_dbus_manager_call_create_vm_sync(cli->manager, g_variant_dict_end(&dict), &path,
						     &job,
						     /* cancellable= */ NULL, &error))
		return cli_fail_own(error);
	return run_in(cli, &options, path, job, argc > 1 ? argv + 1 : NULL);
}

static int
exec_in(Cli *cli, int argc, char **argv, bool shell)
{
	g_auto(CliExec) exec = {};
	GOptionEntry entries[EXEC_ENTRIES + 1] = {};
	g_autoptr(BangerDBusVM) vm = NULL;
	GError *error = NULL;
	char **command;

	exec_entries(&exec, entries);
	if (!cli_parse(cli, entries, &argc, &argv, shell ? 1 : 2, shell ? 1 : CLI_COMMAND) ||
	    !check_exec(&exec))
		return CLI_USAGE;
	if (!cli_connect(cli))
		return CLI_OWN_FAILURE;
	vm = cli_find_vm(cli, argv[1], &error);
	if (!vm)
		return cli_fail_own(error);
	command = argv + 2;
	if (*command && g_str_equal(*command, "--"))
		command++;
	if (!shell && !*command)
		return cli_usage(_("a command is missing behind the VM; 'vm shell' opens a shell"));
	exec.argv = shell ? NULL : command;
	if (!cli_exec_begin(cli, vm, &exec))
		return CLI_OWN_FAILURE;
	return cli_exec_finish();
}

int
cmd_vm_exec(Cli *cli, int argc, char **argv)
{
	return exec_in(cli, argc, argv, /* shell= */ false);
}

int
cmd_vm_shell(Cli *cli, int argc, char **argv)
{
	return exec_in(cli, argc, argv, /* shell= */ true);
}
