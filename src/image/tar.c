/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#include "image/file.h"
#include "image/xattr.h"
#include "shared/base/cleanup.h"

/* What ext4's 34 bits of seconds hold: 1901-12-13 to 2446-05-10. The kernel clamps as well. */
#define SECONDS_MIN (-(INT64_C(1) << 31))
#define SECONDS_MAX ((INT64_C(1) << 34) - (INT64_C(1) << 31) - 1)

/* Device numbers as the kernel has them. */
#define MAJOR_MAX 0xfffu
#define MINOR_MAX 0xfffffu

typedef struct Entry {
	BnTar *tar;
	struct archive *archive;
	struct archive_entry *header;
	const char *raw; /* its name as the archive has it, for messages */
	char path[BN_TREE_PATH_MAX + 1];
	BnTime atime, ctime, mtime, crtime;
	BnImageError *error;
} Entry;

#define FAIL(entry, code, fault, ...)                                                              \
	bn_image_fail_entry((entry)->error, code, fault, (entry)->raw, __VA_ARGS__)

static void
archive_freep(struct archive **a)
{
	if (*a)
		(void)archive_read_free(*a);
	*a = NULL;
}

typedef struct Source {
	BnTar *tar;
	BnImageError error;
	bool failed, at_end;
} Source;

static la_ssize_t
read_piece(struct archive *a, void *userdata, const void **ret)
{
	Source *source = userdata;
	BnTar *tar = source->tar;
	ssize_t n = bn_stream_next(tar->stream, ret, &source->error);
	int r = 0;

	if (n >= 0 && tar->request->progress)
		r = tar->request->progress(tar->request->userdata, tar->stream->bytes,
					   tar->entries);
	if (r < 0)
		n = bn_image_fail(&source->error, r, BN_FAULT_CANCELLED, "cancelled");
	source->at_end = n == 0;
	if (n < 0) {
		source->failed = true;
		archive_set_error(a, EIO, "%s", source->error.text);
	}
	return n;
}

/* libarchive reads the sign of "-1.5" for the seconds alone: -1 s and +0.5 s. (Of "-0.5" it keeps no
 * sign at all, and half a second before 1970 becomes half a second after.) */
static BnTime
pack_time(int64_t seconds, long nanoseconds)
{
	uint32_t epoch;

	if (nanoseconds < 0 || nanoseconds > 999999999)
		nanoseconds = 0;
	if (seconds < 0 && nanoseconds > 0 && seconds > INT64_MIN) {
		seconds--;
		nanoseconds = 1000000000 - nanoseconds;
	}
	if (seconds < SECONDS_MIN || seconds > SECONDS_MAX) {
		seconds = seconds < 0 ? SECONDS_MIN : SECONDS_MAX;
		nanoseconds = 0;
	}
	epoch = (uint32_t)((seconds - (int32_t)seconds) >> 32) & 3;
	return (BnTime){ .seconds = (uint32_t)seconds,
			 .extra = epoch | (uint32_t)nanoseconds << 2 };
}

/* A time that the archive does not tell is the modification's: no clock has a part in an image. */
static void
read_times(Entry *e)
{
	struct archive_entry *h = e->header;
	int64_t mtime = archive_entry_mtime(h);

	e->mtime = pack_time(mtime, archive_entry_mtime_nsec(h));
	e->atime = archive_entry_atime_is_set(h)
			   ? pack_time(archive_entry_atime(h), archive_entry_atime_nsec(h))
			   : e->mtime;
	e->ctime = archive_entry_ctime_is_set(h)
			   ? pack_time(archive_entry_ctime(h), archive_entry_ctime_nsec(h))
			   : e->mtime;
	e->crtime = archive_entry_birthtime_is_set(h)
			    ? pack_time(archive_entry_birthtime(h), archive_entry_birthtime_nsec(h))
			    : e->mtime;
	e->tar->newest = BN_MAX(e->tar->newest, mtime);
}

static int
set_metadata(Entry *e, BnNode *node)
{
	int64_t uid = archive_entry_uid(e->header), gid = archive_entry_gid(e->header);

	/* (uid_t) -1 means "nobody in particular" to the kernel. */
	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return FAIL(e, -EOVERFLOW, BN_FAULT_OWNER,
			    "its owner %lld:%lld does not fit 32 bits", (long long)uid,
			    (long long)gid);
	node->uid = (uint32_t)uid;
	node->gid = (uint32_t)gid;
	node->mode = (uint16_t)((node->mode & S_IFMT) | (archive_entry_perm(e->header) & 07777));
	node->atime = e->atime;
	node->ctime = e->ctime;
	node->mtime = e->mtime;
	node->crtime = e->crtime;
	return bn_xattr_read(e->tar->tree, node, e->header, e->raw, e->error);
}

/* Words for what bn_tree_locate() and bn_tree_put() return. */
static int
fail_place(Entry *e, int r)
{
	switch (r) {
	case -ENOTDIR:
		return FAIL(e, r, BN_FAULT_CONFLICT,
			    "a part of its path is a file, not a directory");
	case -ELOOP:
		return FAIL(e, r, BN_FAULT_CONFLICT,
			    "the symbolic links of its path lead in a circle");
	case -EMLINK:
		return FAIL(e, r, BN_FAULT_NAME, "directories are nested too deeply");
	case -ENAMETOOLONG:
		return FAIL(e, r, BN_FAULT_NAME,
			    "its path is over %d bytes, or a part of it over %d", BN_TREE_PATH_MAX,
			    BN_TREE_NAME_MAX);
	case -EPERM:
		return FAIL(e, r, BN_FAULT_NAME, "\"..\" is not allowed in an archive's paths");
	case -ENOMEM:
		return bn_image_fail_memory(e->error);
	default:
		return FAIL(e, r, BN_FAULT_INTERNAL, "%s", strerror(-r));
	}
}

/* Where the entry goes. At the root one name is the filesystem's own: e2fsck puts what it finds there, and wants a
 * directory. */
static int
locate(Entry *e, bool is_dir, BnNode **ret_dir, char leaf[static BN_TREE_NAME_MAX + 1])
{
	BnTree *tree = e->tar->tree;
	int r = bn_tree_locate(tree, e->path, &e->mtime, ret_dir, leaf);

	if (r < 0)
		return fail_place(e, r);
	if (!is_dir && *ret_dir == tree->root && strcmp(leaf, "lost+found") == 0)
		return FAIL(e, -EINVAL, BN_FAULT_TYPE, "this name must be a directory in ext4");
	return 0;
}

static int
add_link(Entry *e, const char *target)
{
	BnTree *tree = e->tar->tree;
	char path[BN_TREE_PATH_MAX + 1], leaf[BN_TREE_NAME_MAX + 1];
	BnNode *dir, *node;
	BnName *old;
	int r = bn_tree_normalize(target, path);

	if (r < 0)
		return FAIL(e, r, BN_FAULT_LINK, "it is a hard link whose target %s",
			    r == -EPERM ? "contains \"..\"" : "is too long");
	r = locate(e, /* is_dir= */ false, &dir, leaf);
	if (r < 0)
		return r;
	node = bn_tree_resolve(tree, path, /* follow= */ false);
	if (node && bn_node_is_dir(node))
		return FAIL(e, -EPERM, BN_FAULT_LINK, "it is a hard link to a directory");
	old = bn_tree_find(tree, dir, leaf);
	if (old && node && old->node == node)
		return 0;
	if (!node || node->mode == 0) { /* its target comes later, or never */
		node = bn_tree_new_node(tree, 0);
		if (!node)
			return bn_image_fail_memory(e->error);
		node->target = bn_arena_dup(&tree->arena, path, strlen(path));
		if (!node->target)
			return bn_image_fail_memory(e->error);
	}
	r = bn_tree_put(tree, dir, leaf, node);
	return r < 0 ? fail_place(e, r) : 0;
}

static int
set_target(Entry *e, BnNode *node)
{
	const char *target = archive_entry_symlink(e->header);
	size_t size = target ? strlen(target) : 0;

	if (size == 0 || size > BN_TREE_TARGET_MAX)
		return FAIL(e, -EINVAL, BN_FAULT_LINK,
			    "it is a symbolic link whose target is empty or over %d bytes",
			    BN_TREE_TARGET_MAX);
	node->size = size;
	node->target = bn_arena_dup(&e->tar->tree->arena, target, size);
	if (!node->target)
		return bn_image_fail_memory(e->error);
	return bn_file_write_target(node, e->tar->sink, e->raw, e->error);
}

static int
set_device(Entry *e, BnNode *node)
{
	uint64_t major = archive_entry_rdevmajor(e->header);
	uint64_t minor = archive_entry_rdevminor(e->header);

	if (major > MAJOR_MAX || minor > MINOR_MAX)
		return FAIL(e, -EOVERFLOW, BN_FAULT_TYPE,
			    "its device number %llu:%llu is too large", (unsigned long long)major,
			    (unsigned long long)minor);
	node->device = major << 32 | minor;
	return 0;
}

static int
set_content(Entry *e, BnNode *node)
{
	switch (node->mode & S_IFMT) {
	case S_IFREG:
		return bn_file_write(node, e->tar->sink, e->archive, archive_entry_size(e->header),
				     e->raw, e->error);
	case S_IFLNK:
		return set_target(e, node);
	case S_IFCHR:
	case S_IFBLK:
		return set_device(e, node);
	default:
		return 0;
	}
}

static uint16_t
type_of(struct archive_entry *header)
{
	switch (archive_entry_filetype(header)) {
	case AE_IFREG:
		return S_IFREG;
	case AE_IFDIR:
		return S_IFDIR;
	case AE_IFLNK:
		return S_IFLNK;
	case AE_IFCHR:
		return S_IFCHR;
	case AE_IFBLK:
		return S_IFBLK;
	case AE_IFIFO:
		return S_IFIFO;
	case AE_IFSOCK:
		return S_IFSOCK;
	default:
		return 0;
	}
}

static int
add_node(Entry *e, uint16_t type)
{
	BnTree *tree = e->tar->tree;
	char leaf[BN_TREE_NAME_MAX + 1];
	BnNode *dir, *node = NULL;
	BnName *old;
	int r = locate(e, type == S_IFDIR, &dir, leaf);

	if (r < 0)
		return r;
	old = bn_tree_find(tree, dir, leaf);
	/* A directory told twice keeps what is in it; everything else is replaced whole. */
	if (old && bn_node_is_dir(old->node) && type == S_IFDIR)
		return set_metadata(e, old->node);
	node = bn_tree_new_node(tree, type);
	if (!node)
		return bn_image_fail_memory(e->error);
	r = set_metadata(e, node);
	if (r >= 0)
		r = set_content(e, node);
	if (r < 0)
		return r;
	r = bn_tree_put(tree, dir, leaf, node);
	return r < 0 ? fail_place(e, r) : 0;
}

static int
add_entry(Entry *e)
{
	uint16_t type = type_of(e->header);
	const char *link = archive_entry_hardlink(e->header);
	int r;

	e->raw = archive_entry_pathname(e->header);
	if (!e->raw || e->raw[0] == '\0') {
		e->raw = "";
		return FAIL(e, -EINVAL, BN_FAULT_NAME, "entry %llu has no name",
			    (unsigned long long)e->tar->entries);
	}
	r = bn_tree_normalize(e->raw, e->path);
	if (r < 0)
		return fail_place(e, r);
	read_times(e);
	if (e->path[0] == '\0') {
		if (type != S_IFDIR || link)
			return FAIL(e, -EINVAL, BN_FAULT_TYPE, "the root must be a directory");
		return set_metadata(e, e->tar->tree->root);
	}
	if (link)
		return add_link(e, link);
	if (type == 0)
		return FAIL(e, -EINVAL, BN_FAULT_TYPE, "it is of a kind that ext4 does not have");
	return add_node(e, type);
}

/* libarchive warns where it reads on past something it could not make sense of. A name whose bytes are
 * not the character set they are said to be is kept byte for byte, which is what we want; whatever
 * else it would leave out, the image would silently lack. */
static bool
is_harmless(struct archive *a)
{
	const char *text = archive_error_string(a);

	return text && strstr(text, "can't be converted from");
}

static int
fail_archive(struct archive *a, const Source *source, uint64_t entries, BnImageError *reterr)
{
	const char *text = archive_error_string(a);

	if (source->failed) {
		*reterr = source->error;
		return -EBADMSG;
	}
	if (archive_errno(a) == ENOMEM)
		return bn_image_fail_memory(reterr);
	/* At some places it gives up at the end without a word. */
	if (text ? strcasestr(text, "truncated") != NULL : source->at_end)
		return bn_image_fail(reterr, -EBADMSG, BN_FAULT_TRUNCATED,
				     "the archive ends within entry %llu",
				     (unsigned long long)entries + 1);
	if (archive_format(a) == 0)
		return bn_image_fail(reterr, -EBADMSG, BN_FAULT_FORMAT,
				     "this is no tar archive%s%s", text ? ": " : "",
				     text ? text : "");
	return bn_image_fail(reterr, -EBADMSG, BN_FAULT_CORRUPT, "after entry %llu: %s",
			     (unsigned long long)entries, text ? text : "damaged archive");
}

/* The rest of the stream belongs to its digest, and an archive without its end mark was cut between
 * two entries, where nothing else shows it. */
static int
read_rest(BnTar *tar, BnImageError *reterr)
{
	bool more = false;
	const void *piece;
	ssize_t n;

	while ((n = bn_stream_next(tar->stream, &piece, reterr)) > 0)
		more = true;
	if (n < 0)
		return (int)n;
	if (tar->entries == 0)
		return bn_image_fail(reterr, -EBADMSG, BN_FAULT_EMPTY, "the archive has no entry");
	if (!more && !bn_stream_ends_in_zeros(tar->stream))
		return bn_image_fail(reterr, -EBADMSG, BN_FAULT_TRUNCATED,
				     "the archive ends without its end mark, after entry %llu",
				     (unsigned long long)tar->entries);
	return 0;
}

static int
read_entries(BnTar *tar, struct archive *a, Source *source, BnImageError *reterr)
{
	uint64_t max = tar->request->max_entries ? tar->request->max_entries : BN_IMAGE_ENTRIES_MAX;

	for (;;) {
		Entry entry = { .tar = tar, .archive = a, .error = reterr };
		int r = archive_read_next_header(a, &entry.header);

		if (r == ARCHIVE_EOF)
			return source->failed ? fail_archive(a, source, tar->entries, reterr) : 0;
		if (r < ARCHIVE_WARN || (r < ARCHIVE_OK && !is_harmless(a)))
			return fail_archive(a, source, tar->entries, reterr);
		if (++tar->entries > max)
			return bn_image_fail(reterr, -E2BIG, BN_FAULT_TOO_MANY,
					     "the archive has more than %llu entries",
					     (unsigned long long)max);
		r = add_entry(&entry);
		/* A cut stream shows as short data of the entry being read. */
		if (r < 0 && source->failed)
			return fail_archive(a, source, tar->entries, reterr);
		if (r < 0)
			return r;
	}
}

int
bn_tar_read(BnTar *tar, BnImageError *reterr)
{
	_cleanup_(archive_freep) struct archive *a = archive_read_new();
	Source source = { .tar = tar };
	int r;

	if (!a || archive_read_support_format_tar(a) != ARCHIVE_OK)
		return bn_image_fail_memory(reterr);
	if (archive_read_open(a, &source, NULL, read_piece, NULL) != ARCHIVE_OK)
		return fail_archive(a, &source, 0, reterr);
	r = read_entries(tar, a, &source, reterr);
	return r < 0 ? r : read_rest(tar, reterr);
}
