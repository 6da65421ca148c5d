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
		{ "name", 0, 0, G_OPTION_ARG_STRING, &name,
		  N_("the kernel's name; otherwise its release"), N_("NAME") },
		{ "package", 0, 0, G_OPTION_ARG_FILENAME, &package,
		  N_("take it from a Debian kernel package"), N_("FILE") },
		{ "vmlinuz", 0, 0, G_OPTION_ARG_FILENAME, &vmlinuz, N_("take this kernel image"),
		  N_("FILE") },
		{ "modules", 0, 0, G_OPTION_ARG_FILENAME, &modules,
		  N_("with --vmlinuz: its modules, a tar archive with lib/modules/RELEASE"),
		  N_("FILE") },
		{ "fetch", 0, 0, G_OPTION_ARG_NONE, &fetch,
		  N_("fetch PACKAGE, otherwise Debian's kernel for clouds, with apt's signature checks"),
		  NULL },
		{ "suite", 0, 0, G_OPTION_ARG_STRING, &suite,
		  N_("with --fetch: of this Debian release; otherwise bookworm"), N_("SUITE") },
		{ "mirror", 0, 0, G_OPTION_ARG_STRING, &mirror,
		  N_("with --fetch: from this mirror; otherwise from deb.debian.org"), N_("URL") },
		{ "default", 0, 0, G_OPTION_ARG_NONE, &make_default,
		  N_("make it the one a VM gets where none is named"), NULL },
		{ NULL },
	};
	g_autoptr(GUnixFDList) fds = g_unix_fd_list_new();
	GError *error = NULL;
	GVariantDict options;

	if (!cli_parse(cli, entries, &argc, &argv, 0, 1))
		return CLI_USAGE;
	if (argc > 1 && !fetch)
		return cli_usage(_("'%s' is one argument too many"), argv[1]);
	if (fetch + (package != NULL) + (vmlinuz != NULL) != 1)
		return cli_usage(_("give one of --fetch, --package and --vmlinuz"));
	if (modules && !vmlinuz)
		return cli_usage(_("--modules goes with --vmlinuz alone"));
	if ((suite || mirror) && !fetch)
		return cli_usage(_("--suite and --mirror go with --fetch alone"));
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
	out_table_add(table, cli_text(kernel, "Name"), (guint64)is_default,
		      cli_text(kernel, "Release"), cli_number(kernel, "DiskUsage"),
		      cli_text(kernel, "Source"), cli_number(kernel, "Created"),
		      cli_text(kernel, "Id"), cli_text(kernel, "Digest"));
}

static const ObjectKind kind = {
	.interface = "org.banger.Kernel",
	.columns = (const OutColumn[]){ { "name", OUT_TEXT },
					{ "default", OUT_YES },
					{ "release", OUT_TEXT },
					{ "disk", OUT_SIZE },
					{ "source", OUT_TEXT },
					{ "created", OUT_TIME },
					{ "id", OUT_TEXT },
					{ "digest", OUT_TEXT },
					{} },
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
