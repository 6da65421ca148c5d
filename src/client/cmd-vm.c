/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verbs on VMs. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "client/cli.h"
#include "client/create.h"
#include "client/out.h"
#include "service/base/vm-spec.h"
#include "shared/base/str-util.h"

int
cmd_vm_create(Cli *cli, int argc, char **argv)
{
	g_auto(CreateOptions) options = {};
	GOptionEntry entries[CREATE_ENTRIES_MAX];
	g_autofree char *path = NULL, *job = NULL;
	g_autoptr(GVariant) result = NULL;
	g_autoptr(GHashTable) vms = NULL;
	GError *error = NULL;
	GVariantDict dict;

	create_options_entries(&options, &(GOptionEntry){}, entries);
	if (!cli_parse(cli, entries, &argc, &argv, 0, 0))
		return CLI_USAGE;
	cli_options_init(&dict);
	if (!create_options_fill(&options, &dict)) {
		g_variant_dict_clear(&dict);
		return CLI_USAGE;
	}
	if (!cli_connect(cli))
		return CLI_FAILED;
	if (!banger_dbus_manager_call_create_vm_sync(cli->manager, g_variant_dict_end(&dict), &path,
						     &job,
						     /* cancellable= */ NULL, &error))
		return cli_fail(error);
	result = cli_wait(cli, job, &error);
	vms = result ? cli_list(cli, "org.banger.VM", &error) : NULL;
	if (!vms)
		return cli_fail(error);
	out_name(cli_text(g_hash_table_lookup(vms, path), "Name"), cli->json);
	return CLI_OK;
}

/* One verb on one VM: the path of its job, or NULL with the error; "" where the call was all. */
typedef char *(*Verb)(BangerDBusVM *vm, guint32 number, GError **error);

/* All are begun before any is waited for. */
static int
for_each(Cli *cli, char **references, Verb verb, guint32 number)
{
	g_autoptr(GPtrArray) jobs = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) done = g_ptr_array_new();
	int status = CLI_OK;

	if (!cli_connect(cli))
		return CLI_FAILED;
	for (char **reference = references; *reference; reference++) {
		GError *error = NULL;
		g_autoptr(BangerDBusVM) vm = cli_find_vm(cli, *reference, &error);
		char *job = vm ? verb(vm, number, &error) : NULL;

		if (!job)
			status = cli_fail(error);
		g_ptr_array_add(jobs, job);
	}
	for (guint i = 0; i < jobs->len; i++) {
		const char *job = g_ptr_array_index(jobs, i);
		GError *error = NULL;
		g_autoptr(GVariant) result = job && *job ? cli_wait(cli, job, &error) : NULL;

		if (error)
			status = cli_fail(error);
		else if (result || (job && !*job))
			g_ptr_array_add(done, references[i]);
	}
	g_ptr_array_add(done, NULL);
	if (cli->json || !cli->quiet)
		out_words((char **)done->pdata, cli->json);
	return status;
}

static GVariant *
one_option(const char *key, const char *type, guint32 number)
{
	GVariantDict dict;

	cli_options_init(&dict);
	if (key && *type == 'b')
		g_variant_dict_insert(&dict, key, "b", number != 0);
	else if (key)
		g_variant_dict_insert(&dict, key, "u", number);
	return g_variant_dict_end(&dict);
}

static char *
verb_start(BangerDBusVM *vm, guint32 number, GError **error)
{
	char *job = NULL;

	(void)banger_dbus_vm_call_start_sync(vm, one_option(NULL, "", 0), &job, NULL, error);
	return job;
}

static char *
verb_stop(BangerDBusVM *vm, guint32 timeout, GError **error)
{
	char *job = NULL;

	(void)banger_dbus_vm_call_stop_sync(vm, one_option("timeout", "u", timeout), &job, NULL,
					    error);
	return job;
}

static char *
verb_restart(BangerDBusVM *vm, guint32 timeout, GError **error)
{
	char *job = NULL;

	(void)banger_dbus_vm_call_restart_sync(vm, one_option("timeout", "u", timeout), &job, NULL,
					       error);
	return job;
}

static char *
verb_kill(BangerDBusVM *vm, guint32 signal_number, GError **error)
{
	return banger_dbus_vm_call_kill_sync(vm, one_option("signal", "u", signal_number), NULL,
					     error)
		       ? g_strdup("")
		       : NULL;
}

static char *
verb_delete(BangerDBusVM *vm, guint32 force, GError **error)
{
	char *job = NULL;

	(void)banger_dbus_vm_call_delete_sync(vm, one_option("force", "b", force), &job, NULL,
					      error);
	return job;
}

int
cmd_vm_start(Cli *cli, int argc, char **argv)
{
	if (!cli_parse(cli, NULL, &argc, &argv, 1, CLI_ANY))
		return CLI_USAGE;
	return for_each(cli, argv + 1, verb_start, 0);
}

static int
stop(Cli *cli, int argc, char **argv, Verb verb)
{
	int timeout_s = 90;
	const GOptionEntry entries[] = {
		{ "timeout", 't', 0, G_OPTION_ARG_INT, &timeout_s,
		  N_("how long the guest may take before it is ended; otherwise 90"),
		  N_("SECONDS") },
		{ NULL },
	};

	if (!cli_parse(cli, entries, &argc, &argv, 1, CLI_ANY))
		return CLI_USAGE;
	if (timeout_s < 0)
		return cli_usage(_("--timeout %d: must not be negative"), timeout_s);
	return for_each(cli, argv + 1, verb, (guint32)timeout_s);
}

int
cmd_vm_stop(Cli *cli, int argc, char **argv)
{
	return stop(cli, argc, argv, verb_stop);
}

int
cmd_vm_restart(Cli *cli, int argc, char **argv)
{
	return stop(cli, argc, argv, verb_restart);
}

static guint32
parse_signal(const char *name)
{
	static const struct {
		const char *name;
		guint32 number;
	} signals[] = {
		{ "HUP", SIGHUP },   { "INT", SIGINT },   { "QUIT", SIGQUIT }, { "ABRT", SIGABRT },
		{ "KILL", SIGKILL }, { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "TERM", SIGTERM },
	};
	uint64_t number;

	if (g_str_has_prefix(name, "SIG"))
		name += 3;
	for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
		if (g_str_equal(signals[i].name, name) ||
		    (bn_str_parse_u64(name, 64, &number) >= 0 && number == signals[i].number))
			return signals[i].number;
	return 0;
}

int
cmd_vm_kill(Cli *cli, int argc, char **argv)
{
	g_autofree char *name = NULL;
	const GOptionEntry entries[] = {
		{ "signal", 's', 0, G_OPTION_ARG_STRING, &name,
		  N_("what the VM's process is sent: HUP, INT, QUIT, ABRT, KILL (the default), USR1, USR2 or TERM"),
		  N_("NAME") },
		{ NULL },
	};
	guint32 number;

	if (!cli_parse(cli, entries, &argc, &argv, 1, CLI_ANY))
		return CLI_USAGE;
	number = parse_signal(name ? name : "KILL");
	if (number == 0)
		return cli_usage(
			_("--signal %s: must be HUP, INT, QUIT, ABRT, KILL, USR1, USR2 or TERM"),
			name);
	return for_each(cli, argv + 1, verb_kill, number);
}

/* Leaves out, and tells of, what nobody has; false where nothing is left. */
static bool
keep_found(Cli *cli, char **references)
{
	char **kept = references;

	for (char **reference = references; *reference; reference++) {
		g_autofree char *path = NULL;
		GError *error = NULL;

		if (banger_dbus_manager_call_find_vm_sync(cli->manager, *reference, &path,
							  /* cancellable= */ NULL, &error))
			*kept++ = *reference;
		else
			(void)cli_fail(error);
	}
	*kept = NULL;
	return *references != NULL;
}

int
cmd_vm_delete(Cli *cli, int argc, char **argv)
{
	gboolean force = FALSE;
	const GOptionEntry entries[] = {
		{ "force", 'f', 0, G_OPTION_ARG_NONE, &force, N_("do not ask, and end what runs"),
		  NULL },
		{ NULL },
	};
	g_autofree char *names = NULL;
	int status;

	if (!cli_parse(cli, entries, &argc, &argv, 1, CLI_ANY))
		return CLI_USAGE;
	if (!cli_connect(cli) || !keep_found(cli, argv + 1))
		return CLI_FAILED;
	names = g_strjoinv(", ", argv + 1);
	if (!force && !cli_ask(cli, /* otherwise= */ false,
			       ngettext("Destroy %s and its disk?", "Destroy %s and their disks?",
					(gulong)g_strv_length(argv + 1)),
			       names)) {
		(void)fputs(_("banger: nothing was deleted; -f deletes without asking\n"), stderr);
		return CLI_FAILED;
	}
	status = for_each(cli, argv + 1, verb_delete, (guint32)force);
	return g_strv_length(argv + 1) == (guint)(argc - 1) ? status : CLI_FAILED;
}

static const char *
name_at(GHashTable *table, const char *path)
{
	GVariant *properties = table ? g_hash_table_lookup(table, path) : NULL;

	return properties ? cli_text(properties, "Name") : "?";
}

int
cmd_vm_list(Cli *cli, int argc, char **argv)
{
	static const OutColumn columns[] = {
		{ "name", OUT_TEXT },    { "state", OUT_TEXT },  { "image", OUT_TEXT },
		{ "vcpus", OUT_NUMBER }, { "memory", OUT_SIZE }, { "id", OUT_TEXT },
		{ "created", OUT_TIME }, { "error", OUT_TEXT },  {},
	};
	g_autoptr(OutTable) table = out_table_new(columns);
	g_autoptr(GHashTable) vms = NULL, images = NULL;
	GError *error = NULL;
	GHashTableIter iter;
	gpointer vm;

	if (!cli_parse(cli, NULL, &argc, &argv, 0, 0))
		return CLI_USAGE;
	if (!cli_connect(cli))
		return CLI_FAILED;
	vms = cli_list(cli, "org.banger.VM", &error);
	images = vms ? cli_list(cli, "org.banger.Image", &error) : NULL;
	if (!images)
		return cli_fail(error);
	g_hash_table_iter_init(&iter, vms);
	while (g_hash_table_iter_next(&iter, NULL, &vm))
		out_table_add(table, cli_text(vm, "Name"), cli_text(vm, "State"),
			      name_at(images, cli_text(vm, "Image")), cli_number(vm, "Vcpus"),
			      cli_number(vm, "Memory"), cli_text(vm, "Id"),
			      cli_number(vm, "Created"), cli_text(vm, "LastError"));
	out_table_print(table, cli->json);
	return CLI_OK;
}

static bool
is_peer(GVariant *vm)
{
	gboolean peer = FALSE;

	return g_variant_lookup(vm, "Peer", "b", &peer) && peer;
}

static char *
join_ports(GVariant *vm)
{
	g_autofree const char **ports = NULL;

	if (!g_variant_lookup(vm, "Ports", "^a&s", &ports))
		return g_strdup("");
	return g_strjoinv(", ", (char **)ports);
}

int
cmd_vm_show(Cli *cli, int argc, char **argv)
{
	static const OutColumn columns[] = {
		{ "name", OUT_TEXT },
		{ "id", OUT_TEXT },
		{ "state", OUT_TEXT },
		{ "error", OUT_TEXT },
		{ "image", OUT_TEXT },
		{ "kernel", OUT_TEXT },
		{ "vcpus", OUT_NUMBER },
		{ "memory", OUT_SIZE },
		{ "disk", OUT_SIZE },
		{ "vmm", OUT_TEXT },
		{ "accelerator", OUT_TEXT },
		{ "accelerator-reason", OUT_TEXT },
		{ "network", OUT_TEXT },
		{ "peer", OUT_TEXT },
		{ "address", OUT_TEXT },
		{ "ports", OUT_TEXT },
		{ "driver", OUT_TEXT },
		{ "boot-id", OUT_TEXT },
		{ "created", OUT_TIME },
		{ "started", OUT_TIME },
		{},
	};
	g_autoptr(OutTable) table = out_table_new(columns);
	g_autoptr(GHashTable) vms = NULL, images = NULL, kernels = NULL;
	g_autoptr(BangerDBusVM) proxy = NULL;
	g_autofree char *ports = NULL;
	GError *error = NULL;
	GVariant *vm;

	if (!cli_parse(cli, NULL, &argc, &argv, 1, 1))
		return CLI_USAGE;
	if (!cli_connect(cli))
		return CLI_FAILED;
	proxy = cli_find_vm(cli, argv[1], &error);
	vms = proxy ? cli_list(cli, "org.banger.VM", &error) : NULL;
	images = vms ? cli_list(cli, "org.banger.Image", &error) : NULL;
	kernels = images ? cli_list(cli, "org.banger.Kernel", &error) : NULL;
	if (!kernels)
		return cli_fail(error);
	vm = g_hash_table_lookup(vms, g_dbus_proxy_get_object_path(G_DBUS_PROXY(proxy)));
	ports = join_ports(vm);
	out_table_add(table, cli_text(vm, "Name"), cli_text(vm, "Id"), cli_text(vm, "State"),
		      cli_text(vm, "LastError"), name_at(images, cli_text(vm, "Image")),
		      name_at(kernels, cli_text(vm, "Kernel")), cli_number(vm, "Vcpus"),
		      cli_number(vm, "Memory"), cli_number(vm, "Disk"), cli_text(vm, "Vmm"),
		      cli_text(vm, "Accelerator"), cli_text(vm, "AcceleratorReason"),
		      cli_text(vm, "Network"), is_peer(vm) ? "yes" : "no", cli_text(vm, "Address"),
		      ports, cli_text(vm, "Driver"), cli_text(vm, "BootId"),
		      cli_number(vm, "Created"), cli_number(vm, "Started"));
	out_table_print_one(table, cli->json);
	return CLI_OK;
}
