/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an image is written through, on a disk whose first write fails. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include "image/sink.h"

static int first_error;
static unsigned n_writes;

/* In the place of libc's. */
ssize_t
pwrite(int fd, const void *data, size_t size, off_t offset)
{
	if (n_writes++ > 0)
		return syscall(SYS_pwrite64, fd, data, size, offset);
	errno = first_error;
	return -1;
}

/* What flushing one block says. */
static int
write_block(int error)
{
	char path[] = "/var/tmp/banger-sink-XXXXXX";
	BnSink sink;
	int fd = mkstemp(path), r;

	check(fd >= 0);
	check_int(unlink(path), 0);
	first_error = error;
	n_writes = 0;
	check_int(bn_sink_init(&sink, fd, BN_BLOCK_SIZE * (BN_SINK_FIRST_BLOCK + 1)), 0);
	check_int(bn_sink_append_zeros(&sink, BN_BLOCK_SIZE), 0);
	r = bn_sink_flush(&sink);
	bn_sink_done(&sink);
	(void)close(fd);
	return r;
}

static void
test_sink_when_its_first_write_fails_then_only_what_is_about_the_way_is_tried_again(void)
{
	check_int(write_block(EIO), -EIO);
	check_int(n_writes, 1);
	check_int(write_block(ENOSPC), -ENOSPC);
	check_int(n_writes, 1);
	/* Around the page cache it cannot be. */
	check_int(write_block(EINVAL), 0);
	check_int(n_writes, 2);
}

TEST_MAIN(TEST(test_sink_when_its_first_write_fails_then_only_what_is_about_the_way_is_tried_again))
