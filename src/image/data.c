/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A smaller hole costs less as zeros than as an extent. */
#define HOLE_MIN (64U * 1024)
/* The most blocks of one extent: bit 15 of its length means "unwritten". */
#define EXTENT_MAX 32768U
#define INLINE_MAX 4

/* On-disk structures: Documentation/filesystems/ext4/ifork.rst, "Extent Tree". */
typedef struct __attribute__((packed)) ExtentHeader {
	uint16_t magic, entries, max, depth;
	uint32_t generation;
} ExtentHeader;

typedef struct __attribute__((packed)) Extent {
	uint32_t logical;
	uint16_t length, start_high;
	uint32_t start_low;
} Extent;

void
data_begin(Data *data, Ext4 *ext4, uint8_t *buffer)
{
	*data = (Data){ .ext4 = ext4, .buffer = buffer };
}

void
data_done(Data *data)
{
	free(data->runs);
	data->runs = NULL;
}

static int
add_run(Data *data, blk64_t logical, blk64_t start, blk64_t length, ImageError *error)
{
	DataRun *last = data->n_runs ? &data->runs[data->n_runs - 1] : NULL;

	data->n_blocks += length;
	if (last && last->logical + last->length == logical &&
	    last->start + last->length == start) {
		last->length += length;
		return 0;
	}
	if (data->n_runs == data->max_runs) {
		size_t max = data->max_runs ? 2 * data->max_runs : 8;
		DataRun *runs = realloc(data->runs, max * sizeof(*runs));

		if (!runs)
			return image_fail(error, "FAILED", "out of memory");
		data->runs = runs;
		data->max_runs = max;
	}
	data->runs[data->n_runs++] = (DataRun){ logical, start, length };
	return 0;
}

static int
write_out(int fd, const uint8_t *bytes, size_t size, uint64_t at, ImageError *error)
{
	while (size > 0) {
		ssize_t n = pwrite(fd, bytes, size, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return image_fail_code(error, "the image cannot be written", errno);
		bytes += n;
		size -= (size_t)n;
		at += (size_t)n;
	}
	return 0;
}

static int
flush(Data *data, ImageError *error)
{
	size_t whole = (data->used + EXT4_BLOCK - 1) / EXT4_BLOCK * EXT4_BLOCK;
	blk64_t logical = data->offset / EXT4_BLOCK;

	memset(data->buffer + data->used, 0, whole - data->used);
	for (size_t at = 0; at < whole;) {
		blk64_t start, length;

		if (ext4_take_blocks(data->ext4, (whole - at) / EXT4_BLOCK, &start, &length,
				     error) < 0 ||
		    add_run(data, logical, start, length, error) < 0 ||
		    write_out(data->ext4->fd, data->buffer + at, length * EXT4_BLOCK,
			      start * EXT4_BLOCK, error) < 0)
			return -1;
		logical += length;
		at += length * EXT4_BLOCK;
	}
	data->offset += whole;
	data->used = 0;
	return 0;
}

static int
append(Data *data, const uint8_t *bytes, size_t size, ImageError *error)
{
	while (size > 0) {
		size_t n = DATA_BUFFER - data->used < size ? DATA_BUFFER - data->used : size;

		if (bytes)
			memcpy(data->buffer + data->used, bytes, n);
		else
			memset(data->buffer + data->used, 0, n);
		data->used += n;
		bytes = bytes ? bytes + n : NULL;
		size -= n;
		if (data->used == DATA_BUFFER && flush(data, error) < 0)
			return -1;
	}
	return 0;
}

int
data_put(Data *data, const void *bytes, size_t size, uint64_t offset, ImageError *error)
{
	uint64_t end = data->offset + data->used;

	if (size == 0)
		return 0;
	if (offset < end)
		return image_fail(error, "INVALID", "parts of a sparse file overlap");
	if (offset - end >= HOLE_MIN) {
		if (flush(data, error) < 0)
			return -1;
		data->offset = offset / EXT4_BLOCK * EXT4_BLOCK;
		end = data->offset;
	}
	if (append(data, NULL, (size_t)(offset - end), error) < 0)
		return -1;
	return append(data, bytes, size, error);
}

/* Extents as the disk has them: long runs in pieces. */
static size_t
count_extents(const Data *data)
{
	size_t n = 0;

	for (size_t i = 0; i < data->n_runs; i++)
		n += (size_t)((data->runs[i].length + EXTENT_MAX - 1) / EXTENT_MAX);
	return n;
}

static void
map_inline(const Data *data, struct ext2_inode_large *inode)
{
	ExtentHeader header = { .magic = 0xf30a, .max = INLINE_MAX };
	uint8_t *at = (uint8_t *)inode->i_block + sizeof(header);

	for (size_t i = 0; i < data->n_runs; i++)
		for (blk64_t done = 0; done < data->runs[i].length; done += EXTENT_MAX) {
			const DataRun *run = &data->runs[i];
			blk64_t start = run->start + done, rest = run->length - done;
			Extent extent = { .logical = (uint32_t)(run->logical + done),
					  .length =
						  (uint16_t)(rest < EXTENT_MAX ? rest : EXTENT_MAX),
					  .start_high = (uint16_t)(start >> 32),
					  .start_low = (uint32_t)start };

			memcpy(at, &extent, sizeof(extent));
			at += sizeof(extent);
			header.entries++;
		}
	memcpy(inode->i_block, &header, sizeof(header));
}

static errcode_t
map_tree(const Data *data, ext2_ino_t ino, struct ext2_inode_large *inode)
{
	ext2_extent_handle_t handle;
	errcode_t r = ext2fs_extent_open2(data->ext4->fs, ino, (struct ext2_inode *)inode, &handle);

	if (r)
		return r;
	for (size_t i = 0; !r && i < data->n_runs; i++)
		for (blk64_t done = 0; !r && done < data->runs[i].length; done += EXTENT_MAX) {
			const DataRun *run = &data->runs[i];
			blk64_t rest = run->length - done;
			struct ext2fs_extent extent = {
				.e_pblk = run->start + done,
				.e_lblk = run->logical + done,
				.e_len = (__u32)(rest < EXTENT_MAX ? rest : EXTENT_MAX),
			};

			r = ext2fs_extent_insert(handle, EXT2_EXTENT_INSERT_AFTER, &extent);
			if (!r)
				r = ext2fs_extent_fix_parents(handle);
		}
	ext2fs_extent_free(handle);
	return r;
}

int
data_end(Data *data, ext2_ino_t ino, struct ext2_inode_large *inode, ImageError *error)
{
	ext2_filsys fs = data->ext4->fs;
	errcode_t r = 0;

	if (data->used > 0 && flush(data, error) < 0)
		return -1;
	inode->i_flags |= EXT4_EXTENTS_FL;
	if (count_extents(data) <= INLINE_MAX) {
		map_inline(data, inode);
	} else {
		const Data none = {};

		map_inline(&none, inode);
		r = ext2fs_write_inode_full(fs, ino, (struct ext2_inode *)inode, sizeof(*inode));
		if (!r)
			r = map_tree(data, ino, inode);
	}
	if (!r)
		r = ext2fs_iblk_add_blocks(fs, (struct ext2_inode *)inode, data->n_blocks);
	return r ? image_fail_code(error, "a file's map cannot be written", r) : 0;
}
