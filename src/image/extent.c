/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/extent.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include <ext2fs/ext2fs.h>

#include "image/checksum.h"
#include "shared/base/cleanup.h"

/* Per block: a header, and a checksum in the four bytes that a twelve-byte entry leaves over. */
#define PER_BLOCK ((BN_BLOCK_SIZE - sizeof(struct ext3_extent_header)) / sizeof(struct ext3_extent))

static void
put_header(unsigned char *at, size_t n, size_t max, unsigned depth)
{
	struct ext3_extent_header header = {
		.eh_magic = htole16(EXT3_EXT_MAGIC),
		.eh_entries = htole16((uint16_t)n),
		.eh_max = htole16((uint16_t)max),
		.eh_depth = htole16((uint16_t)depth),
	};

	memcpy(at, &header, sizeof(header));
}

static void
put_extents(unsigned char *at, const BnExtent *extents, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ext3_extent entry = {
			.ee_block = htole32(extents[i].logical),
			.ee_len = htole16((uint16_t)extents[i].count),
			.ee_start_hi = htole16((uint16_t)(extents[i].physical >> 32)),
			.ee_start = htole32((uint32_t)extents[i].physical),
		};

		memcpy(at + i * sizeof(entry), &entry, sizeof(entry));
	}
}

/* The same for inner nodes, which know only where a child begins. */
static void
put_indexes(unsigned char *at, const BnExtent *children, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ext3_extent_idx entry = {
			.ei_block = htole32(children[i].logical),
			.ei_leaf = htole32((uint32_t)children[i].physical),
			.ei_leaf_hi = htole16((uint16_t)(children[i].physical >> 32)),
		};

		memcpy(at + i * sizeof(entry), &entry, sizeof(entry));
	}
}

void
bn_extent_fill(unsigned char map[static BN_EXTENT_MAP_SIZE], const BnExtent *extents, size_t n)
{
	memset(map, 0, BN_EXTENT_MAP_SIZE);
	put_header(map, n, BN_EXTENT_IN_INODE, 0);
	put_extents(map + sizeof(struct ext3_extent_header), extents, n);
}

/* Writes one level of nodes over `below` and returns in *ret what the level above points to. */
static int
write_level(BnExt4 *fs, uint32_t ino, unsigned depth, const BnExtent *below, size_t n,
	    BnExtent **ret, size_t *ret_n)
{
	size_t n_nodes = (n + PER_BLOCK - 1) / PER_BLOCK;
	_cleanup_free_ BnExtent *nodes = calloc(n_nodes, sizeof(*nodes));
	unsigned char block[BN_BLOCK_SIZE];

	if (!nodes)
		return -ENOMEM;
	for (size_t i = 0; i < n_nodes; i++) {
		const BnExtent *first = below + i * PER_BLOCK;
		size_t count = BN_MIN(n - i * PER_BLOCK, PER_BLOCK);
		uint32_t sum;
		int r;

		memset(block, 0, sizeof(block));
		put_header(block, count, PER_BLOCK, depth);
		if (depth == 0)
			put_extents(block + sizeof(struct ext3_extent_header), first, count);
		else
			put_indexes(block + sizeof(struct ext3_extent_header), first, count);
		sum = htole32(bn_checksum(fs->checksum_seed, ino, block, BN_BLOCK_SIZE - 4));
		memcpy(block + BN_BLOCK_SIZE - 4, &sum, 4);
		nodes[i].logical = first->logical;
		nodes[i].physical = bn_sink_block(fs->sink);
		r = bn_sink_append(fs->sink, block, sizeof(block));
		if (r < 0)
			return r;
	}
	*ret = BN_TAKE_PTR(nodes);
	*ret_n = n_nodes;
	return 0;
}

int
bn_extent_write(BnExt4 *fs, uint32_t ino, const BnExtent *extents, size_t n,
		unsigned char map[static BN_EXTENT_MAP_SIZE], uint64_t *blocks)
{
	_cleanup_free_ BnExtent *level = NULL;
	unsigned depth = 0;

	if (n <= BN_EXTENT_IN_INODE) {
		bn_extent_fill(map, extents, n);
		return 0;
	}
	while (n > BN_EXTENT_IN_INODE) {
		BnExtent *above = NULL;
		int r = write_level(fs, ino, depth, extents, n, &above, &n);

		if (r < 0)
			return r;
		free(level);
		level = above;
		extents = above;
		*blocks += n;
		depth++;
	}
	memset(map, 0, BN_EXTENT_MAP_SIZE);
	put_header(map, n, BN_EXTENT_IN_INODE, depth);
	put_indexes(map + sizeof(struct ext3_extent_header), extents, n);
	return 0;
}
