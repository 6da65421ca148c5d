/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/host.h"

#include <glib.h>
#include <sys/statvfs.h>
#include <unistd.h>

bool
banger_host_can_run(const char *path)
{
	return access(path, X_OK) == 0;
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
