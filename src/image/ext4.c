/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/ext4.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The size a base claims to have. Nothing of it is taken before it is written, so it need not fit. */
#define BASE_BLOCKS (UINT64_C(32) * 1024 * 1024 * 1024 / EXT4_BLOCK)
/* One inode for so many bytes: 2 million in a base. */
#define BASE_INODE_RATIO  16384
#define BLANK_INODE_RATIO 16384
#define BLANK_INODES_MAX  (UINT32_C(1) << 26)
/* A fixed moment: the bytes of an image depend on its content only. */
#define BASE_TIME 1

int
image_fail(ImageError *error, const char *keyword, const char *format, ...)
{
	va_list args;

	if (error->keyword)
		return -1;
	error->keyword = keyword;
	va_start(args, format);
	(void)vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return -1;
}

int
image_fail_code(ImageError *error, const char *what, errcode_t code)
{
	bool full = code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL ||
		    code == ENOSPC || code == EDQUOT;

	return image_fail(error, full ? "NO_SPACE" : "FAILED", "%s: %s", what,
			  code < 256 ? strerror((int)code) : error_message(code));
}

static void
set_features(struct ext2_super_block *super)
{
	super->s_rev_level = EXT2_DYNAMIC_REV;
	super->s_log_block_size = 2; /* 1024 << 2 */
	super->s_log_cluster_size = 2;
	super->s_inode_size = 256;
	super->s_min_extra_isize = 32;
	super->s_want_extra_isize = 32;
	super->s_log_groups_per_flex = 4;
	super->s_errors = EXT2_ERRORS_CONTINUE;
	super->s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
	super->s_feature_compat = EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_DIR_INDEX;
	super->s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |
				    EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_FLEX_BG;
	super->s_feature_ro_compat =
		EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |
		EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_DIR_NLINK |
		EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE | EXT4_FEATURE_RO_COMPAT_METADATA_CSUM;
}

/* Tables that were never written are holes, and holes read as zeros: there is nothing to initialise. */
static void
mark_tables_zeroed(ext2_filsys fs)
{
	for (dgrp_t group = 0; group < fs->group_desc_count; group++) {
		ext2fs_bg_flags_set(fs, group, EXT2_BG_INODE_ZEROED);
		ext2fs_group_desc_csum_set(fs, group);
	}
}

static errcode_t
create(int fd, uint64_t blocks, uint64_t inodes, time_t now, ext2_filsys *ret)
{
	struct ext2_super_block super = {};
	char path[64];
	ext2_filsys fs = NULL;
	errcode_t r;

	initialize_ext2_error_table();
	set_features(&super);
	ext2fs_blocks_count_set(&super, blocks);
	super.s_inodes_count = (__u32)inodes;
	/* Its full size at once, all of it a hole: the library reads before it writes. */
	if (ftruncate(fd, (off_t)(blocks * EXT4_BLOCK)) < 0)
		return errno;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = ext2fs_initialize(path, EXT2_FLAG_64BITS | EXT2_FLAG_EXCLUSIVE, &super, unix_io_manager,
			      &fs);
	if (r)
		return r;
	fs->now = now;
	fs->super->s_mkfs_time = (__u32)now;
	fs->super->s_lastcheck = (__u32)now;
	fs->super->s_def_hash_version = EXT2_HASH_HALF_MD4;
	fs->super->s_max_mnt_count = -1;
	fs->super->s_checksum_type = EXT2_CRC32C_CHKSUM;
	fs->umask = 0;
	*ret = fs;
	return 0;
}

static errcode_t
fill(ext2_filsys fs)
{
	errcode_t r = ext2fs_allocate_tables(fs);

	if (!r)
		r = ext2fs_mkdir(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, NULL);
	if (!r)
		mark_tables_zeroed(fs);
	/* Inodes 1 to 10 are the filesystem's own. */
	for (ext2_ino_t i = EXT2_ROOT_INO + 1; !r && i < EXT2_FIRST_INODE(fs->super); i++)
		ext2fs_inode_alloc_stats2(fs, i, +1, 0);
	if (!r) {
		ext2fs_inode_alloc_stats2(fs, EXT2_BAD_INO, +1, 0);
		r = ext2fs_update_bb_inode(fs, NULL);
	}
	return r;
}

/* e2fsck keeps what it finds there; mke2fs makes it, and its absence is a finding. */
static errcode_t
make_lost_found(ext2_filsys fs)
{
	ext2_ino_t ino;
	errcode_t r = ext2fs_mkdir(fs, EXT2_ROOT_INO, 0, "lost+found");

	if (!r)
		r = ext2fs_lookup(fs, EXT2_ROOT_INO, "lost+found", 10, NULL, &ino);
	for (int i = 1; !r && i < 4; i++)
		r = ext2fs_expand_dir(fs, ino);
	return r;
}

/* The root's content is written at the end, like any directory's: the block it was made with goes. */
static errcode_t
empty_root(ext2_filsys fs)
{
	struct ext2_inode inode;
	errcode_t r = ext2fs_read_inode(fs, EXT2_ROOT_INO, &inode);

	return r ? r : ext2fs_punch(fs, EXT2_ROOT_INO, &inode, NULL, 0, ~0ULL);
}

int
ext4_create_base(Ext4 *ext4, int fd, ImageError *error)
{
	/* All bases have one: it tells nothing of the host, and no two are ever mounted by one kernel at a time
	 * with a name. */
	static const __u8 uuid[16] = "banger base img";
	errcode_t r;

	*ext4 = (Ext4){ .fd = fd };
	r = create(fd, BASE_BLOCKS, BASE_BLOCKS * EXT4_BLOCK / BASE_INODE_RATIO, BASE_TIME,
		   &ext4->fs);
	if (r)
		return image_fail_code(error, "the filesystem cannot be made", r);
	memcpy(ext4->fs->super->s_uuid, uuid, sizeof(uuid));
	memcpy(ext4->fs->super->s_hash_seed, uuid, sizeof(uuid));
	ext2fs_init_csum_seed(ext4->fs);
	r = fill(ext4->fs);
	if (!r)
		r = empty_root(ext4->fs);
	if (r) {
		ext4_abandon(ext4);
		return image_fail_code(error, "the filesystem cannot be made", r);
	}
	ext4->next = ext4->fs->super->s_first_data_block;
	return 0;
}

static errcode_t
fill_blank(ext2_filsys fs, const char *label)
{
	uint64_t blocks = ext2fs_blocks_count(fs->super);
	errcode_t r;

	if (label)
		strncpy((char *)fs->super->s_volume_name, label, sizeof(fs->super->s_volume_name));
	ext2fs_init_csum_seed(fs);
	r = fill(fs);
	if (!r)
		r = make_lost_found(fs);
	if (!r)
		r = ext2fs_add_journal_inode(fs, ext2fs_default_journal_size(blocks),
					     EXT2_MKJOURNAL_LAZYINIT);
	return r;
}

int
ext4_create_blank(int fd, uint64_t size, const char *label, ImageError *error)
{
	uint64_t blocks = size / EXT4_BLOCK;
	uint64_t inodes = size / BLANK_INODE_RATIO;
	Ext4 ext4 = { .fd = fd };
	errcode_t r;

	if (inodes > BLANK_INODES_MAX)
		inodes = BLANK_INODES_MAX;
	r = create(fd, blocks, inodes, time(NULL), &ext4.fs);
	if (r)
		return image_fail_code(error, "the disk cannot be made", r);
	if (getentropy(ext4.fs->super->s_uuid, 16) < 0 ||
	    getentropy(ext4.fs->super->s_hash_seed, 16) < 0)
		r = EIO;
	if (!r)
		r = fill_blank(ext4.fs, label);
	if (r) {
		ext4_abandon(&ext4);
		return image_fail_code(error, "the disk cannot be made", r);
	}
	return ext4_finish(&ext4, error);
}

int
ext4_take_blocks(Ext4 *ext4, blk64_t wanted, blk64_t *ret_start, blk64_t *ret_length,
		 ImageError *error)
{
	ext2_filsys fs = ext4->fs;
	blk64_t last = ext2fs_blocks_count(fs->super) - 1;
	blk64_t start, end;
	errcode_t r = ext2fs_find_first_zero_block_bitmap2(fs->block_map, ext4->next, last, &start);

	if (r)
		return image_fail(error, "NO_SPACE", "the content is larger than an image can be");
	end = start + wanted - 1 < last ? start + wanted - 1 : last;
	if (ext2fs_find_first_set_block_bitmap2(fs->block_map, start, end, &end) == 0)
		end--;
	*ret_start = start;
	*ret_length = end - start + 1;
	ext2fs_block_alloc_stats_range(fs, start, (blk_t)*ret_length, +1);
	ext4->next = end + 1;
	return 0;
}

int
ext4_finish(Ext4 *ext4, ImageError *error)
{
	errcode_t r;

	ext4->fs->super->s_state |= EXT2_VALID_FS;
	ext4->fs->super->s_wtime = (__u32)ext4->fs->now;
	r = ext2fs_close_free(&ext4->fs);
	if (r) {
		ext4_abandon(ext4);
		return image_fail_code(error, "the filesystem cannot be written", r);
	}
	if (fsync(ext4->fd) < 0)
		return image_fail_code(error, "the filesystem cannot be synced", errno);
	return 0;
}

void
ext4_abandon(Ext4 *ext4)
{
	if (ext4->fs)
		ext2fs_free(ext4->fs);
	ext4->fs = NULL;
}
