/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verbs on kernels. */
#include <errno.h>
#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <stdio.h>
#include <unistd.h>

#include "client/cli.h"
#include "client/object.h"
#include "client/out.h"
#include "shared/base/cleanup.h"

/* Puts a file's descriptor among the options. False after it has said what is wrong. */
static bool
add_file(GVariantDict *options, GUnixFDList *fds, const char *key, const char *path)
{
	_cleanup_close_ int file = -1;
	g_autoptr(GError) error = NULL;
	int index;

	if (!path)
		return true;
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0) {
		(void)fprintf(stderr, "banger: %s: %s\n", path, g_strerror(errno));
		return false;
	}
	index = g_unix_fd_list_append(fds, file, &error);
	if (index < 0)
		return false;
	g_variant_dict_insert(options, key, "h", index);
	return true;
}

int
cmd_kernel_import(Cli *cli, int argc, char **argv)
{
	g_autofree char *name = NULL, *package = NULL, *vmlinuz = NULL, *modules = NULL,
			*job = NULL;
	g_autofree char *suite = NULL, *mirror = NULL;
	gboolean fetch = FALSE, make_default = FALSE;
	const GOptionEntry entries[] = {
		{ "name", 0, 0, G_OPTION_ARG_STRING, &name, NULL, NULL },
		{ "package", 0, 0, G_OPTION_ARG_FILENAME, &package, NULL, NULL },
		{ "vmlinuz", 0, 0, G_OPTION_ARG_FILENAME, &vmlinuz, NULL, NULL },
		{ "modules", 0, 0, G_OPTION_ARG_FILENAME, &modules, NULL, NULL },
		{ "fetch", 0, 0, G_OPTION_ARG_NONE, &fetch, NULL, NULL },
		{ "suite", 0, 0, G_OPTION_ARG_STRING, &suite, NULL, NULL },
		{ "mirror", 0, 0, G_OPTION_ARG_STRING, &mirror, NULL, NULL },
		{ "default", 0, 0, G_OPTION_ARG_NONE, &make_default, NULL, NULL },
		{ NULL },
	};
	g_autoptr(GUnixFDList) fds = g_unix_fd_list_new();
	GError *error = NULL;
	GVariantDict options;

	if (!cli_parse(entries, &argc, &argv, 0, 1))
		return CLI_USAGE;
	if (argc > 1 && !fetch)
		return cli_usage("'%s' is one argument too many", argv[1]);
	if (fetch + (package != NULL) + (vmlinuz != NULL) != 1)
		return cli_usage("give one of --fetch, --package and --vmlinuz");
	cli_options_init(&options);
	if (!add_file(&options, fds, "package", package) ||
	    !add_file(&options, fds, "vmlinuz", vmlinuz) ||
	    !add_file(&options, fds, "modules", modules)) {
		g_variant_dict_clear(&options);
		return CLI_FAILED;
	}
	if (!cli_connect(cli)) {
		g_variant_dict_clear(&options);
		return CLI_FAILED;
	}
	if (fetch)
		g_variant_dict_insert(&options, "fetch", "s", argc > 1 ? argv[1] : "");
	if (name)
		g_variant_dict_insert(&options, "name", "s", name);
	if (suite)
		g_variant_dict_insert(&options, "suite", "s", suite);
	if (mirror)
		g_variant_dict_insert(&options, "mirror", "s", mirror);
	g_variant_dict_insert(&options, "default", "b", make_default);
	(void)banger_dbus_manager_call_import_kernel_sync(
		cli->manager, g_variant_dict_end(&options), fds, &job, /* out_fds= */ NULL,
		/* cancellable= */ NULL, &error);
	return object_finish(cli, job, error);
}

static void
add_row(OutTable *table, GVariant *kernel, bool is_default)
{
	g_autofree char *usage = out_size(cli_number(kernel, "DiskUsage"));
	g_autofree char *created = out_time((gint64)cli_number(kernel, "Created"));

	out_table_add(table, cli_text(kernel, "Name"), is_default ? "yes" : "",
		      cli_text(kernel, "Release"), usage, cli_text(kernel, "Source"), created,
		      cli_text(kernel, "Id"), cli_text(kernel, "Digest"), NULL);
}

static const ObjectKind kind = {
	.interface = "org.banger.Kernel",
	.columns = (const char *const[]){ "name", "default", "release", "disk", "source", "created",
					  "id", "digest", NULL },
	.add_row = add_row,
	.find = banger_dbus_manager_call_find_kernel_sync,
};

int
cmd_kernel_list(Cli *cli, int argc, char **argv)
{
	return object_list(cli, &kind, argc, argv);
}

int
cmd_kernel_show(Cli *cli, int argc, char **argv)
{
	return object_show(cli, &kind, argc, argv);
}

int
cmd_kernel_delete(Cli *cli, int argc, char **argv)
{
	return object_delete(cli, &kind, argc, argv);
}

int
cmd_kernel_default(Cli *cli, int argc, char **argv)
{
	return object_make_default(cli, &kind, argc, argv);
}
