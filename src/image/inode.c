/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/inode.h"

#include <endian.h>
#include <string.h>

#include <ext2fs/ext2fs.h>

#include "image/extent.h"
#include "image/file.h"

/* libext2fs keeps inodes in the machine's byte order and turns them when it writes; we write them
 * ourselves, so this is for machines whose order is the disk's. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "inodes are written without swapping");

/* The kernel's two encodings of a device number: the old one where it fits. */
static void
fill_device(uint64_t device, uint32_t *ret)
{
	uint32_t major = (uint32_t)(device >> 32), minor = (uint32_t)device;

	if (major < 256 && minor < 256)
		ret[0] = major << 8 | minor;
	else
		ret[1] = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

static void
fill_content(const BnNode *node, struct ext2_inode_large *ret)
{
	switch (node->mode & S_IFMT) {
	case S_IFCHR:
	case S_IFBLK:
		fill_device(node->device, ret->i_block);
		return;
	case S_IFLNK:
		if (node->size >= BN_FILE_FAST_TARGET)
			break;
		memcpy(ret->i_block, node->target, node->size);
		return;
	case S_IFREG:
	case S_IFDIR:
		break;
	default:
		return;
	}
	ret->i_flags |= EXT4_EXTENTS_FL;
	if (node->map)
		memcpy(ret->i_block, node->map, BN_EXTENT_MAP_SIZE);
	else
		bn_extent_fill((unsigned char *)ret->i_block, bn_node_extents(node),
			       node->n_extents);
}

static uint16_t
link_count(const BnNode *node)
{
	if (!bn_node_is_dir(node))
		return (uint16_t)node->n_links;
	/* Its own name, ".", and ".." of each directory below; 1 means "many". */
	return node->n_subdirs + 2 >= BN_EXT4_LINKS_MAX ? 1 : (uint16_t)(node->n_subdirs + 2);
}

void
bn_inode_fill(const BnNode *node, struct ext2_inode_large *ret)
{
	uint64_t sectors = node->n_blocks * (BN_BLOCK_SIZE / 512);

	memset(ret, 0, sizeof(*ret));
	ret->i_mode = node->mode;
	ret->i_uid = (uint16_t)node->uid;
	ret->osd2.linux2.l_i_uid_high = (uint16_t)(node->uid >> 16);
	ret->i_gid = (uint16_t)node->gid;
	ret->osd2.linux2.l_i_gid_high = (uint16_t)(node->gid >> 16);
	ret->i_size = (uint32_t)node->size;
	ret->i_size_high = (uint32_t)(node->size >> 32);
	ret->i_links_count = link_count(node);
	ret->i_blocks = (uint32_t)sectors;
	ret->osd2.linux2.l_i_blocks_hi = (uint16_t)(sectors >> 32);
	ret->i_atime = node->atime.seconds;
	ret->i_ctime = node->ctime.seconds;
	ret->i_mtime = node->mtime.seconds;
	ret->i_crtime = node->crtime.seconds;
	ret->i_atime_extra = node->atime.extra;
	ret->i_ctime_extra = node->ctime.extra;
	ret->i_mtime_extra = node->mtime.extra;
	ret->i_crtime_extra = node->crtime.extra;
	ret->i_extra_isize = sizeof(*ret) - EXT2_GOOD_OLD_INODE_SIZE;
	if (bn_node_is_dir(node) && node->has_index)
		ret->i_flags |= EXT2_INDEX_FL;
	fill_content(node, ret);
}
