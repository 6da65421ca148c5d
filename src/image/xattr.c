/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/xattr.h"

#include <archive.h>
#include <archive_entry.h>
#include <endian.h>
#include <errno.h>
#include <linux/posix_acl_xattr.h>
#include <stdlib.h>
#include <string.h>

#include "image/sink.h"
#include "shared/base/cleanup.h"

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

/* e_tag values, which no header of the kernel's gives to programs. */
enum {
	TAG_USER_OBJ = 1,
	TAG_USER = 2,
	TAG_GROUP_OBJ = 4,
	TAG_GROUP = 8,
	TAG_MASK = 16,
	TAG_OTHER = 32
};

/* The last of two values of one name wins, as everywhere in an archive. */
static int
set_xattr(BnTree *tree, BnNode *node, const char *name, const void *value, size_t size)
{
	BnXattr *xattr = node->xattrs;

	while (xattr && strcmp(xattr->name, name) != 0)
		xattr = xattr->next;
	if (!xattr) {
		xattr = bn_arena_new(&tree->arena, sizeof(*xattr));
		if (!xattr)
			return -ENOMEM;
		xattr->name = bn_arena_dup(&tree->arena, name, strlen(name));
		xattr->next = node->xattrs;
		node->xattrs = xattr;
	}
	xattr->value = bn_arena_dup(&tree->arena, value, size);
	xattr->size = size;
	return xattr->name && xattr->value ? 0 : -ENOMEM;
}

static bool
is_acl_name(const char *name)
{
	return strcmp(name, ACL_ACCESS) == 0 || strcmp(name, ACL_DEFAULT) == 0;
}

static bool
is_known_namespace(const char *name)
{
	static const char *const prefixes[] = { "user.", "trusted.", "security." };

	if (is_acl_name(name))
		return true;
	for (size_t i = 0; i < BN_ELEMENTSOF(prefixes); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return name[strlen(prefixes[i])] != '\0';
	return false;
}

/* An ACL that came in the kernel's own form is written as it is, so it must be one: libext2fs trusts
 * the count, the kernel would refuse the file. */
static bool
is_valid_acl(const void *value, size_t size)
{
	struct posix_acl_xattr_header header;

	if (size < sizeof(header) + sizeof(struct posix_acl_xattr_entry) ||
	    (size - sizeof(header)) % sizeof(struct posix_acl_xattr_entry) != 0)
		return false;
	memcpy(&header, value, sizeof(header));
	if (le32toh(header.a_version) != POSIX_ACL_XATTR_VERSION)
		return false;
	for (size_t at = sizeof(header); at < size; at += sizeof(struct posix_acl_xattr_entry)) {
		struct posix_acl_xattr_entry e;
		unsigned tag;

		memcpy(&e, (const char *)value + at, sizeof(e));
		tag = le16toh(e.e_tag);
		if (tag == 0 || (tag & (tag - 1)) != 0 || tag > TAG_OTHER || le16toh(e.e_perm) > 7)
			return false;
	}
	return true;
}

static int
read_xattrs(BnTree *tree, BnNode *node, struct archive_entry *entry, const char *path,
	    BnImageError *reterr)
{
	const char *name;
	const void *value;
	size_t size;

	(void)archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
		if (!name || !is_known_namespace(name))
			continue;
		if (strlen(name) > BN_XATTR_NAME_MAX || size > BN_XATTR_VALUE_MAX)
			return bn_image_fail_entry(reterr, -E2BIG, BN_FAULT_XATTR, path,
						   "the extended attribute '%.60s' has %zu bytes, "
						   "more than the %d that Linux allows",
						   name, size, BN_XATTR_VALUE_MAX);
		if (is_acl_name(name) && !is_valid_acl(value, size))
			return bn_image_fail_entry(reterr, -EINVAL, BN_FAULT_XATTR, path,
						   "the attribute '%s' holds no valid ACL", name);
		if (set_xattr(tree, node, name, value, size) < 0)
			return bn_image_fail_memory(reterr);
	}
	return 0;
}

static unsigned
acl_tag(int tag)
{
	switch (tag) {
	case ARCHIVE_ENTRY_ACL_USER_OBJ:
		return TAG_USER_OBJ;
	case ARCHIVE_ENTRY_ACL_USER:
		return TAG_USER;
	case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
		return TAG_GROUP_OBJ;
	case ARCHIVE_ENTRY_ACL_GROUP:
		return TAG_GROUP;
	case ARCHIVE_ENTRY_ACL_MASK:
		return TAG_MASK;
	case ARCHIVE_ENTRY_ACL_OTHER:
		return TAG_OTHER;
	default:
		return 0;
	}
}

/* The kernel wants the tags in this order, and the ids within a tag rising. */
static int
compare_acl(const void *a, const void *b)
{
	const struct posix_acl_xattr_entry *x = a, *y = b;

	if (x->e_tag != y->e_tag)
		return le16toh(x->e_tag) < le16toh(y->e_tag) ? -1 : 1;
	if (x->e_id != y->e_id)
		return le32toh(x->e_id) < le32toh(y->e_id) ? -1 : 1;
	return 0;
}

static int
read_acl_entry(struct archive_entry *entry, int type, struct posix_acl_xattr_entry *ret,
	       const char *path, BnImageError *reterr)
{
	int t, permset, tag, id;
	const char *name;
	unsigned our_tag;
	bool named;

	if (archive_entry_acl_next(entry, type, &t, &permset, &tag, &id, &name) != ARCHIVE_OK)
		return bn_image_fail_entry(reterr, -EINVAL, BN_FAULT_XATTR, path,
					   "its ACL cannot be read");
	our_tag = acl_tag(tag);
	named = our_tag == TAG_USER || our_tag == TAG_GROUP;
	if (our_tag == 0)
		return bn_image_fail_entry(
			reterr, -EINVAL, BN_FAULT_XATTR, path,
			"its ACL has an entry of a kind that Linux does not have");
	/* What a name means is for the image's passwd file to say, at a time we cannot know. */
	if (named && id == -1)
		return bn_image_fail_entry(reterr, -EINVAL, BN_FAULT_XATTR, path,
					   "its ACL names '%.40s' without a number; "
					   "make the archive with numeric owners",
					   name ? name : "");
	ret->e_tag = htole16((uint16_t)our_tag);
	ret->e_perm = htole16((uint16_t)(permset & 7));
	ret->e_id = htole32(named ? (uint32_t)id : (uint32_t)ACL_UNDEFINED_ID);
	return 0;
}

static int
read_acl(BnTree *tree, BnNode *node, struct archive_entry *entry, int type, const char *path,
	 BnImageError *reterr)
{
	_cleanup_free_ char *value = NULL;
	struct posix_acl_xattr_header header = { .a_version = htole32(POSIX_ACL_XATTR_VERSION) };
	int count = archive_entry_acl_reset(entry, type);
	size_t size;

	if (count <= 0)
		return 0;
	size = sizeof(header) + (size_t)count * sizeof(struct posix_acl_xattr_entry);
	if (size > BN_XATTR_VALUE_MAX)
		return bn_image_fail_entry(reterr, -E2BIG, BN_FAULT_XATTR, path,
					   "its ACL has %d entries", count);
	value = malloc(size);
	if (!value)
		return bn_image_fail_memory(reterr);
	memcpy(value, &header, sizeof(header));
	for (int i = 0; i < count; i++) {
		struct posix_acl_xattr_entry e;
		int r = read_acl_entry(entry, type, &e, path, reterr);

		if (r < 0)
			return r;
		memcpy(value + sizeof(header) + (size_t)i * sizeof(e), &e, sizeof(e));
	}
	qsort(value + sizeof(header), (size_t)count, sizeof(struct posix_acl_xattr_entry),
	      compare_acl);
	if (set_xattr(tree, node, type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS ? ACL_ACCESS : ACL_DEFAULT,
		      value, size) < 0)
		return bn_image_fail_memory(reterr);
	return 0;
}

int
bn_xattr_read(BnTree *tree, BnNode *node, struct archive_entry *entry, const char *path,
	      BnImageError *reterr)
{
	int r;

	node->xattrs = NULL;
	if (archive_entry_xattr_count(entry) > 0) {
		r = read_xattrs(tree, node, entry, path, reterr);
		if (r < 0)
			return r;
	}
	if ((archive_entry_acl_types(entry) & ~(ARCHIVE_ENTRY_ACL_TYPE_POSIX1E)) != 0)
		return bn_image_fail_entry(reterr, -EINVAL, BN_FAULT_XATTR, path,
					   "it has an NFSv4 ACL, which ext4 cannot hold");
	r = read_acl(tree, node, entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, path, reterr);
	if (r >= 0 && bn_node_is_dir(node))
		r = read_acl(tree, node, entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, path, reterr);
	return r;
}

/* Entry header, name and value as ext4 pads them. The name's prefix becomes a number: counting it all
 * the same errs on the safe side. */
static size_t
stored_size(const BnXattr *xattr)
{
	return 16 + ((strlen(xattr->name) + 3) & ~(size_t)3) + ((xattr->size + 3) & ~(size_t)3);
}

void
bn_xattr_room(const BnNode *node, uint64_t *ret_blocks, uint32_t *ret_inodes)
{
	uint64_t blocks = node->xattrs ? 1 : 0;
	uint32_t inodes = 0;
	size_t total = 0;

	for (const BnXattr *x = node->xattrs; x; x = x->next)
		total += stored_size(x);
	/* What a block holds beside its header and its end mark, with some to spare. */
	if (total > BN_BLOCK_SIZE - 128)
		for (const BnXattr *x = node->xattrs; x; x = x->next) {
			inodes++;
			blocks += x->size / BN_BLOCK_SIZE + 1;
		}
	*ret_blocks = blocks;
	*ret_inodes = inodes;
}
