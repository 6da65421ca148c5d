/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/import.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/attributes.h"
#include "image/data.h"
#include "image/directory.h"
#include "image/source.h"
#include "image/tree.h"
#include "shared/base/cleanup.h"
#include "shared/base/str-util.h"

#define ENTRIES_MAX 4000000
#define PATH_BYTES  4096
#define NAME_BYTES  255
#define LINKS_MAX   65000
/* Hard links that came before what they link to. */
#define PENDING_MAX 100000

typedef struct Pending {
	char *path, *target;
} Pending;

typedef struct Import {
	Ext4 ext4;
	Node *root;
	ext2_ino_t last_ino;
	uint8_t *buffer;
	Pending *pending;
	size_t n_pending;
	ImportResult *result;
	ImageError *error;
	const char *path; /* of the entry at hand, safe for people */
} Import;

static int
fail_entry(Import *import, const char *why)
{
	return image_fail(import->error, "INVALID", "%s: %s", import->path, why);
}

static int
fail_memory(Import *import)
{
	return image_fail(import->error, "FAILED", "out of memory, or too many names");
}

/* The next component of a path, copied out; empty and "." ones are passed over. 1, 0 at the end, or -1. */
static int
next_component(Import *import, const char **path, char ret[static NAME_BYTES + 1])
{
	for (;;) {
		size_t n;

		*path += strspn(*path, "/");
		n = strcspn(*path, "/");
		if (n == 0)
			return 0;
		if (n > NAME_BYTES)
			return fail_entry(import, "a name in it is longer than 255 bytes");
		memcpy(ret, *path, n);
		ret[n] = '\0';
		*path += n;
		if (strcmp(ret, "..") == 0)
			return fail_entry(import, "it points outside, by '..'");
		if (strcmp(ret, ".") != 0)
			return 1;
	}
}

static int
new_inode(Import *import, bool directory, ext2_ino_t *ret)
{
	ext2_filsys fs = import->ext4.fs;

	if (import->last_ino >= fs->super->s_inodes_count)
		return image_fail(import->error, "NO_SPACE", "more files than an image can hold");
	*ret = ++import->last_ino;
	ext2fs_inode_alloc_stats2(fs, *ret, +1, directory);
	return 0;
}

static int
write_inode(Import *import, ext2_ino_t ino, struct ext2_inode_large *inode)
{
	errcode_t r = ext2fs_write_inode_full(import->ext4.fs, ino, (struct ext2_inode *)inode,
					      sizeof(*inode));

	return r ? image_fail_code(import->error, import->path, r) : 0;
}

/* A directory that the archive has not mentioned, or not yet. */
static Node *
make_parent(Import *import, Node *parent, const char *name)
{
	struct ext2_inode_large inode = { .i_mode = LINUX_S_IFDIR | 0755,
					  .i_links_count = 2,
					  .i_extra_isize =
						  sizeof(inode) - EXT2_GOOD_OLD_INODE_SIZE };
	Node *node = tree_add_child(parent, name);

	if (!node) {
		(void)fail_memory(import);
		return NULL;
	}
	node->is_directory = true;
	node->file_type = EXT2_FT_DIR;
	if (new_inode(import, true, &node->ino) < 0 || write_inode(import, node->ino, &inode) < 0)
		return NULL;
	return node;
}

/* The directory that holds the last component of a path, made where it is missing, and that component. 0, 1 where
 * the path is the root itself, or -1. Nothing is ever followed: a link in the middle of a path is an error. */
static int
find_parent(Import *import, const char *path, Node **ret, char name[static NAME_BYTES + 1])
{
	Node *directory = import->root;
	char next[NAME_BYTES + 1];
	int r = next_component(import, &path, name);

	if (r <= 0)
		return r < 0 ? r : 1;
	while ((r = next_component(import, &path, next)) > 0) {
		Node *child = tree_find_child(directory, name);

		if (!child)
			child = make_parent(import, directory, name);
		if (!child)
			return -1;
		if (!child->is_directory)
			return fail_entry(import, "a part of its path is not a directory");
		directory = child;
		memcpy(name, next, sizeof(next));
	}
	*ret = directory;
	return r;
}

static Node *
find_node(Import *import, const char *path)
{
	Node *directory = NULL;
	char name[NAME_BYTES + 1];

	if (find_parent(import, path, &directory, name) != 0)
		return NULL;
	return tree_find_child(directory, name);
}

/* One name fewer; the last takes inode and blocks with it. */
static int
drop_inode(Import *import, Node *node)
{
	ext2_filsys fs = import->ext4.fs;
	struct ext2_inode_large inode;
	errcode_t r =
		ext2fs_read_inode_full(fs, node->ino, (struct ext2_inode *)&inode, sizeof(inode));

	if (r)
		return image_fail_code(import->error, import->path, r);
	if (!node->is_directory && inode.i_links_count > 1) {
		inode.i_links_count--;
		return write_inode(import, node->ino, &inode);
	}
	if (inode.i_flags & EXT4_EXTENTS_FL)
		r = ext2fs_punch(fs, node->ino, (struct ext2_inode *)&inode, NULL, 0, ~0ULL);
	if (!r && inode.i_file_acl) {
		ext2fs_free_ext_attr(fs, node->ino, &inode);
		inode.i_file_acl = 0;
	}
	inode.i_links_count = 0;
	inode.i_dtime = (__u32)fs->now;
	ext2fs_inode_alloc_stats2(fs, node->ino, -1, node->is_directory);
	return r ? image_fail_code(import->error, import->path, r)
		 : write_inode(import, node->ino, &inode);
}

/* Takes away what is there under a name, with all that is below it: the last entry of a name wins. */
static int
remove_node(Import *import, Node *top)
{
	Node *node = top;

	while (node) {
		Node *parent = node->parent;

		if (node->first) {
			node = node->first;
			continue;
		}
		if (drop_inode(import, node) < 0)
			return -1;
		if (node == top)
			parent = NULL;
		tree_remove_child(node);
		node = parent;
	}
	return 0;
}

static __u8
file_type(mode_t type)
{
	switch (type) {
	case AE_IFREG:
		return EXT2_FT_REG_FILE;
	case AE_IFDIR:
		return EXT2_FT_DIR;
	case AE_IFLNK:
		return EXT2_FT_SYMLINK;
	case AE_IFCHR:
		return EXT2_FT_CHRDEV;
	case AE_IFBLK:
		return EXT2_FT_BLKDEV;
	case AE_IFIFO:
		return EXT2_FT_FIFO;
	case AE_IFSOCK:
		return EXT2_FT_SOCK;
	default:
		return EXT2_FT_UNKNOWN;
	}
}

static int
copy_content(Import *import, struct archive *a, Data *data, uint64_t size)
{
	const void *bytes;
	size_t n;
	la_int64_t offset;
	int r;

	while ((r = archive_read_data_block(a, &bytes, &n, &offset)) == ARCHIVE_OK) {
		if (offset < 0 || (uint64_t)offset > size || n > size - (uint64_t)offset)
			return fail_entry(import, "it is longer than it says");
		if (data_put(data, bytes, n, (uint64_t)offset, import->error) < 0)
			return -1;
	}
	if (r != ARCHIVE_EOF)
		return fail_entry(import, "the archive is damaged or cut short here");
	return 0;
}

static int
write_file(Import *import, struct archive *a, struct archive_entry *entry, ext2_ino_t ino,
	   struct ext2_inode_large *inode)
{
	la_int64_t size = archive_entry_size(entry);
	Data data;
	int r;

	if (size < 0 || size > INT64_C(16) << 40)
		return fail_entry(import, "its size cannot be");
	inode->i_size = (__u32)size;
	inode->i_size_high = (__u32)(size >> 32);
	data_begin(&data, &import->ext4, import->buffer);
	r = copy_content(import, a, &data, (uint64_t)size);
	if (r == 0)
		r = data_end(&data, ino, inode, import->error);
	data_done(&data);
	return r;
}

static int
write_symlink(Import *import, struct archive_entry *entry, ext2_ino_t ino,
	      struct ext2_inode_large *inode)
{
	const char *target = archive_entry_symlink(entry);
	size_t size = target ? strlen(target) : 0;
	Data data;
	int r;

	if (size == 0 || size >= EXT4_BLOCK)
		return fail_entry(import, "its target is empty or too long");
	inode->i_size = (__u32)size;
	/* Short ones live in the inode. */
	if (size < sizeof(inode->i_block)) {
		memcpy(inode->i_block, target, size);
		return 0;
	}
	data_begin(&data, &import->ext4, import->buffer);
	r = data_put(&data, target, size, 0, import->error);
	if (r == 0)
		r = data_end(&data, ino, inode, import->error);
	data_done(&data);
	return r;
}

/* One more name for an inode that is there. */
static int
add_link(Import *import, const char *path, Node *target)
{
	struct ext2_inode_large inode;
	Node *directory, *node;
	char name[NAME_BYTES + 1];
	ext2_ino_t ino = target->ino;
	__u8 type = target->file_type;

	if (target->is_directory)
		return fail_entry(import, "a hard link to a directory");
	if (find_parent(import, path, &directory, name) != 0)
		return fail_entry(import, "not a place for a hard link");
	node = tree_find_child(directory, name);
	if (node && node->ino == ino)
		return 0;
	if (ext2fs_read_inode_full(import->ext4.fs, ino, (struct ext2_inode *)&inode,
				   sizeof(inode)))
		return fail_entry(import, "its target cannot be read");
	if (inode.i_links_count >= LINKS_MAX)
		return fail_entry(import, "too many hard links to one file");
	inode.i_links_count++;
	if (write_inode(import, ino, &inode) < 0 || (node && remove_node(import, node) < 0))
		return -1;
	node = tree_add_child(directory, name);
	if (!node)
		return fail_memory(import);
	node->ino = ino;
	node->file_type = type;
	return 0;
}

static int
take_hardlink(Import *import, const char *path, const char *target_path)
{
	Node *target = find_node(import, target_path);
	Pending *pending;

	if (import->error->keyword)
		return -1;
	if (target)
		return add_link(import, path, target);
	if (import->n_pending >= PENDING_MAX)
		return fail_entry(import, "too many hard links before what they link to");
	pending = realloc(import->pending, (import->n_pending + 1) * sizeof(*pending));
	if (!pending)
		return fail_memory(import);
	import->pending = pending;
	pending[import->n_pending] = (Pending){ strdup(path), strdup(target_path) };
	if (!pending[import->n_pending].path || !pending[import->n_pending].target)
		return fail_memory(import);
	import->n_pending++;
	return 0;
}

/* The node for an entry that is not a hard link: an old directory stays one, anything else is replaced. */
static int
place_node(Import *import, const char *path, mode_t type, Node **ret)
{
	Node *directory = NULL, *node;
	char name[NAME_BYTES + 1];
	int r = find_parent(import, path, &directory, name);

	if (r < 0)
		return r;
	if (r > 0) {
		*ret = import->root;
		return type == AE_IFDIR ? 0 : fail_entry(import, "the root must be a directory");
	}
	node = tree_find_child(directory, name);
	if (node && !(node->is_directory && type == AE_IFDIR)) {
		if (remove_node(import, node) < 0)
			return -1;
		node = NULL;
	}
	if (!node) {
		node = tree_add_child(directory, name);
		if (!node)
			return fail_memory(import);
		node->is_directory = type == AE_IFDIR;
		node->file_type = file_type(type);
		if (new_inode(import, node->is_directory, &node->ino) < 0)
			return -1;
	}
	*ret = node;
	return 0;
}

static int
take_entry(Import *import, struct archive *a, struct archive_entry *entry, const char *path)
{
	mode_t type = archive_entry_filetype(entry);
	const char *link = archive_entry_hardlink(entry);
	struct ext2_inode_large inode;
	Node *node = NULL;

	if (link)
		return take_hardlink(import, path, link);
	if (file_type(type) == EXT2_FT_UNKNOWN)
		return fail_entry(import, "of a kind that no file is");
	if (place_node(import, path, type, &node) < 0)
		return -1;
	attributes_fill(entry, &inode);
	if (type == AE_IFREG && write_file(import, a, entry, node->ino, &inode) < 0)
		return -1;
	if (type == AE_IFLNK && write_symlink(import, entry, node->ino, &inode) < 0)
		return -1;
	if (write_inode(import, node->ino, &inode) < 0)
		return -1;
	return attributes_write_extended(&import->ext4, node->ino, entry, import->path,
					 import->error);
}

static int
read_entries(Import *import, struct archive *a, Source *source, ImportProgress progress)
{
	struct archive_entry *entry;
	uint64_t reported = 0;
	int r;

	while ((r = archive_read_next_header(a, &entry)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
		const char *path = archive_entry_pathname(entry);
		_cleanup_free_ char *safe = NULL;

		if (!path || strlen(path) >= PATH_BYTES)
			return image_fail(import->error, "INVALID",
					  "an entry has no name, or one too long");
		safe = bn_str_escape(path, strlen(path), 200);
		import->path = safe ? safe : "an entry";
		if (++import->result->entries > ENTRIES_MAX)
			return fail_entry(import, "the archive has too many entries");
		if (take_entry(import, a, entry, path) < 0)
			return -1;
		if (source->bytes - reported >= 1 << 20) {
			reported = source->bytes;
			progress(source->bytes, import->result->entries);
		}
	}
	if (source->error < 0)
		return image_fail_code(import->error, "the archive cannot be read", -source->error);
	if (r != ARCHIVE_EOF)
		return image_fail(import->error, "INVALID",
				  "the archive is damaged, cut short, or not a tar archive");
	if (import->result->entries == 0)
		return image_fail(import->error, "INVALID", "the archive is empty");
	return 0;
}

static int
link_pending(Import *import)
{
	for (size_t i = 0; i < import->n_pending; i++) {
		Pending *p = &import->pending[i];
		_cleanup_free_ char *safe = bn_str_escape(p->path, strlen(p->path), 200);
		Node *target;

		import->path = safe ? safe : "an entry";
		target = find_node(import, p->target);
		if (!target)
			return fail_entry(import,
					  "a hard link to something that is not in the archive");
		if (add_link(import, p->path, target) < 0)
			return -1;
	}
	return 0;
}

static void
find_init(Import *import)
{
	static const char *const paths[] = { "sbin/init", "usr/sbin/init", "lib/systemd/systemd",
					     "usr/lib/systemd/systemd" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		ImageError ignored = {};
		ImageError *before = import->error;
		Node *node;

		/* A link among its parents is not an error of the archive's here. */
		import->error = &ignored;
		node = find_node(import, paths[i]);
		import->error = before;
		if (!node)
			continue;
		import->result->init[0] = '/';
		memcpy(import->result->init + 1, paths[i], strlen(paths[i]) + 1);
		return;
	}
}

static int
run(Import *import, int input, ImportProgress progress)
{
	_cleanup_(source_done) Source source = {};
	struct archive *a = source_open(&source, input);
	int r;

	if (!a)
		return image_fail(import->error, "FAILED", "the archive cannot be opened");
	r = read_entries(import, a, &source, progress);
	if (r == 0)
		r = link_pending(import);
	if (r == 0)
		find_init(import);
	if (r == 0)
		r = directory_write_all(&import->ext4, import->root, import->error);
	if (r == 0 && source_finish(&source, import->result->digest) < 0)
		r = image_fail_code(import->error, "the archive cannot be read", -source.error);
	return r;
}

static void
import_done(Import *import)
{
	for (size_t i = 0; i < import->n_pending; i++) {
		free(import->pending[i].path);
		free(import->pending[i].target);
	}
	free(import->pending);
	free(import->buffer);
	tree_free(import->root);
	ext4_abandon(&import->ext4);
}

int
import_archive(int input, int output, ImportProgress progress, ImportResult *ret, ImageError *error)
{
	_cleanup_(import_done) Import import = { .result = ret, .error = error, .path = "" };

	*ret = (ImportResult){};
	import.root = tree_new_root();
	import.buffer = malloc(DATA_BUFFER);
	if (!import.root || !import.buffer)
		return fail_memory(&import);
	if (ext4_create_base(&import.ext4, output, error) < 0)
		return -1;
	import.last_ino = EXT2_FIRST_INODE(import.ext4.fs->super) - 1;
	import.path = "lost+found";
	if (!make_parent(&import, import.root, "lost+found") || run(&import, input, progress) < 0)
		return -1;
	return ext4_finish(&import.ext4, error);
}
