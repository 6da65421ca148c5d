/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A libext2fs filesystem on a descriptor: what images and blank disks have in common. */
#pragma once

#include <stdint.h>

#include <ext2fs/ext2fs.h>

#include "image/image-error.h"

/* Block size, inode size and the features of an ext4 of today that any kernel since 4.x mounts. */
void bn_filesystem_set_features(struct ext2_super_block *param);

/* Begins a filesystem in the file; `fd` stays the caller's. `now` stands for the clock. 0 or an error
 * of libext2fs. */
long bn_filesystem_open(int fd, struct ext2_super_block *param, const uint8_t uuid[static 16],
			const uint32_t hash_seed[static 4], int64_t now, ext2_filsys *ret);

/* Writes bitmaps, descriptors and superblock, without a sync, and frees it in any case. */
long bn_filesystem_close(ext2_filsys *fs);

/* Words for an errno or an error of libext2fs; negative errno. */
int bn_filesystem_fail(BnImageError *reterr, long code, const char *what);

/* Frees it unwritten. */
void bn_filesystem_freep(ext2_filsys *fs);
