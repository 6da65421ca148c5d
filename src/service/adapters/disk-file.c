/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/disk-file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/base/error.h"
#include "shared/base/cleanup.h"

/* NULL where nothing is wrong with it. */
static const char *
find_fault(const struct stat *st, int flags, bool may_be_empty)
{
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (st->st_size == 0 && !may_be_empty)
		return "is empty";
	if (flags == O_RDONLY && (st->st_mode & S_IWOTH))
		return "may be written by everybody";
	if (flags == O_RDWR && st->st_nlink != 1)
		return "has a second name (link)";
	return NULL;
}

int
banger_disk_file_open(const char *path, int flags, bool may_be_empty, GError **error)
{
	/* A FIFO would wait for its other end. Of files the flag means nothing. */
	_cleanup_close_ int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	const char *fault;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		(void)banger_error_set_errno(error, "%s", path);
		return -1;
	}
	fault = find_fault(&st, flags, may_be_empty);
	if (!fault)
		return BN_TAKE_FD(fd);
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_FAILED, "%s %s", path, fault);
	return -1;
}
