/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot/init-archive.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NAME    "init"
#define TRAILER "TRAILER!!!"
/* Everything begins at a multiple of four; what fills it up is zero. */
static size_t
pad(uint64_t size)
{
	return (size_t)(-size & 3);
}

/* Documentation/driver-api/early-userspace/buffer-format.rst, "newc": magic and 13 fields, the name with its NUL. The
 * zeros that fill it up are in `ret` already. */
static size_t
put_header(char *ret, size_t size, const char *name, mode_t mode, uint64_t length)
{
	unsigned ino = 0, uid = 0, gid = 0, links = 1, mtime = 0, check = 0;
	int n = snprintf(ret, size, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s",
			 ino, mode, uid, gid, links, mtime, (unsigned)length, 0, 0, 0, 0,
			 (unsigned)strlen(name) + 1, check, name);

	return (size_t)n + 1 + pad((uint64_t)n + 1);
}

BootInitArchive
boot_init_archive_make(uint64_t offset, uint64_t size)
{
	size_t before = pad(offset), behind = pad(size);
	BootInitArchive archive = {};

	archive.before_size =
		before + put_header(archive.before + before, sizeof(archive.before) - before, NAME,
				    S_IFREG | 0755, size);
	archive.behind_size = behind + put_header(archive.behind + behind,
						  sizeof(archive.behind) - behind, TRAILER, 0, 0);
	return archive;
}
