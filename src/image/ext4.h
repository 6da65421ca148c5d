/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns a tree whose data are in the sink into an ext4 filesystem.
 *
 * Order on disk: superblock and descriptors, room for more of them, the files' data as they came,
 * block maps, directories, bitmaps, inode tables, a little room for attributes. Everything that needs
 * the number of inodes or blocks to be known comes last.
 *
 * There is no journal: a base image is mounted read-only, below an overlay, and a journal would only
 * be space that every guest reads past. bn_blank_write() makes the filesystems that guests write to. */
#pragma once

#include "image/image.h"
#include "image/sink.h"
#include "image/tree.h"

/* The first inode number that is not reserved. */
#define BN_EXT4_FIRST_INO 11u

/* ext4's EXT4_LINK_MAX; a directory with more subdirectories says 1. */
#define BN_EXT4_LINKS_MAX 65000u

typedef struct BnExt4 {
	BnTree *tree;
	BnSink *sink;
	int fd;
	int64_t now; /* every time that the filesystem itself bears */
	uint8_t uuid[16];
	uint32_t hash_seed[4];
	uint32_t checksum_seed;
	BnImageError *error;
} BnExt4;

/* Sets what follows from the archive's digest. */
void bn_ext4_init(BnExt4 *fs, const uint8_t digest[static 32]);

/* Writes all the rest. The tree is numbered. The file is complete, and not yet synced, when this
 * returns 0. */
int bn_ext4_write(BnExt4 *fs);
