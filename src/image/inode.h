/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An inode as it lies on the disk. */
#pragma once

#include "image/ext4.h"

struct ext2_inode_large;

/* Fills *ret for a numbered node, without its checksum. The node's map is made where it needs blocks,
 * see bn_extent_write(). */
void bn_inode_fill(const BnNode *node, struct ext2_inode_large *ret);
