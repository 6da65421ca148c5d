/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/help.h"
#include "service/base/error.h"
#include "service/base/names.h"
#include "service/base/random-id.h"
#include "shared/base/str-util.h"

#define PROXY_FLAGS                                                                                \
	(G_DBUS_PROXY_FLAGS_DO_NOT_LOAD_PROPERTIES | G_DBUS_PROXY_FLAGS_DO_NOT_CONNECT_SIGNALS |   \
	 G_DBUS_PROXY_FLAGS_DO_NOT_AUTO_START_AT_CONSTRUCTION)

/* In the words that all of our commands have for it. */
static void
tell_option_error(const GError *error)
{
	const char *option = strstr(error->message, " -");

	if (option && g_error_matches(error, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION))
		(void)cli_usage(_("there is no option '%s'"), option + 1);
	else
		(void)cli_usage("%s", error->message);
}

bool
cli_parse(Cli *cli, const GOptionEntry *entries, int *argc, char ***argv, int least, int most)
{
	gboolean json = FALSE, quiet = FALSE, no_ask = FALSE;
	const GOptionEntry common[] = {
		{ "json", 0, 0, G_OPTION_ARG_NONE, &json, NULL, NULL },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, NULL, NULL },
		{ "no-ask", 0, 0, G_OPTION_ARG_NONE, &no_ask, NULL, NULL },
		{ NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;
	int n;

	if (help_describe(entries))
		return false;
	g_option_context_set_help_enabled(context, FALSE);
	g_option_context_set_strict_posix(context, most == CLI_COMMAND);
	if (entries)
		g_option_context_add_main_entries(context, entries, /* domain= */ NULL);
	g_option_context_add_main_entries(context, common, /* domain= */ NULL);
	if (!g_option_context_parse(context, argc, argv, &error)) {
		tell_option_error(error);
		return false;
	}
	cli->json |= json;
	cli->quiet |= quiet;
	cli->no_ask |= no_ask;
	if (*argc > 1 && g_str_equal((*argv)[1], "--")) {
		(*argv)[1] = (*argv)[0];
		(*argv)++;
		(*argc)--;
	}
	n = *argc - 1;
	if (n < least) {
		g_autofree char *usage = help_make_usage();

		(void)cli_usage(_("something is missing: %s"), usage);
		return false;
	}
	if (most >= 0 && n > most) {
		(void)cli_usage(_("'%s' is one argument too many"), (*argv)[most + 1]);
		return false;
	}
	return true;
}

bool
cli_connect(Cli *cli)
{
	g_autoptr(GError) error = NULL;

	(void)banger_error_quark();
	if (cli->manager)
		return true;
	cli->bus = g_bus_get_sync(G_BUS_TYPE_SESSION, /* cancellable= */ NULL, &error);
	if (cli->bus) {
		g_dbus_connection_set_exit_on_close(cli->bus, FALSE);
		cli->manager = banger_dbus_manager_proxy_new_sync(
			cli->bus, PROXY_FLAGS, BANGER_BUS_NAME, BANGER_OBJECT_PATH,
			/* cancellable= */ NULL, &error);
	}
	if (!cli->manager) {
		(void)fprintf(stderr,
			      _("banger: there is no session bus: %s\n"
				"banger: log in as a user with one, or try 'dbus-run-session'\n"),
			      error->message);
		return false;
	}
	g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(cli->manager), G_MAXINT);
	return true;
}

void
cli_options_init(GVariantDict *options)
{
	static char operation[BN_ID_LENGTH + 1];

	if (!*operation)
		banger_random_id(operation);
	g_variant_dict_init(options, NULL);
	g_variant_dict_insert(options, "operation", "s", operation);
}

BangerDBusVM *
cli_vm(Cli *cli, const char *path, GError **error)
{
	BangerDBusVM *vm =
		banger_dbus_vm_proxy_new_sync(cli->bus, PROXY_FLAGS, BANGER_BUS_NAME, path,
					      /* cancellable= */ NULL, error);

	if (vm)
		g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(vm), G_MAXINT);
	return vm;
}

BangerDBusVM *
cli_find_vm(Cli *cli, const char *reference, GError **error)
{
	g_autofree char *path = NULL;

	if (!banger_dbus_manager_call_find_vm_sync(cli->manager, reference, &path,
						   /* cancellable= */ NULL, error))
		return NULL;
	return cli_vm(cli, path, error);
}

/* What a user can do about each; docs/errors.md says more. */
static const char *
hint(const GError *error)
{
	static const char *const hints[_BANGER_ERROR_MAX] = {
		[BANGER_ERROR_AMBIGUOUS] = N_("give more of the id, or the name"),
		[BANGER_ERROR_ALREADY_EXISTS] = N_("choose another name, or delete the old one"),
		[BANGER_ERROR_NO_SPACE] =
			N_("free some space: 'banger image list', 'banger vm list'"),
		[BANGER_ERROR_HELPER_UNAVAILABLE] = N_("'banger doctor' looks for the cause"),
		[BANGER_ERROR_VMM_UNAVAILABLE] = N_("'banger doctor' looks for the cause"),
		[BANGER_ERROR_KVM_UNUSABLE] = N_("use '--accelerator auto'"),
		[BANGER_ERROR_NAT_BLOCKED] = N_("or do without a way out: '--network host'"),
		[BANGER_ERROR_GUEST_UNREACHABLE] = N_("'banger vm logs' shows what the guest said"),
		[BANGER_ERROR_QUOTA_REACHED] =
			N_("delete what is not needed, or ask an administrator"),
	};

	return error->domain == BANGER_ERROR && hints[error->code] ? _(hints[error->code]) : NULL;
}

/* A call to an owner that has just died; that nobody starts bangerd at all names the well-known name. */
static bool
is_owner_gone(const GError *error)
{
	return g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN) &&
	       !strstr(error->message, BANGER_BUS_NAME);
}

static bool is_ephemeral;

void
cli_set_ephemeral(void)
{
	is_ephemeral = true;
}

int
cli_fail(GError *error)
{
	g_autoptr(GError) own = error;
	g_autofree char *text = NULL;
	const char *next;

	if (g_error_matches(own, G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY) ||
	    g_error_matches(own, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER) ||
	    is_owner_gone(own) || g_error_matches(own, G_IO_ERROR, G_IO_ERROR_CLOSED)) {
		(void)fputs(
			is_ephemeral
				? _("banger: bangerd went away\n"
				    "banger: 'banger vm list' starts it again, and it deletes this VM\n")
				: _("banger: bangerd went away\n"
				    "banger: what runs goes on; 'banger vm list' starts it again\n"),
			stderr);
		return CLI_FAILED;
	}
	(void)g_dbus_error_strip_remote_error(own);
	/* By a signal of ours; a job that somebody else cancelled has failed. */
	if (g_error_matches(own, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
		(void)fprintf(stderr, "banger: %s\n", _("interrupted"));
		return CLI_INTERRUPTED;
	}
	text = bn_str_escape(own->message, strlen(own->message), 4096);
	if (g_error_matches(own, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT))
		return cli_usage("%s", text);
	next = hint(own);
	(void)fprintf(stderr, "banger: %s\n", text);
	if (next)
		(void)fprintf(stderr, "banger: %s\n", next);
	return CLI_FAILED;
}

int
cli_fail_own(GError *error)
{
	return cli_fail(error) == CLI_INTERRUPTED ? CLI_INTERRUPTED : CLI_OWN_FAILURE;
}

int
cli_usage(const char *format, ...)
{
	va_list args;
	g_autofree char *text = NULL, *way = help_make_way();

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	(void)fprintf(stderr, _("banger: %s\nbanger: see '%s'\n"), text, way);
	return CLI_USAGE;
}

void
cli_tell_write_error(int error)
{
	if (error != EPIPE)
		(void)fprintf(stderr, _("banger: writing the output: %s\n"), g_strerror(error));
}

bool
cli_flag(Cli *cli, const char *property)
{
	g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
		cli->bus, BANGER_BUS_NAME, BANGER_OBJECT_PATH, "org.freedesktop.DBus.Properties",
		"Get", g_variant_new("(ss)", BANGER_BUS_NAME, property), G_VARIANT_TYPE("(v)"),
		G_DBUS_CALL_FLAGS_NONE, G_MAXINT, /* cancellable= */ NULL, /* error= */ NULL);
	g_autoptr(GVariant) value = NULL;

	if (reply)
		g_variant_get(reply, "(v)", &value);
	return value && g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN) &&
	       g_variant_get_boolean(value);
}

GHashTable *
cli_list(Cli *cli, const char *interface, GError **error)
{
	g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
		cli->bus, BANGER_BUS_NAME, BANGER_OBJECT_PATH, "org.freedesktop.DBus.ObjectManager",
		"GetManagedObjects", NULL, G_VARIANT_TYPE("(a{oa{sa{sv}}})"),
		G_DBUS_CALL_FLAGS_NONE, G_MAXINT, /* cancellable= */ NULL, error);
	g_autoptr(GVariantIter) objects = NULL;
	GHashTable *table;
	const char *path;
	GVariant *interfaces;

	if (!reply)
		return NULL;
	table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
				      (GDestroyNotify)g_variant_unref);
	g_variant_get(reply, "(a{oa{sa{sv}}})", &objects);
	while (g_variant_iter_next(objects, "{&o@a{sa{sv}}}", &path, &interfaces)) {
		GVariant *properties = g_variant_lookup_value(interfaces, interface, NULL);

		if (properties)
			g_hash_table_insert(table, g_strdup(path), properties);
		g_variant_unref(interfaces);
	}
	return table;
}

const char *
cli_text(GVariant *properties, const char *name)
{
	const char *value = "";

	if (!g_variant_lookup(properties, name, "&s", &value))
		(void)g_variant_lookup(properties, name, "&o", &value);
	return value;
}

guint64
cli_number(GVariant *properties, const char *name)
{
	guint64 value = 0;
	guint32 small = 0;

	if (!g_variant_lookup(properties, name, "t", &value) &&
	    g_variant_lookup(properties, name, "u", &small))
		value = small;
	return value;
}

bool
cli_ask(Cli *cli, bool otherwise, const char *format, ...)
{
	g_autofree char *question = NULL;
	char answer[16] = "";
	va_list args;

	if (cli->no_ask || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return otherwise;
	va_start(args, format);
	question = g_strdup_vprintf(format, args);
	va_end(args);
	(void)fprintf(stderr, "%s [y/N] ", question);
	return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}
