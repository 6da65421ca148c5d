/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes → an image, or a refusal with a keyword and words. The image's structure is libext2fs's to
 * read again: it must open, and every inode in use must have its checksum. */
#include <assert.h>
#include <locale.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ext2fs/ext2fs.h>

#include "image/image.h"
#include "shared/base/cleanup.h"
#include "shared/base/io-util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ENTRIES_MAX 2000
#define BYTES_MAX   ((uint64_t)64 << 20)

static int
memory_file(const void *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("fuzz", MFD_CLOEXEC);

	assert(fd >= 0);
	assert(bn_io_write_all(fd, data, size) == 0);
	assert(lseek(fd, 0, SEEK_SET) == 0);
	return BN_TAKE_FD(fd);
}

static void
check_image(int fd)
{
	ext2_filsys fs = NULL;
	ext2_inode_scan scan = NULL;
	struct ext2_inode inode;
	ext2_ino_t ino = 0;
	char name[16];

	(void)snprintf(name, sizeof(name), "%d", dup(fd));
	assert(ext2fs_open(name, EXT2_FLAG_64BITS, 0, 0, unixfd_io_manager, &fs) == 0);
	assert(ext2fs_read_bitmaps(fs) == 0);
	assert(ext2fs_open_inode_scan(fs, 8, &scan) == 0);
	do
		assert(ext2fs_get_next_inode(scan, &ino, &inode) == 0);
	while (ino != 0);
	ext2fs_close_inode_scan(scan);
	assert(ext2fs_lookup(fs, EXT2_ROOT_INO, "lost+found", 10, NULL, &ino) == 0);
	assert(ext2fs_check_directory(fs, ino) == 0);
	ext2fs_free(fs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int input = memory_file(data, size);
	_cleanup_close_ int output = memory_file("", 0);
	BnImageRequest request = {
		.input = input, .output = output, .max_entries = ENTRIES_MAX, .max_bytes = BYTES_MAX
	};
	BnImageResult result;
	BnImageError error;

	(void)setlocale(LC_CTYPE, "C.UTF-8");
	if (bn_image_write(&request, &result, &error) >= 0) {
		assert(result.entries > 0 && result.bytes <= BYTES_MAX);
		check_image(output);
	} else {
		assert(bn_image_fault_to_string(error.fault));
		assert(error.text[0] != '\0' && !strchr(error.text, '\n'));
	}
	return 0;
}
