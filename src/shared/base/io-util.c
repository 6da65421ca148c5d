/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/base/io-util.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"

int
bn_io_write_all(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bn_errno();
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

ssize_t
bn_io_read_all(int fd, void *data, size_t size)
{
	char *p = data;
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, p + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bn_errno();
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int
bn_io_read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	_cleanup_free_ char *buf = NULL;
	ssize_t n;

	if (fd < 0)
		return bn_errno();
	buf = malloc(max + 2);
	if (!buf)
		return -ENOMEM;
	n = bn_io_read_all(fd, buf, max + 1);
	if (n < 0)
		return (int)n;
	if ((size_t)n > max)
		return -EFBIG;
	buf[n] = '\0';
	*ret = BN_TAKE_PTR(buf);
	if (ret_size)
		*ret_size = (size_t)n;
	return 0;
}

static int
sync_parent(int dirfd, const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent =
		slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	_cleanup_close_ int fd = -1;

	if (!parent)
		return -ENOMEM;
	fd = openat(dirfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return bn_errno();
	return fsync(fd) < 0 ? bn_errno() : 0;
}

static int
write_new(int dirfd, const char *path, const void *data, size_t size, mode_t mode)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return bn_errno();
	r = bn_io_write_all(fd, data, size);
	if (r < 0)
		return r;
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
		return bn_errno();
	return 0;
}

int
bn_io_replace_file(int dirfd, const char *path, const void *data, size_t size, mode_t mode)
{
	char temporary[PATH_MAX];
	int r;

	/* One writer per file is the rule here, so a fixed name suffices; a leftover is of a crash. */
	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	(void)unlinkat(dirfd, temporary, 0);
	r = write_new(dirfd, temporary, data, size, mode);
	if (r >= 0 && renameat(dirfd, temporary, dirfd, path) < 0)
		r = bn_errno();
	if (r < 0) {
		(void)unlinkat(dirfd, temporary, 0);
		return r;
	}
	return sync_parent(dirfd, path);
}
