/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/image.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "image/filesystem.h"
#include "image/output.h"
#include "image/sink.h"
#include "shared/base/errno-util.h"
#include "shared/base/macro.h"

/* As much inode table as a disk of this size is likely to need; all of it is a hole at first. */
#define BYTES_PER_INODE 16384u

/* Enough that a build's burst of small files does not wait for it; a hole, too, until it is used. */
#define JOURNAL_BLOCKS_MAX 16384u /* 64 MiB */
#define JOURNAL_BLOCKS_MIN 1024u

static uint32_t
journal_blocks(uint64_t blocks)
{
	uint64_t least = BN_MAX(blocks / 16, (uint64_t)JOURNAL_BLOCKS_MIN);

	return (uint32_t)BN_MIN(least, (uint64_t)JOURNAL_BLOCKS_MAX);
}

static long
make_directory(ext2_filsys fs, const char *name, __u16 mode)
{
	struct ext2_inode inode;
	ext2_ino_t ino = 0;
	long code = ext2fs_mkdir(fs, EXT2_ROOT_INO, 0, name);

	if (code == 0)
		code = ext2fs_lookup(fs, EXT2_ROOT_INO, name, (int)strlen(name), NULL, &ino);
	if (code == 0)
		code = ext2fs_read_inode(fs, ino, &inode);
	if (code != 0)
		return code;
	inode.i_mode = (__u16)(LINUX_S_IFDIR | mode);
	return ext2fs_write_inode(fs, ino, &inode);
}

static long
make_directories(ext2_filsys fs, bool overlay)
{
	long code = ext2fs_mkdir(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, NULL);

	if (code == 0)
		code = make_directory(fs, "lost+found", 0700);
	if (code == 0 && overlay)
		code = make_directory(fs, "upper", 0755);
	if (code == 0 && overlay)
		code = make_directory(fs, "work", 0700);
	return code;
}

static void
reserve_inodes(ext2_filsys fs)
{
	for (ext2_ino_t ino = 1; ino < EXT2_FIRST_INODE(fs->super); ino++)
		if (ino != EXT2_ROOT_INO)
			ext2fs_inode_alloc_stats2(fs, ino, +1, 0);
}

/* The file is one hole: tables that are not written read as zeros, and a kernel that was told so does
 * not write them either (it would, in the background, and fill the host's disk with nothing). */
static long
write_filesystem(ext2_filsys fs, uint64_t blocks, bool overlay)
{
	long code = ext2fs_allocate_tables(fs);

	if (code != 0)
		return code;
	for (dgrp_t i = 0; i < fs->group_desc_count; i++)
		ext2fs_bg_flags_set(fs, i, EXT2_BG_INODE_ZEROED);
	reserve_inodes(fs);
	code = make_directories(fs, overlay);
	if (code == 0)
		code = ext2fs_add_journal_inode2(fs, journal_blocks(blocks), ~0ull,
						 EXT2_MKJOURNAL_LAZYINIT |
							 EXT2_MKJOURNAL_NO_MNT_CHECK);
	return code;
}

static int
check_request(const BnBlankRequest *request, BnImageError *reterr)
{
	if (request->size_bytes < BN_BLANK_SIZE_MIN || request->size_bytes > BN_BLANK_SIZE_MAX)
		return bn_image_fail(reterr, -ERANGE, BN_FAULT_INVALID,
				     "a disk has 16 MiB to less than 16 TiB, not %llu bytes",
				     (unsigned long long)request->size_bytes);
	if (request->label && strlen(request->label) > EXT2_LABEL_LEN)
		return bn_image_fail(reterr, -EINVAL, BN_FAULT_INVALID,
				     "a label has at most %d bytes", EXT2_LABEL_LEN);
	return bn_output_check(request->output, reterr);
}

static long
make_filesystem(const BnBlankRequest *request, uint64_t blocks)
{
	struct ext2_super_block param = {};
	ext2_filsys fs = NULL;
	uint8_t random[32];
	uint32_t seed[4];
	long code;

	/* Unlike an image a disk is like no other, even of the same size and label. */
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return EIO;
	random[6] = (uint8_t)((random[6] & 0x0f) | 0x40);
	random[8] = (uint8_t)((random[8] & 0x3f) | 0x80);
	memcpy(seed, random + 16, sizeof(seed));
	ext2fs_blocks_count_set(&param, blocks);
	param.s_inodes_count =
		(__u32)BN_MIN(blocks * BN_BLOCK_SIZE / BYTES_PER_INODE, UINT64_C(0x7fffffff));
	bn_filesystem_set_features(&param);
	/* Two copies of the superblock, in the second group and the last one. */
	ext2fs_set_feature_sparse_super2(&param);
	param.s_backup_bgs[0] = 1;
	param.s_backup_bgs[1] = ~0u;
	code = bn_filesystem_open(request->output, &param, random, seed, (int64_t)time(NULL), &fs);
	if (code != 0)
		return code;
	if (request->label)
		memcpy(fs->super->s_volume_name, request->label, strlen(request->label));
	code = write_filesystem(fs, blocks, request->overlay);
	if (code == 0)
		return bn_filesystem_close(&fs);
	bn_filesystem_freep(&fs);
	return code;
}

int
bn_blank_write(const BnBlankRequest *request, BnImageResult *ret, BnImageError *reterr)
{
	uint64_t blocks = request->size_bytes / BN_BLOCK_SIZE;
	BnImageResult result = {};
	long code;
	int r;

	*reterr = (BnImageError){};
	r = check_request(request, reterr);
	if (r < 0)
		return r;
	/* First, since libext2fs reads before it changes, and a file's end is an error to it. */
	if (ftruncate(request->output, (off_t)(blocks * BN_BLOCK_SIZE)) < 0)
		return bn_filesystem_fail(reterr, errno, "writing the disk failed");
	code = make_filesystem(request, blocks);
	if (code != 0) {
		bn_output_clear(request->output);
		return bn_filesystem_fail(reterr, code, "writing the disk failed");
	}
	r = bn_output_measure(request->output, &result.bytes, &result.allocated_bytes, reterr);
	if (r >= 0)
		*ret = result;
	return r;
}
