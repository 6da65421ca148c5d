/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/object.h"

#include <stdio.h>

#include "service/base/names.h"

int
object_finish(Cli *cli, const char *job, GError *error)
{
	g_autoptr(GVariant) result = NULL;
	g_autoptr(GHashTable) images = NULL, kernels = NULL;
	GVariant *made;
	const char *path = "";

	cli->tell_stages = true;
	result = job ? cli_wait(cli, job, &error) : NULL;
	if (!result)
		return cli_fail(error);
	if (!g_variant_lookup(result, "image", "&o", &path))
		(void)g_variant_lookup(result, "kernel", "&o", &path);
	images = cli_list(cli, "org.banger.Image", &error);
	kernels = images ? cli_list(cli, "org.banger.Kernel", &error) : NULL;
	if (!kernels)
		return cli_fail(error);
	made = g_hash_table_lookup(images, path);
	if (!made)
		made = g_hash_table_lookup(kernels, path);
	if (made)
		out_name(cli_text(made, "Name"), cli->json);
	return CLI_OK;
}

/* The path of the default one, "" where there is none. */
static char *
default_path(Cli *cli, const ObjectKind *kind)
{
	char *path = NULL;

	return kind->find(cli->manager, "", &path, NULL, NULL) ? path : g_strdup("");
}

int
object_list(Cli *cli, const ObjectKind *kind, int argc, char **argv)
{
	g_autoptr(OutTable) table = out_table_new(kind->columns);
	g_autoptr(GHashTable) objects = NULL;
	g_autofree char *chosen = NULL;
	GError *error = NULL;
	GHashTableIter iter;
	gpointer path, properties;

	if (!cli_parse(cli, NULL, &argc, &argv, 0, 0))
		return CLI_USAGE;
	if (!cli_connect(cli))
		return CLI_FAILED;
	objects = cli_list(cli, kind->interface, &error);
	if (!objects)
		return cli_fail(error);
	chosen = default_path(cli, kind);
	g_hash_table_iter_init(&iter, objects);
	while (g_hash_table_iter_next(&iter, &path, &properties))
		kind->add_row(table, properties, g_str_equal(path, chosen));
	out_table_print(table, cli->json);
	return CLI_OK;
}

/* "" is the default one on the bus: not what an unset variable is to mean. */
static bool
check_references(char **references)
{
	for (; *references; references++)
		if (!**references) {
			(void)cli_usage(_("an empty word names nothing"));
			return false;
		}
	return true;
}

int
object_show(Cli *cli, const ObjectKind *kind, int argc, char **argv)
{
	g_autoptr(OutTable) table = out_table_new(kind->columns);
	g_autoptr(GHashTable) objects = NULL;
	g_autofree char *path = NULL, *chosen = NULL;
	GError *error = NULL;

	if (!cli_parse(cli, NULL, &argc, &argv, 1, 1) || !check_references(argv + 1))
		return CLI_USAGE;
	if (!cli_connect(cli))
		return CLI_FAILED;
	if (!kind->find(cli->manager, argv[1], &path, NULL, &error))
		return cli_fail(error);
	objects = cli_list(cli, kind->interface, &error);
	if (!objects)
		return cli_fail(error);
	chosen = default_path(cli, kind);
	kind->add_row(table, g_hash_table_lookup(objects, path), g_str_equal(path, chosen));
	out_table_print_one(table, cli->json);
	return CLI_OK;
}

/* Both interfaces have these two methods with the same signature. */
static bool
call(Cli *cli, const ObjectKind *kind, const char *reference, const char *method, GError **error)
{
	g_autofree char *path = NULL;
	g_autoptr(GVariant) reply = NULL;
	GVariantDict options;

	if (!kind->find(cli->manager, reference, &path, NULL, error))
		return false;
	cli_options_init(&options);
	reply = g_dbus_connection_call_sync(cli->bus, BANGER_BUS_NAME, path, kind->interface,
					    method,
					    g_variant_new("(@a{sv})", g_variant_dict_end(&options)),
					    NULL, G_DBUS_CALL_FLAGS_NONE, G_MAXINT, NULL, error);
	return reply != NULL;
}

/* Where the default one is among them, only who says so may. False after it has said what is wrong. */
static bool
may_delete(Cli *cli, const ObjectKind *kind, char **references)
{
	g_autoptr(GHashTable) objects = cli_list(cli, kind->interface, /* error= */ NULL);
	g_autofree char *chosen = default_path(cli, kind);
	GVariant *properties = objects ? g_hash_table_lookup(objects, chosen) : NULL;

	for (; properties && *references; references++) {
		g_autofree char *path = NULL;
		const char *name = cli_text(properties, "Name");

		/* What cannot be found is told where it is deleted. */
		if (!kind->find(cli->manager, *references, &path, NULL, NULL) ||
		    !g_str_equal(path, chosen))
			continue;
		if (cli_ask(cli, /* otherwise= */ false, _("%s is the default one. Delete it?"),
			    name))
			return true;
		(void)fprintf(
			stderr,
			_("banger: %s is the default one: nothing was deleted; -f deletes without asking\n"),
			name);
		return false;
	}
	return true;
}

int
object_delete(Cli *cli, const ObjectKind *kind, int argc, char **argv)
{
	gboolean force = FALSE;
	const GOptionEntry entries[] = {
		{ "force", 'f', 0, G_OPTION_ARG_NONE, &force,
		  N_("do not ask where the default one is among them"), NULL },
		{ NULL },
	};
	g_autoptr(GPtrArray) done = g_ptr_array_new();
	int status = CLI_OK;

	if (!cli_parse(cli, entries, &argc, &argv, 1, CLI_ANY) || !check_references(argv + 1))
		return CLI_USAGE;
	if (!cli_connect(cli) || (!force && !may_delete(cli, kind, argv + 1)))
		return CLI_FAILED;
	for (char **reference = argv + 1; *reference; reference++) {
		GError *error = NULL;

		if (!call(cli, kind, *reference, "Delete", &error))
			status = cli_fail(error);
		else
			g_ptr_array_add(done, *reference);
	}
	g_ptr_array_add(done, NULL);
	if (cli->json || !cli->quiet)
		out_words((char **)done->pdata, cli->json);
	return status;
}

int
object_make_default(Cli *cli, const ObjectKind *kind, int argc, char **argv)
{
	GError *error = NULL;

	if (!cli_parse(cli, NULL, &argc, &argv, 1, 1) || !check_references(argv + 1))
		return CLI_USAGE;
	if (!cli_connect(cli))
		return CLI_FAILED;
	return call(cli, kind, argv[1], "MakeDefault", &error) ? CLI_OK : cli_fail(error);
}
