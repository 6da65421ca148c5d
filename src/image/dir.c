/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/dir.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ext2fs/ext2fs.h>

#include "image/checksum.h"
#include "image/extent.h"
#include "image/file.h"
#include "shared/base/cleanup.h"

/* A list block ends in a checksum that looks like an entry. */
#define LIST_END  (BN_BLOCK_SIZE - sizeof(struct ext2_dir_entry_tail))
#define ENTRY_MIN 12u /* "." or ".." */

/* Where a hash tree's index begins in the root and in an inner node, and how much fits behind. */
#define ROOT_INDEX 32u
#define NODE_INDEX 8u
#define INDEX_ROOM(start)                                                                          \
	((BN_BLOCK_SIZE - (start) - sizeof(struct ext2_dx_tail)) / sizeof(struct ext2_dx_entry))

typedef struct Block {
	unsigned char data[BN_BLOCK_SIZE];
	size_t used, last; /* where the next entry goes; where the last one begins */
} Block;

typedef struct Hashed {
	uint32_t hash, minor;
	const BnName *name;
} Hashed;

/* A list block of the tree: the names it begins and ends with. */
typedef struct Leaf {
	size_t first, n;
	uint32_t hash;
} Leaf;

typedef struct Index {
	Hashed *names;
	size_t n_names;
	Leaf *leaves;
	size_t n_leaves, n_nodes; /* inner nodes: 0 where the root holds all leaves */
} Index;

static void
index_done(Index *index)
{
	free(index->names);
	free(index->leaves);
}

static size_t
entry_size(size_t name_size)
{
	return (sizeof(struct ext2_dir_entry) - EXT2_NAME_LEN + name_size + 3) & ~(size_t)3;
}

static unsigned
file_type(uint16_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return EXT2_FT_REG_FILE;
	case S_IFDIR:
		return EXT2_FT_DIR;
	case S_IFCHR:
		return EXT2_FT_CHRDEV;
	case S_IFBLK:
		return EXT2_FT_BLKDEV;
	case S_IFIFO:
		return EXT2_FT_FIFO;
	case S_IFSOCK:
		return EXT2_FT_SOCK;
	default:
		return EXT2_FT_SYMLINK;
	}
}

static void
put_entry(unsigned char *at, size_t length, const BnNode *node, const char *name, size_t name_size)
{
	uint32_t ino = htole32(node->ino);
	uint16_t size = htole16((uint16_t)length);

	memcpy(at, &ino, 4);
	memcpy(at + 4, &size, 2);
	at[6] = (unsigned char)name_size;
	at[7] = (unsigned char)file_type(node->mode);
	memcpy(at + 8, name, name_size);
}

static void
block_add(Block *block, const BnNode *node, const char *name, size_t name_size)
{
	size_t length = entry_size(name_size);

	put_entry(block->data + block->used, length, node, name, name_size);
	block->last = block->used;
	block->used += length;
}

static void
block_begin(Block *block, const BnNode *dir)
{
	memset(block, 0, sizeof(*block));
	if (dir) {
		block_add(block, dir, ".", 1);
		block_add(block, dir->parent, "..", 2);
	}
}

/* The last entry reaches to the checksum. */
static int
block_write(BnExt4 *fs, const BnNode *dir, Block *block)
{
	struct ext2_dir_entry_tail tail = {
		.det_rec_len = htole16(sizeof(tail)),
		.det_reserved_name_len = htole16(EXT2_DIR_NAME_LEN_CSUM),
	};
	uint16_t length = htole16((uint16_t)(LIST_END - block->last));

	memcpy(block->data + block->last + 4, &length, 2);
	tail.det_checksum =
		htole32(bn_checksum(fs->checksum_seed, dir->ino, block->data, LIST_END));
	memcpy(block->data + LIST_END, &tail, sizeof(tail));
	return bn_sink_append(fs->sink, block->data, sizeof(block->data));
}

static int
write_list(BnExt4 *fs, const BnNode *dir)
{
	Block block;

	block_begin(&block, dir);
	for (const BnName *name = dir->first; name; name = name->next)
		if (name->node)
			block_add(&block, name->node, name->text, name->size);
	return block_write(fs, dir, &block);
}

static int
compare_hashed(const void *a, const void *b)
{
	const Hashed *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (x->minor != y->minor)
		return x->minor < y->minor ? -1 : 1;
	return strcmp(x->name->text, y->name->text);
}

static int
hash_names(BnExt4 *fs, const BnNode *dir, Index *index)
{
	size_t i = 0;

	index->names = calloc(index->n_names, sizeof(*index->names));
	if (!index->names)
		return -ENOMEM;
	for (const BnName *name = dir->first; name; name = name->next) {
		Hashed *h = &index->names[i];

		if (!name->node)
			continue;
		h->name = name;
		if (ext2fs_dirhash2(EXT2_HASH_HALF_MD4, name->text, name->size, NULL, 0,
				    fs->hash_seed, &h->hash, &h->minor) != 0)
			return -EIO;
		i++;
	}
	qsort(index->names, index->n_names, sizeof(*index->names), compare_hashed);
	return 0;
}

/* Fills list blocks in the order of the hashes. Where names of one hash part between two blocks, the
 * lowest bit of the second one's hash says so, and a search reads on. */
static int
plan_leaves(Index *index)
{
	size_t used = 0, max = index->n_names / (LIST_END / entry_size(BN_TREE_NAME_MAX)) + 2;
	Leaf *leaf = NULL;

	index->leaves = calloc(max, sizeof(*index->leaves));
	if (!index->leaves)
		return -ENOMEM;
	for (size_t i = 0; i < index->n_names; i++) {
		size_t size = entry_size(index->names[i].name->size);

		if (!leaf || used + size > LIST_END) {
			leaf = &index->leaves[index->n_leaves++];
			leaf->first = i;
			leaf->hash = index->names[i].hash;
			if (i > 0 && index->names[i - 1].hash == leaf->hash)
				leaf->hash |= 1;
			used = 0;
		}
		leaf->n++;
		used += size;
	}
	if (index->n_leaves > INDEX_ROOM(ROOT_INDEX))
		index->n_nodes =
			(index->n_leaves + INDEX_ROOM(NODE_INDEX) - 1) / INDEX_ROOM(NODE_INDEX);
	return index->n_nodes > INDEX_ROOM(ROOT_INDEX) ? -EFBIG : 0;
}

/* `n` entries of an index beginning at `start`: entry i is (hash of leaf i * every, block first + i).
 * The first entry's hash is implied and its place taken by the counts. */
static int
write_index(BnExt4 *fs, const BnNode *dir, unsigned char *block, size_t start, const Leaf *leaves,
	    size_t n, size_t every, size_t first)
{
	size_t limit = INDEX_ROOM(start), covered = start + n * sizeof(struct ext2_dx_entry);
	struct ext2_dx_countlimit counts = { .limit = htole16((uint16_t)limit),
					     .count = htole16((uint16_t)n) };
	unsigned char *tail = block + start + limit * sizeof(struct ext2_dx_entry);
	uint32_t sum;

	for (size_t i = 0; i < n; i++) {
		struct ext2_dx_entry entry = { .hash = htole32(leaves[i * every].hash),
					       .block = htole32((uint32_t)(first + i)) };

		memcpy(block + start + i * sizeof(entry), &entry, sizeof(entry));
	}
	memcpy(block + start, &counts, sizeof(counts));
	/* Over the entries in use, then over the tail with its checksum still zero. */
	sum = bn_checksum(fs->checksum_seed, dir->ino, block, covered);
	sum = htole32(ext2fs_crc32c_le(sum, tail, sizeof(struct ext2_dx_tail)));
	memcpy(tail + offsetof(struct ext2_dx_tail, dt_checksum), &sum, 4);
	return bn_sink_append(fs->sink, block, BN_BLOCK_SIZE);
}

static int
write_root(BnExt4 *fs, const BnNode *dir, const Index *index)
{
	unsigned char block[BN_BLOCK_SIZE] = {};
	struct ext2_dx_root_info info = {
		.hash_version = EXT2_HASH_HALF_MD4,
		.info_length = sizeof(info),
		.indirect_levels = index->n_nodes > 0,
	};

	put_entry(block, ENTRY_MIN, dir, ".", 1);
	put_entry(block + ENTRY_MIN, BN_BLOCK_SIZE - ENTRY_MIN, dir->parent, "..", 2);
	memcpy(block + 2 * ENTRY_MIN, &info, sizeof(info));
	if (index->n_nodes > 0)
		return write_index(fs, dir, block, ROOT_INDEX, index->leaves, index->n_nodes,
				   INDEX_ROOM(NODE_INDEX), 1);
	return write_index(fs, dir, block, ROOT_INDEX, index->leaves, index->n_leaves, 1, 1);
}

static int
write_nodes(BnExt4 *fs, const BnNode *dir, const Index *index)
{
	for (size_t i = 0; i < index->n_nodes; i++) {
		unsigned char block[BN_BLOCK_SIZE] = {};
		uint16_t length = htole16(BN_BLOCK_SIZE); /* one empty entry, to who reads a list */
		size_t first = i * INDEX_ROOM(NODE_INDEX);
		int r;

		memcpy(block + 4, &length, 2);
		r = write_index(fs, dir, block, NODE_INDEX, index->leaves + first,
				BN_MIN(index->n_leaves - first, INDEX_ROOM(NODE_INDEX)), 1,
				1 + index->n_nodes + first);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
write_leaves(BnExt4 *fs, const BnNode *dir, const Index *index)
{
	for (size_t i = 0; i < index->n_leaves; i++) {
		const Leaf *leaf = &index->leaves[i];
		Block block;
		int r;

		block_begin(&block, NULL);
		for (size_t k = 0; k < leaf->n; k++) {
			const BnName *name = index->names[leaf->first + k].name;

			block_add(&block, name->node, name->text, name->size);
		}
		r = block_write(fs, dir, &block);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
write_tree(BnExt4 *fs, const BnNode *dir, size_t n_names)
{
	_cleanup_(index_done) Index index = { .n_names = n_names };
	int r = hash_names(fs, dir, &index);

	if (r >= 0)
		r = plan_leaves(&index);
	if (r >= 0)
		r = write_root(fs, dir, &index);
	if (r >= 0)
		r = write_nodes(fs, dir, &index);
	if (r >= 0)
		r = write_leaves(fs, dir, &index);
	return r;
}

/* The blocks lie together, but one extent holds 32768 of them. */
static int
map_blocks(BnExt4 *fs, BnNode *dir, uint64_t first)
{
	uint64_t count = bn_sink_block(fs->sink) - first;
	BnNode file = {};
	int r;

	dir->size = count * BN_BLOCK_SIZE;
	dir->n_blocks = count;
	dir->map = bn_arena_new(&fs->tree->arena, BN_EXTENT_MAP_SIZE);
	if (!dir->map)
		return -ENOMEM;
	r = bn_node_add_blocks(&file, 0, first, count);
	if (r >= 0)
		r = bn_extent_write(fs, dir->ino, bn_node_extents(&file), file.n_extents, dir->map,
				    &dir->n_blocks);
	free(file.many);
	return r;
}

int
bn_dir_write(BnExt4 *fs, BnNode *dir)
{
	size_t size = 2 * ENTRY_MIN, n_names = 0;
	uint64_t first = bn_sink_block(fs->sink);
	int r;

	for (const BnName *name = dir->first; name; name = name->next) {
		if (!name->node)
			continue;
		size += entry_size(name->size);
		n_names++;
	}
	dir->has_index = size > LIST_END;
	r = dir->has_index ? write_tree(fs, dir, n_names) : write_list(fs, dir);
	if (r >= 0)
		r = map_blocks(fs, dir, first);
	return r < 0 ? bn_file_fail_sink(fs->error, r) : 0;
}
