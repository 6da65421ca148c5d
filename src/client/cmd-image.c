/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verbs on images. */
#include <errno.h>
#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <stdio.h>
#include <unistd.h>

#include "client/cli.h"
#include "client/object.h"
#include "client/out.h"
#include "shared/base/cleanup.h"

int
cmd_image_build(Cli *cli, int argc, char **argv)
{
	g_autofree char *name = NULL, *suite = NULL, *mirror = NULL, *job = NULL;
	g_auto(GStrv) packages = NULL;
	gboolean make_default = FALSE;
	const GOptionEntry entries[] = {
		{ "name", 0, 0, G_OPTION_ARG_STRING, &name,
		  N_("the image's name; otherwise the release's"), N_("NAME") },
		{ "suite", 0, 0, G_OPTION_ARG_STRING, &suite,
		  N_("the Debian release; otherwise bookworm"), N_("SUITE") },
		{ "package", 0, 0, G_OPTION_ARG_STRING_ARRAY, &packages,
		  N_("install this in place of the default packages; may be repeated"),
		  N_("PACKAGE") },
		{ "mirror", 0, 0, G_OPTION_ARG_STRING, &mirror,
		  N_("fetch from this mirror; otherwise from deb.debian.org"), N_("URL") },
		{ "default", 0, 0, G_OPTION_ARG_NONE, &make_default,
		  N_("make it the one a VM gets where none is named"), NULL },
		{ NULL },
	};
	GError *error = NULL;
	GVariantDict options;

	if (!cli_parse(cli, entries, &argc, &argv, 0, 0))
		return CLI_USAGE;
	if (!cli_connect(cli))
		return CLI_FAILED;
	cli_options_init(&options);
	if (name)
		g_variant_dict_insert(&options, "name", "s", name);
	if (suite)
		g_variant_dict_insert(&options, "suite", "s", suite);
	if (mirror)
		g_variant_dict_insert(&options, "mirror", "s", mirror);
	if (packages)
		g_variant_dict_insert_value(&options, "packages",
					    g_variant_new_strv((const char *const *)packages, -1));
	g_variant_dict_insert(&options, "default", "b", make_default);
	(void)banger_dbus_manager_call_build_image_sync(cli->manager, g_variant_dict_end(&options),
							&job,
							/* cancellable= */ NULL, &error);
	return object_finish(cli, job, error);
}

int
cmd_image_import(Cli *cli, int argc, char **argv)
{
	g_autofree char *name = NULL, *job = NULL;
	gboolean make_default = FALSE;
	const GOptionEntry entries[] = {
		{ "name", 0, 0, G_OPTION_ARG_STRING, &name, N_("the image's name"), N_("NAME") },
		{ "default", 0, 0, G_OPTION_ARG_NONE, &make_default,
		  N_("make it the one a VM gets where none is named"), NULL },
		{ NULL },
	};
	g_autoptr(GUnixFDList) fds = g_unix_fd_list_new();
	_cleanup_close_ int file = -1;
	GError *error = NULL;
	GVariantDict options;

	if (!cli_parse(cli, entries, &argc, &argv, 1, 1))
		return CLI_USAGE;
	if (!name)
		return cli_usage(_("--name is missing"));
	file = g_str_equal(argv[1], "-") ? dup(STDIN_FILENO) : open(argv[1], O_RDONLY | O_CLOEXEC);
	if (file < 0) {
		(void)fprintf(stderr, "banger: %s: %s\n", argv[1], g_strerror(errno));
		return CLI_FAILED;
	}
	if (!cli_connect(cli))
		return CLI_FAILED;
	if (g_unix_fd_list_append(fds, file, &error) < 0)
		return object_finish(cli, NULL, error);
	cli_options_init(&options);
	g_variant_dict_insert(&options, "name", "s", name);
	g_variant_dict_insert(&options, "default", "b", make_default);
	g_variant_dict_insert(&options, "source", "s", argv[1]);
	(void)banger_dbus_manager_call_import_image_sync(
		cli->manager, g_variant_new_handle(0), g_variant_dict_end(&options), fds, &job,
		/* out_fds= */ NULL, /* cancellable= */ NULL, &error);
	return object_finish(cli, job, error);
}

static void
add_row(OutTable *table, GVariant *image, bool is_default)
{
	out_table_add(table, cli_text(image, "Name"), (guint64)is_default,
		      cli_number(image, "DiskUsage"), cli_text(image, "Init"),
		      cli_text(image, "Source"), cli_number(image, "Created"),
		      cli_text(image, "Id"), cli_text(image, "Digest"));
}

static const ObjectKind kind = {
	.interface = "org.banger.Image",
	.columns = (const OutColumn[]){ { "name", OUT_TEXT },
					{ "default", OUT_YES },
					{ "disk", OUT_SIZE },
					{ "init", OUT_TEXT },
					{ "source", OUT_TEXT },
					{ "created", OUT_TIME },
					{ "id", OUT_TEXT },
					{ "digest", OUT_TEXT },
					{} },
	.add_row = add_row,
	.find = banger_dbus_manager_call_find_image_sync,
};

int
cmd_image_list(Cli *cli, int argc, char **argv)
{
	return object_list(cli, &kind, argc, argv);
}

int
cmd_image_show(Cli *cli, int argc, char **argv)
{
	return object_show(cli, &kind, argc, argv);
}

int
cmd_image_delete(Cli *cli, int argc, char **argv)
{
	return object_delete(cli, &kind, argc, argv);
}

int
cmd_image_default(Cli *cli, int argc, char **argv)
{
	return object_make_default(cli, &kind, argc, argv);
}
