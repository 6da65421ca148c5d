/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm set, vm ports: how VMs that exist are reached, and what they reach. */
#include <stdio.h>

#include "client/cli.h"
#include "client/create.h"
#include "client/out.h"
#include "service/base/error.h"
#include "service/base/vm-spec.h"
#include "shared/rules/port.h"

typedef struct SetOptions {
	char *network;
	gboolean nat, lan, peer, no_peer;
	char **publish, **unpublish;
} SetOptions;

static void
set_options_clear(SetOptions *options)
{
	g_free(options->network);
	g_strfreev(options->publish);
	g_strfreev(options->unpublish);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SetOptions, set_options_clear)

/* NULL after it has said what is wrong. */
static GVariant *
make_options(const SetOptions *set)
{
	const char *network = create_network(set->network, set->nat, set->lan);
	g_autoptr(GArray) ports = banger_port_list_new();
	g_autoptr(GError) error = NULL;
	GVariantDict dict;

	if (network && !*network)
		return NULL;
	if (!network && !set->peer && !set->no_peer && !set->publish && !set->unpublish) {
		(void)cli_usage(_(
			"vm set: say what is to be different: --network, --nat, --lan, --peer, --no-peer, --publish or --unpublish"));
		return NULL;
	}
	if (set->peer && set->no_peer) {
		(void)cli_usage(_("--peer contradicts --no-peer"));
		return NULL;
	}
	if (network && !banger_reach_check(banger_reach_from_string(network), &error)) {
		(void)cli_usage("%s", error->message);
		return NULL;
	}
	cli_options_init(&dict);
	if (network)
		g_variant_dict_insert(&dict, "network", "s", network);
	if (set->peer || set->no_peer)
		g_variant_dict_insert(&dict, "peer", "b", set->peer);
	if (create_ports(&dict, "unpublish", set->unpublish, ports)) {
		g_array_set_size(ports, 0);
		if (create_ports(&dict, "publish", set->publish, ports))
			return g_variant_ref_sink(g_variant_dict_end(&dict));
	}
	g_variant_dict_clear(&dict);
	return NULL;
}

/* `several`: the error says of which. */
static bool
set(Cli *cli, const char *reference, GVariant *options, bool several)
{
	GError *error = NULL;
	g_autoptr(BangerDBusVM) vm = cli_find_vm(cli, reference, &error);

	if (vm && banger_dbus_vm_call_set_sync(vm, options, /* cancellable= */ NULL, &error))
		return true;
	/* Not of an error that is about bangerd as a whole. */
	if (vm && several && error->domain == BANGER_ERROR) {
		(void)g_dbus_error_strip_remote_error(error);
		g_prefix_error(&error, "%s: ", reference);
	}
	(void)cli_fail(error);
	return false;
}

static int
set_each(Cli *cli, char **references, GVariant *options)
{
	g_autoptr(GPtrArray) done = g_ptr_array_new();
	bool several = references[0] && references[1];
	int status = CLI_OK;

	if (!cli_connect(cli))
		return CLI_FAILED;
	for (char **reference = references; *reference; reference++) {
		if (set(cli, *reference, options, several))
			g_ptr_array_add(done, *reference);
		else
			status = CLI_FAILED;
	}
	g_ptr_array_add(done, NULL);
	if (cli->json || !cli->quiet)
		out_words((char **)done->pdata, cli->json);
	return status;
}

int
cmd_vm_set(Cli *cli, int argc, char **argv)
{
	g_auto(SetOptions) options = {};
	const GOptionEntry entries[] = {
		{ "network", 0, 0, G_OPTION_ARG_STRING, &options.network,
		  N_("none, host (only you reach them), nat or lan"), N_("KIND") },
		{ "nat", 0, 0, G_OPTION_ARG_NONE, &options.nat,
		  N_("let them reach the world, but no private address"), NULL },
		{ "lan", 0, 0, G_OPTION_ARG_NONE, &options.lan,
		  N_("let them reach everything that this computer reaches"), NULL },
		{ "peer", 0, 0, G_OPTION_ARG_NONE, &options.peer,
		  N_("let them and your other peers reach each other"), NULL },
		{ "no-peer", 0, 0, G_OPTION_ARG_NONE, &options.no_peer,
		  N_("keep them apart from your other machines"), NULL },
		{ "publish", 'p', 0, G_OPTION_ARG_STRING_ARRAY, &options.publish,
		  N_("let a port of this computer lead to one of theirs; may be repeated"),
		  N_("[ADDRESS:]HOST:GUEST[/udp]") },
		{ "unpublish", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.unpublish,
		  N_("let it do so no more, and cut what goes through it; may be repeated"),
		  N_("[ADDRESS:]HOST:GUEST[/udp]") },
		{ NULL },
	};
	g_autoptr(GVariant) set = NULL;

	if (!cli_parse(cli, entries, &argc, &argv, 1, CLI_ANY))
		return CLI_USAGE;
	set = make_options(&options);
	return set ? set_each(cli, argv + 1, set) : CLI_USAGE;
}

static void
add_ports(OutTable *table, GVariant *vm)
{
	g_autofree const char **ports = NULL;
	const char *why;
	BnPort port;

	if (!g_variant_lookup(vm, "Ports", "^a&s", &ports))
		return;
	for (const char **text = ports; *text; text++)
		if (bn_port_parse(*text, &port, &why) >= 0)
			out_table_add(table, cli_text(vm, "Name"), port.address, (guint64)port.host,
				      (guint64)port.guest, port.udp ? "udp" : "tcp",
				      cli_text(vm, "State"));
}

int
cmd_vm_ports(Cli *cli, int argc, char **argv)
{
	static const OutColumn columns[] = {
		{ "vm", OUT_TEXT },
		{ "address", OUT_TEXT },
		{ "host", OUT_NUMBER },
		{ "guest", OUT_NUMBER },
		{ "protocol", OUT_TEXT },
		{ "state", OUT_TEXT },
		{},
	};
	g_autoptr(OutTable) table = out_table_new(columns);
	g_autoptr(BangerDBusVM) one = NULL;
	g_autoptr(GHashTable) vms = NULL;
	GError *error = NULL;
	GHashTableIter iter;
	gpointer path, vm;

	if (!cli_parse(cli, NULL, &argc, &argv, 0, 1))
		return CLI_USAGE;
	if (!cli_connect(cli))
		return CLI_FAILED;
	if (argc > 1)
		one = cli_find_vm(cli, argv[1], &error);
	vms = error ? NULL : cli_list(cli, "org.banger.VM", &error);
	if (!vms)
		return cli_fail(error);
	g_hash_table_iter_init(&iter, vms);
	while (g_hash_table_iter_next(&iter, &path, &vm))
		if (!one || g_str_equal(path, g_dbus_proxy_get_object_path(G_DBUS_PROXY(one))))
			add_ports(table, vm);
	out_table_print(table, cli->json);
	return CLI_OK;
}
