/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "shared/base/cleanup.h"
#include "shared/base/io-util.h"

static int
temporary_directory(void)
{
	char path[] = "/tmp/banger-test-XXXXXX";
	int fd;

	check(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(fd >= 0);
	check(rmdir(path) == 0 || errno == ENOTEMPTY);
	return fd;
}

static void
test_read_file_when_too_large_or_link_then_refused(void)
{
	char path[] = "/tmp/banger-test-XXXXXX", link_path[64];
	_cleanup_close_ int fd = mkstemp(path);
	_cleanup_free_ char *text = NULL;
	size_t size = 0;

	check(fd >= 0);
	check_int(bn_io_write_all(fd, "12345", 5), 0);
	check_int(bn_io_read_file(AT_FDCWD, path, 4, &text, &size), -EFBIG);
	check(!text);
	check_int(bn_io_read_file(AT_FDCWD, path, 5, &text, &size), 0);
	check_int(size, 5);
	check_str(text, "12345");
	snprintf(link_path, sizeof(link_path), "%s.l", path);
	check_int(symlink(path, link_path), 0);
	check_int(bn_io_read_file(AT_FDCWD, link_path, 5, &text, &size), -ELOOP);
	(void)unlink(link_path);
	(void)unlink(path);
}

static void
test_replace_file_when_directory_gone_then_nothing_left(void)
{
	_cleanup_close_ int dir = temporary_directory();

	check_int(bn_io_replace_file(dir, "x", "a", 1, 0600), -ENOENT);
}

static void
test_replace_file_when_there_then_new_content_and_mode(void)
{
	char path[] = "/tmp/banger-test-XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	_cleanup_free_ char *text = NULL;
	struct stat st;

	check(fd >= 0);
	check_int(bn_io_replace_file(AT_FDCWD, path, "new", 3, 0640), 0);
	check_int(bn_io_read_file(AT_FDCWD, path, 10, &text, NULL), 0);
	check_str(text, "new");
	check_int(stat(path, &st), 0);
	check_int(st.st_mode & 07777, 0640);
	(void)unlink(path);
}

TEST_MAIN(TEST(test_read_file_when_too_large_or_link_then_refused),
	  TEST(test_replace_file_when_directory_gone_then_nothing_left),
	  TEST(test_replace_file_when_there_then_new_content_and_mode))
