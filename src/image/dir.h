/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes directories: one block as a list, more as a hash tree. */
#pragma once

#include "image/ext4.h"

/* Appends the directory's blocks to the sink; sets its size, map and number of blocks.
 * 0, or negative errno with the error filled. */
int bn_dir_write(BnExt4 *fs, BnNode *dir);
