/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The filesystem being written: its making, its space, its end. Thin over libext2fs. */
#pragma once

#include <ext2fs/ext2fs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXT4_BLOCK 4096U

/* What went wrong: a keyword for programs and a text for people. */
typedef struct ImageError {
	const char *keyword; /* "INVALID", "NO_SPACE", "FAILED"; NULL: nothing */
	char text[512];
} ImageError;

/* Returns -1, so that it can be returned. Keeps the first error. */
int image_fail(ImageError *error, const char *keyword, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same for a code of libext2fs. */
int image_fail_code(ImageError *error, const char *what, errcode_t code);

typedef struct Ext4 {
	ext2_filsys fs;
	int fd;       /* the same file, for data */
	blk64_t next; /* where free space is looked for: files lie in the order in which they came */
} Ext4;

/* An empty filesystem without a journal: it is a base that nobody writes to. Takes room only as it is used; the same
 * input gives the same bytes. */
int ext4_create_base(Ext4 *ext4, int fd, ImageError *error);

/* An empty filesystem with a journal, of `size` bytes, to be written to by a guest. */
int ext4_create_blank(int fd, uint64_t size, const char *label, ImageError *error);

/* The longest free run up to `wanted` blocks at the next place; taken. */
int ext4_take_blocks(Ext4 *ext4, blk64_t wanted, blk64_t *ret_start, blk64_t *ret_length,
		     ImageError *error);

/* Writes everything that is still in memory and syncs. */
int ext4_finish(Ext4 *ext4, ImageError *error);
/* Forgets it, after a failure. */
void ext4_abandon(Ext4 *ext4);
