/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot/apt-conf.h"

const char *const boot_apt_pins[] = {
	"Acquire::AllowInsecureRepositories=false",
	"Acquire::AllowWeakRepositories=false",
	"Acquire::AllowDowngradeToInsecureRepositories=false",
	"Acquire::Check-Date=true",
	"Acquire::Check-Valid-Until=true",
	"APT::Get::AllowUnauthenticated=false",
	NULL,
};

char *
boot_apt_conf_make(const char *dump)
{
	g_autoptr(GRegex) kept = g_regex_new(BOOT_APT_KEPT, G_REGEX_CASELESS, 0, NULL);
	g_autoptr(GString) text = g_string_new("Dir::Etc::Parts \"/dev/null\";\n"
					       "Dir::Etc::Main \"/dev/null\";\n");
	g_auto(GStrv) lines = g_strsplit(dump, "\n", -1);

	for (char **line = lines; *line; line++)
		if (g_regex_match(kept, *line, 0, NULL))
			g_string_append_printf(text, "%s\n", *line);
	return g_string_free(g_steal_pointer(&text), FALSE);
}
