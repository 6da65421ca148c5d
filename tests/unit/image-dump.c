/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads an ext4 image back by libext2fs alone and prints one JSON object per name, strings in hex.
 *
 * "content" is the SHA-256 of (number, bytes) of every block that is not all zero: the same for a hole
 * and for zeros, and cheap for a file of terabytes with little in it. */
#include <endian.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ext2fs/ext2fs.h>
#include <nettle/sha2.h>

#define BLOCK 4096

typedef struct Dir {
	struct Dir *next;
	ext2_ino_t ino;
	char *path;
} Dir;

typedef struct Dump {
	ext2_filsys fs;
	Dir *queue;
	const char *path;
} Dump;

typedef struct Content {
	struct sha256_ctx hash;
	uint64_t size;
	unsigned n_runs;
	blk64_t last;
	bool failed;
} Content;

static void
die(const char *what, long code)
{
	fprintf(stderr, "image-dump: %s: %ld\n", what, code);
	exit(1);
}

static void
print_hex(const void *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		printf("%02x", ((const unsigned char *)data)[i]);
}

static int
visit_block(ext2_filsys fs, blk64_t *block, e2_blkcnt_t number, blk64_t ref, int ref_offset,
	    void *userdata)
{
	static const char zeros[BLOCK];
	Content *content = userdata;
	char data[BLOCK];
	uint64_t index = htole64((uint64_t)number), at = (uint64_t)number * BLOCK;

	if (number < 0) /* of the map, not of the file */
		return 0;
	if (*block != content->last + 1)
		content->n_runs++;
	content->last = *block;
	if (io_channel_read_blk64(fs->io, *block, 1, data) != 0)
		content->failed = true;
	/* What lies behind the end must be zero, or a later growth would show it. */
	if (at < content->size && at + BLOCK > content->size)
		for (size_t i = (size_t)(content->size - at); i < BLOCK; i++)
			content->failed |= data[i] != 0;
	if (at >= content->size)
		content->failed = true;
	if (memcmp(data, zeros, BLOCK) == 0)
		return 0;
	sha256_update(&content->hash, sizeof(index), (const uint8_t *)&index);
	sha256_update(&content->hash, BLOCK, (const uint8_t *)data);
	return 0;
}

static void
print_content(Dump *dump, ext2_ino_t ino, uint64_t size)
{
	Content content = { .size = size };
	uint8_t digest[SHA256_DIGEST_SIZE];
	long code;

	sha256_init(&content.hash);
	code = ext2fs_block_iterate3(dump->fs, ino, BLOCK_FLAG_READ_ONLY, NULL, visit_block,
				     &content);
	if (code != 0 || content.failed)
		die("content", code);
	sha256_digest(&content.hash, sizeof(digest), digest);
	printf(", \"content\": \"");
	print_hex(digest, sizeof(digest));
	printf("\", \"runs\": %u", content.n_runs);
}

static void
print_target(Dump *dump, ext2_ino_t ino, struct ext2_inode *inode)
{
	char target[BLOCK] = "";
	ext2_file_t file;
	unsigned got = 0;

	if (inode->i_size >= BLOCK)
		die("target too long", inode->i_size);
	if (inode->i_size < 60) {
		memcpy(target, inode->i_block, inode->i_size);
		got = inode->i_size;
	} else if (ext2fs_file_open(dump->fs, ino, 0, &file) == 0) {
		(void)ext2fs_file_read(file, target, inode->i_size, &got);
		(void)ext2fs_file_close(file);
	}
	printf(", \"target\": \"");
	print_hex(target, got);
	printf("\"");
}

typedef struct Xattrs {
	struct ext2_xattr_handle *handle;
	bool first;
} Xattrs;

/* An entry without an id has all bits set, to Linux; libext2fs tells 0. */
static void
mend_acl(unsigned char *value, size_t size)
{
	for (size_t at = 4; at + 8 <= size; at += 8)
		if (value[at] != 2 && value[at] != 8)
			memset(value + at + 4, 0xff, 4);
}

/* By name, since only that way ACLs come in the form that Linux tells them in. */
static int
visit_xattr(char *name, char *value, size_t size, void *userdata)
{
	Xattrs *xattrs = userdata;
	void *told = NULL;
	long code = ext2fs_xattr_get(xattrs->handle, name, &told, &size);

	if (code != 0)
		die("xattr", code);
	if (strncmp(name, "system.posix_acl", strlen("system.posix_acl")) == 0)
		mend_acl(told, size);
	printf("%s\"", xattrs->first ? "" : ", ");
	print_hex(name, strlen(name));
	printf("\": \"");
	print_hex(told, size);
	printf("\"");
	xattrs->first = false;
	ext2fs_free_mem(&told);
	return 0;
}

static void
print_xattrs(Dump *dump, ext2_ino_t ino)
{
	Xattrs xattrs = { .first = true };
	long code = ext2fs_xattrs_open(dump->fs, ino, &xattrs.handle);

	if (code == 0)
		code = ext2fs_xattrs_read(xattrs.handle);
	if (code != 0)
		die("xattrs", code);
	printf(", \"xattrs\": {");
	(void)ext2fs_xattrs_iterate(xattrs.handle, visit_xattr, &xattrs);
	(void)ext2fs_xattrs_close(&xattrs.handle);
	printf("}");
}

/* Nanoseconds since the epoch, as the kernel reads the two fields. */
static void
print_time(const char *name, uint32_t seconds, uint32_t extra)
{
	int64_t s = (int64_t)(int32_t)seconds + ((int64_t)(extra & 3) << 32);

	printf(", \"%s\": [%lld, %u]", name, (long long)s, extra >> 2);
}

static unsigned long long
device_of(const struct ext2_inode *inode)
{
	uint32_t old = inode->i_block[0], new = inode->i_block[1];

	if (old)
		return (unsigned long long)(old >> 8 & 0xff) << 32 | (old & 0xff);
	return (unsigned long long)(new >> 8 & 0xfff) << 32 | (new & 0xff) | (new >> 12 & 0xfff00);
}

static void
print_inode(Dump *dump, ext2_ino_t ino, const char *path, struct ext2_inode_large *large)
{
	struct ext2_inode *inode = (struct ext2_inode *)large;
	unsigned type = inode->i_mode & LINUX_S_IFMT;
	uint64_t size = EXT2_I_SIZE(inode);

	printf("{\"path\": \"");
	print_hex(path, strlen(path));
	printf("\", \"ino\": %u, \"mode\": %u, \"uid\": %u, \"gid\": %u, \"links\": %u, \"size\": %llu",
	       ino, inode->i_mode, inode_uid(*inode), inode_gid(*inode), inode->i_links_count,
	       (unsigned long long)size);
	print_time("mtime", large->i_mtime, large->i_mtime_extra);
	print_time("atime", large->i_atime, large->i_atime_extra);
	print_time("ctime", large->i_ctime, large->i_ctime_extra);
	print_time("crtime", large->i_crtime, large->i_crtime_extra);
	if (type == LINUX_S_IFREG)
		print_content(dump, ino, size);
	if (type == LINUX_S_IFLNK)
		print_target(dump, ino, inode);
	if (type == LINUX_S_IFCHR || type == LINUX_S_IFBLK)
		printf(", \"device\": %llu", device_of(inode));
	printf(", \"index\": %s", inode->i_flags & EXT2_INDEX_FL ? "true" : "false");
	print_xattrs(dump, ino);
	printf("}\n");
}

static void
dump_node(Dump *dump, ext2_ino_t ino, char *path)
{
	struct ext2_inode_large large;
	long code =
		ext2fs_read_inode_full(dump->fs, ino, (struct ext2_inode *)&large, sizeof(large));
	Dir *dir;

	if (code != 0)
		die("inode", code);
	print_inode(dump, ino, path, &large);
	if (!LINUX_S_ISDIR(large.i_mode)) {
		free(path);
		return;
	}
	dir = calloc(1, sizeof(*dir));
	if (!dir)
		die("memory", 0);
	dir->ino = ino;
	dir->path = path;
	dir->next = dump->queue;
	dump->queue = dir;
}

static int
visit_entry(ext2_ino_t dir, int entry, struct ext2_dir_entry *dirent, int offset, int blocksize,
	    char *buf, void *userdata)
{
	Dump *dump = userdata;
	int size = ext2fs_dirent_name_len(dirent);
	char *path;

	if (entry != DIRENT_OTHER_FILE)
		return 0;
	if (asprintf(&path, "%s%s%.*s", dump->path, dump->path[0] ? "/" : "", size, dirent->name) <
	    0)
		die("memory", 0);
	dump_node(dump, dirent->inode, path);
	return 0;
}

int
main(int argc, char **argv)
{
	Dump dump = {};
	long code;

	if (argc != 2)
		die("usage: image-dump IMAGE", 0);
	code = ext2fs_open(argv[1], EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &dump.fs);
	if (code != 0)
		die("open", code);
	dump_node(&dump, EXT2_ROOT_INO, strdup(""));
	while (dump.queue) {
		Dir *dir = dump.queue;

		dump.queue = dir->next;
		dump.path = dir->path;
		code = ext2fs_dir_iterate2(dump.fs, dir->ino, 0, NULL, visit_entry, &dump);
		if (code != 0)
			die("directory", code);
		free(dir->path);
		free(dir);
	}
	return ext2fs_close(dump.fs) == 0 ? 0 : 1;
}
