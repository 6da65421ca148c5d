/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/errno-util.h"

int
bn_output_check(int fd, BnImageError *reterr)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0)
		return bn_image_fail(reterr, bn_errno(), BN_FAULT_INVALID, "the output: %s",
				     strerror(errno));
	if (!S_ISREG(st.st_mode) || (flags & O_ACCMODE) != O_RDWR || (flags & (O_APPEND | O_PATH)))
		return bn_image_fail(
			reterr, -EINVAL, BN_FAULT_INVALID,
			"the output must be a regular file open for reading and writing");
	/* Whatever was in it would shine through the holes. */
	if (st.st_size != 0)
		return bn_image_fail(reterr, -EEXIST, BN_FAULT_INVALID, "the output is not empty");
	return 0;
}

void
bn_output_clear(int fd)
{
	if (ftruncate(fd, 0) < 0)
		return; /* what is left is the caller's to throw away */
}

int
bn_output_measure(int fd, uint64_t *ret_bytes, uint64_t *ret_allocated, BnImageError *reterr)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return bn_image_fail(reterr, bn_errno(), BN_FAULT_WRITE, "the output: %s",
				     strerror(errno));
	*ret_bytes = (uint64_t)st.st_size;
	*ret_allocated = (uint64_t)st.st_blocks * 512;
	return 0;
}
