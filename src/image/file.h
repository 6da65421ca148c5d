/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is in a file: from the archive to blocks of the image, holes left out. */
#pragma once

#include <stdint.h>

#include "image/image-error.h"
#include "image/sink.h"
#include "image/tree.h"

struct archive;

/* ext4 counts a file's blocks in 32 bits. */
#define BN_FILE_SIZE_MAX ((INT64_C(1) << 44) - BN_BLOCK_SIZE)

/* Symbolic links shorter than this are kept in the inode itself. */
#define BN_FILE_FAST_TARGET 60

/* Writes the data of the archive's current entry; sets size and extents of the node. `entry` is its
 * name, for messages. 0, or negative errno with *reterr filled. */
int bn_file_write(BnNode *node, BnSink *sink, struct archive *archive, int64_t size,
		  const char *entry, BnImageError *reterr);

/* Gives a symbolic link that is too long for its inode a block. */
int bn_file_write_target(BnNode *node, BnSink *sink, const char *entry, BnImageError *reterr);

/* Words for a failure of the sink. */
int bn_file_fail_sink(BnImageError *reterr, int error);
