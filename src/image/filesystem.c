/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/filesystem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/cleanup.h"
#include "shared/base/fd-util.h"

void
bn_filesystem_set_features(struct ext2_super_block *param)
{
	param->s_rev_level = EXT2_DYNAMIC_REV;
	param->s_log_block_size = 2; /* 4096 bytes */
	param->s_log_cluster_size = 2;
	param->s_inode_size = 256;
	param->s_first_ino = EXT2_GOOD_OLD_FIRST_INO;
	param->s_log_groups_per_flex = 4;
	param->s_max_mnt_count = (__u16)-1; /* never checked for being mounted often */
	param->s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
	ext2fs_set_feature_xattr(param);
	ext2fs_set_feature_dir_index(param);
	ext2fs_set_feature_filetype(param);
	ext2fs_set_feature_extents(param);
	ext2fs_set_feature_64bit(param);
	ext2fs_set_feature_flex_bg(param); /* tables may be anywhere */
	ext2fs_set_feature_large_file(param);
	ext2fs_set_feature_huge_file(param);
	ext2fs_set_feature_dir_nlink(param);
	ext2fs_set_feature_extra_isize(param);
	ext2fs_set_feature_metadata_csum(param);
}

long
bn_filesystem_open(int fd, struct ext2_super_block *param, const uint8_t uuid[static 16],
		   const uint32_t hash_seed[static 4], int64_t now, ext2_filsys *ret)
{
	_cleanup_(bn_filesystem_freep) ext2_filsys fs = NULL;
	_cleanup_close_ int copy = bn_fd_dup(fd); /* libext2fs closes what it is given */
	char name[16];
	long code;

	if (copy < 0)
		return -copy;
	(void)snprintf(name, sizeof(name), "%d", copy);
	code = ext2fs_initialize(name, EXT2_FLAG_64BITS, param, unixfd_io_manager, &fs);
	if (code != 0)
		return code;
	(void)BN_TAKE_FD(copy);
	/* 32 bits of seconds are what these fields have; 0 would mean the clock. */
	fs->now = now < 1 ? 1 : now > INT64_C(0xffffffff) ? INT64_C(0xffffffff) : now;
	fs->super->s_mkfs_time = fs->super->s_lastcheck = (__u32)fs->now;
	memcpy(fs->super->s_uuid, uuid, sizeof(fs->super->s_uuid));
	memcpy(fs->super->s_hash_seed, hash_seed, sizeof(fs->super->s_hash_seed));
	fs->super->s_def_hash_version = EXT2_HASH_HALF_MD4;
	/* The same image on every machine, whatever its char is. */
	fs->super->s_flags = EXT2_FLAGS_SIGNED_HASH;
	fs->super->s_checksum_type = EXT2_CRC32C_CHKSUM;
	ext2fs_init_csum_seed(fs);
	*ret = BN_TAKE_PTR(fs);
	return 0;
}

long
bn_filesystem_close(ext2_filsys *fs)
{
	long code = ext2fs_set_gdt_csum(*fs);

	if (code == 0)
		code = ext2fs_close2(*fs, EXT2_FLAG_FLUSH_NO_SYNC);
	if (code == 0)
		*fs = NULL;
	else
		bn_filesystem_freep(fs);
	return code;
}

void
bn_filesystem_freep(ext2_filsys *fs)
{
	if (*fs)
		ext2fs_free(*fs);
	*fs = NULL;
}

int
bn_filesystem_fail(BnImageError *reterr, long code, const char *what)
{
	if (code == EXT2_ET_NO_MEMORY)
		return bn_image_fail_memory(reterr);
	if (code > 0 && code < 4096)
		return bn_image_fail_write(reterr, (int)-code, what);
	return bn_image_fail(reterr, -EIO, BN_FAULT_INTERNAL, "%s: libext2fs error %ld", what,
			     code - EXT2_ET_BASE);
}
