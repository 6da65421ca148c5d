/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger-apt-fetch: one kernel package from a Debian mirror, by apt and its signature checks, as an
 * ordinary user. A child of bangerd.
 *
 * apt gets a root of its own in the output directory: its lists, its cache, its empty status. The host's apt is
 * neither read nor changed, but for the keys Debian signs with and the way to the network (boot/apt-conf.h). */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/apt-conf.h"
#include "boot/mmdebstrap.h"
#include "boot/report.h"
#include "shared/base/cleanup.h"
#include "shared/base/str-util.h"

#define DEFAULT_PACKAGE "linux-image-cloud-amd64"
#define DEFAULT_MIRROR  "http://deb.debian.org/debian"
#define KEYRING         "/usr/share/keyrings/debian-archive-keyring.gpg"
#define RESULT          "package.deb"

typedef struct Fetch {
	char *directory; /* absolute path of the output */
	char *suite;
	char *package;
	char *mirror;
	GPtrArray *options;  /* of every apt command */
	char *configuration; /* likewise: "APT_CONFIG=…", NULL as long as it is the host's */
} Fetch;

static void
add_option(Fetch *fetch, const char *key, const char *value)
{
	g_ptr_array_add(fetch->options, g_strdup("-o"));
	g_ptr_array_add(fetch->options, g_strconcat(key, "=", value, NULL));
}

static bool
make_root(Fetch *fetch)
{
	static const char *const directories[] = { "state/lists/partial", "cache/archives/partial",
						   "etc/preferences.d", "etc/trusted.gpg.d" };
	g_autofree char *sources = g_build_filename(fetch->directory, "apt/etc/sources.list", NULL);
	g_autofree char *status = g_build_filename(fetch->directory, "apt/state/status", NULL);
	g_autofree char *text = g_strdup_printf("deb [signed-by=%s] %s %s main\n", KEYRING,
						fetch->mirror, fetch->suite);

	for (size_t i = 0; i < G_N_ELEMENTS(directories); i++) {
		g_autofree char *path =
			g_build_filename(fetch->directory, "apt", directories[i], NULL);

		if (g_mkdir_with_parents(path, 0700) < 0)
			return false;
	}
	return g_file_set_contents(sources, text, -1, NULL) &&
	       g_file_set_contents(status, "", 0, NULL);
}

static void
make_options(Fetch *fetch)
{
	static const char *const parts[][2] = {
		{ "Dir::State", "apt/state" },
		{ "Dir::State::status", "apt/state/status" },
		{ "Dir::Cache", "apt/cache" },
		{ "Dir::Etc", "apt/etc" },
		{ "Dir::Etc::sourcelist", "apt/etc/sources.list" },
		{ "Dir::Etc::sourceparts", "apt/etc/none" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		g_autofree char *path = g_build_filename(fetch->directory, parts[i][1], NULL);

		add_option(fetch, parts[i][0], path);
	}
	add_option(fetch, "APT::Architecture", "amd64");
	add_option(fetch, "Acquire::Languages", "none");
	add_option(fetch, "APT::Sandbox::User", "");
	for (const char *const *pin = boot_apt_pins; *pin; pin++) {
		g_ptr_array_add(fetch->options, g_strdup("-o"));
		g_ptr_array_add(fetch->options, g_strdup(*pin));
	}
}

/* Runs one command of apt. Its output, or NULL after the failure has been reported. */
static char *
run(Fetch *fetch, const char *program, const char *const *words)
{
	g_autoptr(GPtrArray) args = g_ptr_array_new();
	g_autofree char *out = NULL, *err = NULL;
	g_autoptr(GError) error = NULL;
	const char *environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
				      fetch->configuration, NULL };
	int status = 0;

	g_ptr_array_add(args, (gpointer)program);
	for (guint i = 0; i < fetch->options->len; i++)
		g_ptr_array_add(args, g_ptr_array_index(fetch->options, i));
	for (; *words; words++)
		g_ptr_array_add(args, (gpointer)*words);
	g_ptr_array_add(args, NULL);
	if (!g_spawn_sync(fetch->directory, (char **)args->pdata, (char **)environment,
			  G_SPAWN_DEFAULT, NULL, NULL, &out, &err, &status, &error)) {
		(void)boot_report_error("TOOL_MISSING", "%s cannot be run: %s", program,
					error->message);
		return NULL;
	}
	if (!g_spawn_check_wait_status(status, NULL)) {
		g_autofree char *safe = NULL;

		g_strdelimit(g_strchomp(err), "\r\n", ' ');
		safe = bn_str_escape(err, strlen(err), 1500);
		(void)boot_report_error("FAILED", "%s: %s", program, safe);
		return NULL;
	}
	return g_steal_pointer(&out);
}

/* With what the host says of the network; from here on nothing of its configuration is read. */
static bool
configure(Fetch *fetch)
{
	const char *const words[] = { "dump", NULL };
	g_autofree char *dump = run(fetch, "/usr/bin/apt-config", words);
	g_autofree char *path = NULL, *text = NULL;
	g_autoptr(GError) error = NULL;

	if (!dump)
		return false;
	path = g_build_filename(fetch->directory, "apt/apt.conf", NULL);
	text = boot_apt_conf_make(dump);
	if (!g_file_set_contents(path, text, -1, &error)) {
		(void)boot_report_error("FAILED", "%s", error->message);
		return false;
	}
	fetch->configuration = g_strconcat("APT_CONFIG=", path, NULL);
	make_options(fetch);
	return true;
}

/* A meta-package depends on the real one: "Depends: linux-image-6.1.0-31-cloud-amd64 (= …)". */
static char *
resolve(Fetch *fetch)
{
	const char *const words[] = { "show", "--no-all-versions", fetch->package, NULL };
	g_autofree char *text = run(fetch, "/usr/bin/apt-cache", words);
	const char *found = text ? strstr(text, "\nDepends: linux-image-") : NULL;
	size_t length;

	if (!text)
		return NULL;
	if (!found)
		return g_strdup(fetch->package);
	found += strlen("\nDepends: ");
	length = strspn(found, "abcdefghijklmnopqrstuvwxyz0123456789+-.");
	return g_strndup(found, length);
}

/* apt names the file after package, version and architecture. */
static bool
take_result(Fetch *fetch)
{
	g_autoptr(GDir) dir = g_dir_open(fetch->directory, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *from = g_build_filename(fetch->directory, name, NULL);
		g_autofree char *to = g_build_filename(fetch->directory, RESULT, NULL);

		if (g_str_has_suffix(name, ".deb"))
			return g_rename(from, to) == 0;
	}
	return false;
}

static int
fetch_package(Fetch *fetch)
{
	/* A list that could not be fetched is only warned of else, and then some package is not found. */
	const char *const update[] = { "-q", "-o", "APT::Update::Error-Mode=any", "update", NULL };
	g_autofree char *updated = NULL, *real = NULL, *downloaded = NULL;

	if (!make_root(fetch))
		return boot_report_error(errno == ENOSPC ? "NO_SPACE" : "FAILED", "%s",
					 g_strerror(errno));
	if (!configure(fetch))
		return 1;
	boot_report_progress("reading the package lists of %s", fetch->suite);
	updated = run(fetch, "/usr/bin/apt-get", update);
	real = updated ? resolve(fetch) : NULL;
	if (real) {
		const char *const download[] = { "-q", "download", real, NULL };

		boot_report_progress("fetching %s", real);
		downloaded = run(fetch, "/usr/bin/apt-get", download);
	}
	if (!downloaded)
		return 1;
	if (!take_result(fetch))
		return boot_report_error("FAILED", "apt-get left no package behind");
	boot_report_done("%s", real);
	return 0;
}

int
main(int argc, char **argv)
{
	g_autofree char *suite = NULL, *package = NULL, *mirror = NULL;
	int output = -1, status = -1;
	const GOptionEntry entries[] = {
		{ "suite", 0, 0, G_OPTION_ARG_STRING, &suite, "Debian suite", "NAME" },
		{ "package", 0, 0, G_OPTION_ARG_STRING, &package, "Package, else " DEFAULT_PACKAGE,
		  "NAME" },
		{ "mirror", 0, 0, G_OPTION_ARG_STRING, &mirror, "Mirror, else " DEFAULT_MIRROR,
		  "URL" },
		{ "output", 0, 0, G_OPTION_ARG_INT, &output,
		  "A directory to work in and write " RESULT " to", "FD" },
		{ "status", 0, 0, G_OPTION_ARG_INT, &status, "Where to report", "FD" },
		{ NULL },
	};
	g_autoptr(GOptionContext) context =
		g_option_context_new("- fetch a kernel package for bangerd");
	g_autoptr(GError) error = NULL;
	g_autofree char *link = NULL;
	Fetch fetch = {};
	BootMmdebstrap names;
	const char *packages[] = { NULL, NULL };
	const char *wrong;

	g_option_context_add_main_entries(context, entries, /* domain= */ NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error) || output < 0) {
		(void)fprintf(stderr, "banger-apt-fetch: %s\n",
			      error ? error->message : "--output is needed");
		return 2;
	}
	if (status >= 0)
		boot_report_open(status);
	fetch.suite = suite ? suite : (char *)"bookworm";
	fetch.package = package ? package : (char *)DEFAULT_PACKAGE;
	fetch.mirror = mirror ? mirror : (char *)DEFAULT_MIRROR;
	packages[0] = fetch.package;
	names = (BootMmdebstrap){ .suite = fetch.suite,
				  .packages = packages,
				  .mirror = fetch.mirror };
	wrong = boot_mmdebstrap_check(&names);
	if (wrong)
		return boot_report_error("INVALID_ARGUMENT", "%s is not of the right form", wrong);
	link = g_strdup_printf("/proc/self/fd/%d", output);
	fetch.directory = g_file_read_link(link, NULL);
	if (!fetch.directory)
		return boot_report_error("FAILED", "the output directory has no path");
	fetch.options = g_ptr_array_new_with_free_func(g_free);
	return fetch_package(&fetch);
}
