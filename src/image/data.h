/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The content of one file: gathered into large writes, mapped by extents, with its holes left out. */
#pragma once

#include "image/ext4.h"

typedef struct DataRun {
	blk64_t logical, start, length;
} DataRun;

typedef struct Data {
	Ext4 *ext4;
	uint8_t *buffer; /* the writer's, shared by all files */
	uint64_t offset; /* of the buffer's first byte in the file; a multiple of the block size */
	size_t used;
	DataRun *runs;
	size_t n_runs, max_runs;
	blk64_t n_blocks;
} Data;

#define DATA_BUFFER (4U << 20)

void data_begin(Data *data, Ext4 *ext4, uint8_t *buffer);
/* Pieces come in ascending order; what lies between them is a hole. */
int data_put(Data *data, const void *bytes, size_t size, uint64_t offset, ImageError *error);
/* Writes what is left, and the map into `inode`, which is already on disk as `ino`. */
int data_end(Data *data, ext2_ino_t ino, struct ext2_inode_large *inode, ImageError *error);
void data_done(Data *data);
