/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ext4's map from a file's blocks to the disk's: four extents in the inode, or a tree. */
#pragma once

#include "image/ext4.h"

#define BN_EXTENT_MAP_SIZE 60
#define BN_EXTENT_IN_INODE 4u

/* At most BN_EXTENT_IN_INODE extents. */
void bn_extent_fill(unsigned char map[static BN_EXTENT_MAP_SIZE], const BnExtent *extents,
		    size_t n);

/* Any number; appends the tree's blocks to the sink and adds them to *blocks. 0 or negative errno. */
int bn_extent_write(BnExt4 *fs, uint32_t ino, const BnExtent *extents, size_t n,
		    unsigned char map[static BN_EXTENT_MAP_SIZE], uint64_t *blocks);
