/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/directory.h"

#include <string.h>

#include "image/data.h"

/* Beyond this a directory says 1: Documentation/filesystems/ext4, "dir_nlink". */
#define LINKS_MAX 65000

/* Fills one block with entries from `child` on; "." and ".." come first in the first block. Returns the first child
 * that did not fit. */
typedef struct Block {
	uint8_t bytes[EXT4_BLOCK];
	size_t used;
	size_t limit;
	struct ext2_dir_entry *last;
} Block;

static bool
put(Block *block, ext2_filsys fs, const char *name, ext2_ino_t ino, __u8 type)
{
	size_t length = strlen(name);
	unsigned need = ext2fs_dir_rec_len((__u8)length, 0);
	struct ext2_dir_entry *entry = (struct ext2_dir_entry *)(block->bytes + block->used);

	if (block->used + need > block->limit)
		return false;
	entry->inode = ino;
	ext2fs_dirent_set_name_len(entry, (int)length);
	ext2fs_dirent_set_file_type(entry, type);
	(void)ext2fs_set_rec_len(fs, need, entry);
	memcpy(entry->name, name, length);
	block->last = entry;
	block->used += need;
	return true;
}

static void
begin_block(Block *block, ext2_filsys fs)
{
	memset(block, 0, sizeof(*block));
	block->limit = EXT4_BLOCK - sizeof(struct ext2_dir_entry_tail);
}

/* The last entry reaches to the checksum. */
static void
end_block(Block *block, ext2_filsys fs)
{
	size_t at = (size_t)((uint8_t *)block->last - block->bytes);

	(void)ext2fs_set_rec_len(fs, (unsigned)(block->limit - at), block->last);
	ext2fs_initialize_dirent_tail(fs, EXT2_DIRENT_TAIL(block->bytes, EXT4_BLOCK));
}

static int
write_block(Ext4 *ext4, Data *data, Block *block, ext2_ino_t ino, ImageError *error)
{
	errcode_t r;

	end_block(block, ext4->fs);
	r = ext2fs_dir_block_csum_set(ext4->fs, ino, (struct ext2_dir_entry *)block->bytes);
	if (r)
		return image_fail_code(error, "a directory cannot be written", r);
	return data_put(data, block->bytes, EXT4_BLOCK, data->offset + data->used, error);
}

static int
write_entries(Ext4 *ext4, const Node *directory, Data *data, unsigned *ret_subdirectories,
	      ImageError *error)
{
	static Block block;
	const Node *child = directory->first;

	begin_block(&block, ext4->fs);
	(void)put(&block, ext4->fs, ".", directory->ino, EXT2_FT_DIR);
	(void)put(&block, ext4->fs, "..", directory->parent->ino, EXT2_FT_DIR);
	for (; child; child = child->following) {
		*ret_subdirectories += child->is_directory;
		if (put(&block, ext4->fs, child->name, child->ino, child->file_type))
			continue;
		if (write_block(ext4, data, &block, directory->ino, error) < 0)
			return -1;
		begin_block(&block, ext4->fs);
		(void)put(&block, ext4->fs, child->name, child->ino, child->file_type);
	}
	return write_block(ext4, data, &block, directory->ino, error);
}

static int
write_directory(Ext4 *ext4, const Node *directory, uint8_t *buffer, ImageError *error)
{
	ext2_filsys fs = ext4->fs;
	struct ext2_inode_large inode;
	unsigned subdirectories = 0;
	Data data;
	errcode_t r;
	int result = -1;

	r = ext2fs_read_inode_full(fs, directory->ino, (struct ext2_inode *)&inode, sizeof(inode));
	if (r)
		return image_fail_code(error, "a directory cannot be written", r);
	memset(inode.i_block, 0, sizeof(inode.i_block));
	inode.i_blocks = 0;
	data_begin(&data, ext4, buffer);
	if (write_entries(ext4, directory, &data, &subdirectories, error) == 0) {
		uint64_t size = data.offset + data.used;

		inode.i_size = (__u32)size;
		inode.i_size_high = (__u32)(size >> 32);
		inode.i_links_count =
			(__u16)(subdirectories + 2 > LINKS_MAX ? 1 : subdirectories + 2);
		result = data_end(&data, directory->ino, &inode, error);
	}
	data_done(&data);
	if (result < 0)
		return -1;
	r = ext2fs_write_inode_full(fs, directory->ino, (struct ext2_inode *)&inode, sizeof(inode));
	return r ? image_fail_code(error, "a directory cannot be written", r) : 0;
}

int
directory_write_all(Ext4 *ext4, Node *root, ImageError *error)
{
	static uint8_t buffer[DATA_BUFFER];
	Node *node = root;

	/* In depth, without recursion: the depth is the archive's choice. */
	while (node) {
		if (node->is_directory && write_directory(ext4, node, buffer, error) < 0)
			return -1;
		if (node->first) {
			node = node->first;
			continue;
		}
		while (node && !node->following)
			node = node == root ? NULL : node->parent;
		if (node)
			node = node == root ? NULL : node->following;
	}
	return 0;
}
