/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/ext4.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ext2fs/ext2fs.h>

#include "image/dir.h"
#include "image/extent.h"
#include "image/file.h"
#include "image/filesystem.h"
#include "image/inode.h"
#include "image/xattr.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"

#define INODE_SIZE       256u
#define INODES_PER_BLOCK (BN_BLOCK_SIZE / INODE_SIZE)
#define BLOCKS_PER_GROUP UINT64_C(32768)
#define GROUP_INODES_MAX UINT64_C(32768)

/* Left free behind the inode tables beside what attributes need. */
#define SPARE_BLOCKS 64

/* How large each thing is, once everything else is known. */
typedef struct Geometry {
	uint64_t data_end; /* first block behind the data: the tables begin here */
	uint64_t blocks;
	uint64_t groups;
	uint32_t table_blocks; /* of one group */
	uint32_t inodes;       /* of all groups */
	bool has_large_xattrs;
} Geometry;

void
bn_ext4_init(BnExt4 *fs, const uint8_t digest[static 32])
{
	memcpy(fs->uuid, digest, sizeof(fs->uuid));
	memcpy(fs->hash_seed, digest + sizeof(fs->uuid), sizeof(fs->hash_seed));
	/* A UUID of one's own making, in its own words: version 8, variant 1. */
	fs->uuid[6] = (uint8_t)((fs->uuid[6] & 0x0f) | 0x80);
	fs->uuid[8] = (uint8_t)((fs->uuid[8] & 0x3f) | 0x80);
	fs->checksum_seed = ext2fs_crc32c_le(~0u, fs->uuid, sizeof(fs->uuid));
}

/* Block maps of files in more than four pieces, then the directories. */
static int
write_maps(BnExt4 *fs)
{
	for (BnNode *node = fs->tree->root; node; node = node->next) {
		bool has_data = S_ISREG(node->mode) || S_ISLNK(node->mode);
		const BnExtent *extents;
		int r;

		if (node->ino == 0 || !has_data || node->n_extents == 0)
			continue;
		extents = bn_node_extents(node);
		for (uint32_t i = 0; i < node->n_extents; i++)
			node->n_blocks += extents[i].count;
		if (node->n_extents <= BN_EXTENT_IN_INODE)
			continue;
		node->map = bn_arena_new(&fs->tree->arena, BN_EXTENT_MAP_SIZE);
		if (!node->map)
			return bn_image_fail_memory(fs->error);
		r = bn_extent_write(fs, node->ino, extents, node->n_extents, node->map,
				    &node->n_blocks);
		if (r < 0)
			return bn_file_fail_sink(fs->error, r);
	}
	return 0;
}

static int
write_directories(BnExt4 *fs)
{
	for (BnNode *node = fs->tree->root; node; node = node->next) {
		int r;

		if (node->ino == 0 || !bn_node_is_dir(node))
			continue;
		r = bn_dir_write(fs, node);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A group that is not whole must hold what libext2fs thinks it needs, or it is cut off. */
static uint64_t
round_blocks(uint64_t blocks, uint32_t table_blocks)
{
	uint64_t rest = blocks % BLOCKS_PER_GROUP, least = table_blocks + 2 + 50;

	return rest == 0 || rest >= least ? blocks : blocks - rest + least;
}

static int
plan(BnExt4 *fs, Geometry *g)
{
	uint64_t inodes = BN_EXT4_FIRST_INO - 1 + fs->tree->n_reachable, room = SPARE_BLOCKS;
	uint64_t needed;

	for (const BnNode *node = fs->tree->root; node; node = node->next) {
		uint64_t blocks;
		uint32_t more;

		if (node->ino == 0 || !node->xattrs)
			continue;
		bn_xattr_room(node, &blocks, &more);
		room += blocks;
		inodes += more;
		g->has_large_xattrs |= more > 0;
	}
	g->data_end = bn_sink_block(fs->sink);
	g->groups = (inodes + GROUP_INODES_MAX - 1) / GROUP_INODES_MAX;
	/* More groups need more room for their tables: the first number that holds its own. */
	for (;; g->groups++) {
		uint64_t per_group = (inodes + g->groups - 1) / g->groups;

		g->table_blocks = (uint32_t)((per_group + INODES_PER_BLOCK - 1) / INODES_PER_BLOCK);
		needed = g->data_end + g->groups * (2 + g->table_blocks) + room;
		if (needed <=
		    (g->groups - 1) * BLOCKS_PER_GROUP) /* the inodes ask for the groups */
			needed = (g->groups - 1) * BLOCKS_PER_GROUP + 1;
		needed = round_blocks(needed, g->table_blocks);
		if (needed <= g->groups * BLOCKS_PER_GROUP)
			break;
		g->groups = BN_MAX(g->groups, (needed - 1) / BLOCKS_PER_GROUP);
	}
	g->blocks = needed;
	g->inodes = (uint32_t)(g->groups * g->table_blocks * INODES_PER_BLOCK);
	if (g->blocks > fs->sink->max_bytes / BN_BLOCK_SIZE)
		return bn_file_fail_sink(fs->error, -EFBIG);
	return 0;
}

static int
open_filesystem(BnExt4 *fs, const Geometry *g, ext2_filsys *ret)
{
	struct ext2_super_block param = { .s_inodes_count = g->inodes };
	_cleanup_(bn_filesystem_freep) ext2_filsys e = NULL;
	long code;

	ext2fs_blocks_count_set(&param, g->blocks);
	bn_filesystem_set_features(&param);
	/* No copy of the superblock: the file is replaced whole or not at all, and the data would have
	 * to part around each copy. */
	ext2fs_set_feature_sparse_super2(&param);
	if (g->has_large_xattrs)
		ext2fs_set_feature_ea_inode(&param);
	code = bn_filesystem_open(fs->fd, &param, fs->uuid, fs->hash_seed, fs->now, &e);
	if (code != 0)
		return bn_filesystem_fail(fs->error, code, "making the filesystem failed");
	if (e->group_desc_count != g->groups || e->inode_blocks_per_group != g->table_blocks ||
	    ext2fs_blocks_count(e->super) != g->blocks || e->desc_blocks >= BN_SINK_FIRST_BLOCK)
		return bn_image_fail(fs->error, -EIO, BN_FAULT_INTERNAL,
				     "libext2fs chose another geometry than was planned");
	*ret = BN_TAKE_PTR(e);
	return 0;
}

/* Where the tables are, and what is in use. */
static void
place_tables(BnExt4 *fs, ext2_filsys e, const Geometry *g)
{
	uint64_t tables = g->data_end + 2 * g->groups;

	for (dgrp_t i = 0; i < g->groups; i++) {
		ext2fs_block_bitmap_loc_set(e, i, g->data_end + i);
		ext2fs_inode_bitmap_loc_set(e, i, g->data_end + g->groups + i);
		ext2fs_inode_table_loc_set(e, i, tables + (uint64_t)i * g->table_blocks);
		ext2fs_bg_flags_set(e, i, EXT2_BG_INODE_ZEROED);
	}
	ext2fs_block_alloc_stats_range(
		e, BN_SINK_FIRST_BLOCK,
		(blk_t)(tables + g->groups * g->table_blocks - BN_SINK_FIRST_BLOCK), +1);
	for (ext2_ino_t ino = 1; ino < BN_EXT4_FIRST_INO; ino++)
		ext2fs_inode_alloc_stats2(e, ino, +1, ino == EXT2_ROOT_INO);
	for (const BnNode *node = fs->tree->root->next; node; node = node->next)
		if (node->ino != 0)
			ext2fs_inode_alloc_stats2(e, node->ino, +1, bn_node_is_dir(node));
}

/* The inode tables lie together: one run of the sink, in the order of the numbers. What the last
 * nodes leave of them is a hole. */
static int
write_inodes(BnExt4 *fs, ext2_filsys e)
{
	uint32_t next = 1;

	for (const BnNode *node = fs->tree->root; node; node = node->next) {
		struct {
			struct ext2_inode_large inode;
			char attributes[INODE_SIZE - sizeof(struct ext2_inode_large)];
		} slot = {};
		int r;

		if (node->ino == 0)
			continue;
		r = bn_sink_append_zeros(fs->sink, (size_t)(node->ino - next) * INODE_SIZE);
		bn_inode_fill(node, &slot.inode);
		if (ext2fs_inode_csum_set(e, node->ino, &slot.inode) != 0)
			r = -EIO;
		if (r >= 0)
			r = bn_sink_append(fs->sink, &slot, sizeof(slot));
		if (r < 0)
			return r;
		next = node->ino + 1;
	}
	return 0;
}

/* Bitmaps come from libext2fs when it closes; until then their place is zeros. */
static int
write_fixed(BnExt4 *fs, ext2_filsys e, const Geometry *g)
{
	int r = bn_sink_append_zeros(fs->sink, 2 * g->groups * BN_BLOCK_SIZE);

	if (r >= 0)
		r = write_inodes(fs, e);
	if (r >= 0)
		r = bn_sink_align(fs->sink);
	if (r >= 0)
		r = bn_sink_flush(fs->sink);
	if (r >= 0 && ftruncate(fs->fd, (off_t)(g->blocks * BN_BLOCK_SIZE)) < 0)
		r = bn_errno();
	return r < 0 ? bn_file_fail_sink(fs->error, r) : 0;
}

/* What replaced files took is free again, in the host's file as well. */
static void
free_replaced(BnExt4 *fs, ext2_filsys e)
{
	for (const BnNode *node = fs->tree->root; node; node = node->next) {
		const BnExtent *extents = bn_node_extents(node);

		if (node->ino != 0 || (!S_ISREG(node->mode) && !S_ISLNK(node->mode)))
			continue;
		for (uint32_t i = 0; i < node->n_extents; i++) {
			ext2fs_block_alloc_stats_range(e, extents[i].physical, extents[i].count,
						       -1);
			/* A host that cannot make holes keeps the bytes; nobody sees them. */
			(void)fallocate(fs->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					(off_t)(extents[i].physical * BN_BLOCK_SIZE),
					(off_t)extents[i].count * BN_BLOCK_SIZE);
		}
	}
}

/* The blocks of a value that has an inode of its own count as its owner's, too; libext2fs leaves that
 * out. All blocks that went since `free_before` are such, or the attribute block that it did count. */
static long
count_values(ext2_filsys e, const BnNode *node, uint64_t free_before)
{
	uint64_t used = free_before - ext2fs_free_blocks_count(e->super);
	struct ext2_inode_large inode;
	long code =
		ext2fs_read_inode_full(e, node->ino, (struct ext2_inode *)&inode, sizeof(inode));

	if (code != 0)
		return code;
	inode.i_blocks = (uint32_t)((node->n_blocks + used) * (BN_BLOCK_SIZE / 512));
	return ext2fs_write_inode_full(e, node->ino, (struct ext2_inode *)&inode, sizeof(inode));
}

static int
write_xattrs(BnExt4 *fs, ext2_filsys e, const BnNode *node)
{
	struct ext2_xattr_handle *handle = NULL;
	char path[256];
	uint64_t free_before = ext2fs_free_blocks_count(e->super);
	long code = ext2fs_xattrs_open(e, node->ino, &handle);

	for (const BnXattr *x = node->xattrs; x && code == 0; x = x->next)
		code = ext2fs_xattr_set(handle, x->name, x->value, x->size);
	if (handle)
		(void)ext2fs_xattrs_close(&handle);
	if (code == 0)
		code = count_values(e, node, free_before);
	if (code == 0)
		return 0;
	bn_node_path(node, path, sizeof(path));
	if (code == EXT2_ET_EA_NO_SPACE)
		return bn_image_fail_entry(fs->error, -ENOSPC, BN_FAULT_XATTR, path,
					   "ext4 has no room for all its extended attributes");
	return bn_filesystem_fail(fs->error, code, "writing extended attributes failed");
}

static int
write_tables(BnExt4 *fs, const Geometry *g)
{
	_cleanup_(bn_filesystem_freep) ext2_filsys e = NULL;
	long code;
	int r = open_filesystem(fs, g, &e);

	if (r < 0)
		return r;
	place_tables(fs, e, g);
	r = write_fixed(fs, e, g);
	if (r >= 0)
		free_replaced(fs, e);
	for (const BnNode *node = fs->tree->root; node && r >= 0; node = node->next)
		if (node->ino != 0 && node->xattrs)
			r = write_xattrs(fs, e, node);
	if (r < 0)
		return r;
	code = bn_filesystem_close(&e);
	return code == 0 ? 0 : bn_filesystem_fail(fs->error, code, "closing the filesystem failed");
}

static int
check_links(BnExt4 *fs)
{
	char path[256];

	for (const BnNode *node = fs->tree->root; node; node = node->next) {
		if (bn_node_is_dir(node) || node->n_links <= BN_EXT4_LINKS_MAX)
			continue;
		bn_node_path(node, path, sizeof(path));
		return bn_image_fail_entry(fs->error, -EMLINK, BN_FAULT_LINK, path,
					   "it has %u names, ext4 allows %u", node->n_links,
					   BN_EXT4_LINKS_MAX);
	}
	return 0;
}

int
bn_ext4_write(BnExt4 *fs)
{
	Geometry geometry = {};
	int r = check_links(fs);

	if (r >= 0)
		r = write_maps(fs);
	if (r >= 0)
		r = write_directories(fs);
	if (r >= 0)
		r = plan(fs, &geometry);
	if (r >= 0)
		r = write_tables(fs, &geometry);
	return r;
}
