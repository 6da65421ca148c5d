/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The checksum that ext4 keeps in blocks belonging to an inode: directories and block maps. */
#pragma once

#include <endian.h>
#include <stddef.h>
#include <stdint.h>

#include <ext2fs/ext2fs.h>

/* libext2fs can do this too, but only once the inode is on the disk, which here comes later.
 * The generation of every inode of an image is 0. */
static inline uint32_t
bn_checksum(uint32_t seed, uint32_t ino, const void *data, size_t size)
{
	uint32_t inode[2] = { htole32(ino), 0 };
	uint32_t sum = ext2fs_crc32c_le(seed, (const unsigned char *)inode, sizeof(inode));

	return ext2fs_crc32c_le(sum, data, size);
}
