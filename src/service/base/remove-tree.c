/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/base/remove-tree.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "service/base/error.h"

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

bool
banger_remove_tree(const char *path, GError **error)
{
	/* Without FTW_MOUNT: on overlayfs a file's device is not its directory's, and would be left out. */
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
		return true;
	return banger_error_set_errno(error, "cannot remove %s", path);
}
