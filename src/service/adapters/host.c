/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/host.h"

#include <glib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

bool
banger_host_can_run(const char *path)
{
	return access(path, X_OK) == 0;
}

static bool
is_roots_own(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && !S_ISLNK(st.st_mode) && st.st_uid == 0 &&
	       (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool
banger_host_is_roots(const char *path)
{
	g_autofree char *at = g_strdup(path);

	while (is_roots_own(at)) {
		g_autofree char *below = at;

		at = g_path_get_dirname(below);
		if (g_str_equal(at, below))
			return true;
	}
	return false;
}

/* subuid(5): by name or by number. */
bool
banger_host_has_entry(const char *path)
{
	g_autofree char *text = NULL;
	g_autofree char *by_name = g_strconcat(g_get_user_name(), ":", NULL);
	g_autofree char *by_number = g_strdup_printf("%u:", getuid());
	g_auto(GStrv) lines = NULL;

	if (!g_file_get_contents(path, &text, /* length= */ NULL, /* error= */ NULL))
		return false;
	lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++)
		if (g_str_has_prefix(*line, by_name) || g_str_has_prefix(*line, by_number))
			return true;
	return false;
}

bool
banger_host_has_subids(void)
{
	return getuid() == 0 ||
	       (banger_host_has_entry("/etc/subuid") && banger_host_has_entry("/etc/subgid"));
}

bool
banger_host_get_space(const char **ret_directory, uint64_t *ret_free)
{
	const char *directory = g_get_user_data_dir();
	struct statvfs fs;

	if (statvfs(directory, &fs) < 0)
		return false;
	*ret_directory = directory;
	*ret_free = (uint64_t)fs.f_bavail * fs.f_frsize;
	return true;
}
