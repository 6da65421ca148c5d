/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/attributes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* What Linux accepts, <linux/limits.h>: XATTR_SIZE_MAX. */
#define VALUE_MAX 65536
#define ACL_MAX   1024

/* 34 bits of seconds since 1970 and 30 of nanoseconds: Documentation/filesystems/ext4/inodes.rst,
 * "Inode Timestamps". */
static void
set_time(__u32 *seconds, __u32 *extra, time_t s, long ns)
{
	*seconds = (__u32)s;
	*extra = (__u32)(((s - (int32_t)s) >> 32) & 3) | (__u32)ns << 2;
}

static void
set_times(struct archive_entry *entry, struct ext2_inode_large *inode)
{
	time_t m = archive_entry_mtime(entry);
	long m_ns = archive_entry_mtime_nsec(entry);
	bool has_a = archive_entry_atime_is_set(entry);

	set_time(&inode->i_mtime, &inode->i_mtime_extra, m, m_ns);
	set_time(&inode->i_ctime, &inode->i_ctime_extra, m, m_ns);
	set_time(&inode->i_crtime, &inode->i_crtime_extra, m, m_ns);
	set_time(&inode->i_atime, &inode->i_atime_extra, has_a ? archive_entry_atime(entry) : m,
		 has_a ? archive_entry_atime_nsec(entry) : m_ns);
}

/* The old form where it suffices, as the kernel does: fs/ext4/inode.c, ext4_inode_init's old_encode_dev. */
static void
set_device(struct archive_entry *entry, struct ext2_inode_large *inode)
{
	unsigned ma = (unsigned)archive_entry_rdevmajor(entry);
	unsigned mi = (unsigned)archive_entry_rdevminor(entry);

	if (ma < 256 && mi < 256)
		inode->i_block[0] = ma << 8 | mi;
	else
		inode->i_block[1] = (mi & 0xff) | ma << 8 | (mi & ~0xffU) << 12;
}

void
attributes_fill(struct archive_entry *entry, struct ext2_inode_large *inode)
{
	uint64_t uid = (uint64_t)archive_entry_uid(entry), gid = (uint64_t)archive_entry_gid(entry);
	mode_t type = archive_entry_filetype(entry);

	memset(inode, 0, sizeof(*inode));
	inode->i_mode = (__u16)(type | (archive_entry_perm(entry) & 07777));
	inode->i_uid = (__u16)uid;
	inode->osd2.linux2.l_i_uid_high = (__u16)(uid >> 16);
	inode->i_gid = (__u16)gid;
	inode->osd2.linux2.l_i_gid_high = (__u16)(gid >> 16);
	inode->i_links_count = type == AE_IFDIR ? 2 : 1;
	inode->i_extra_isize = sizeof(*inode) - EXT2_GOOD_OLD_INODE_SIZE;
	set_times(entry, inode);
	if (type == AE_IFCHR || type == AE_IFBLK)
		set_device(entry, inode);
}

/* The form of the system.posix_acl_* attributes: <linux/posix_acl_xattr.h>. */
typedef struct __attribute__((packed)) AclEntry {
	uint16_t tag, perm;
	uint32_t id;
} AclEntry;

static uint16_t
acl_tag(int tag)
{
	switch (tag) {
	case ARCHIVE_ENTRY_ACL_USER_OBJ:
		return 0x01;
	case ARCHIVE_ENTRY_ACL_USER:
		return 0x02;
	case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
		return 0x04;
	case ARCHIVE_ENTRY_ACL_GROUP:
		return 0x08;
	case ARCHIVE_ENTRY_ACL_MASK:
		return 0x10;
	case ARCHIVE_ENTRY_ACL_OTHER:
		return 0x20;
	default:
		return 0;
	}
}

/* The kernel wants them by tag, then by id. */
static int
compare_acl(const void *a, const void *b)
{
	const AclEntry *x = a, *y = b;

	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static errcode_t
write_acl(struct ext2_xattr_handle *handle, struct archive_entry *entry, int type, const char *name)
{
	static struct {
		uint32_t version;
		AclEntry entries[ACL_MAX];
	} __attribute__((packed)) acl;
	int etype, perm, tag, id;
	const char *who;
	size_t n = 0;

	acl.version = 2;
	/* Three entries and no more are the mode's own. */
	if (archive_entry_acl_reset(entry, type) <= (type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS ? 3 : 0))
		return 0;
	while (n < ACL_MAX &&
	       archive_entry_acl_next(entry, type, &etype, &perm, &tag, &id, &who) == ARCHIVE_OK) {
		uint16_t t = acl_tag(tag);

		if (t)
			acl.entries[n++] = (AclEntry){ .tag = t,
						       .perm = (uint16_t)(perm & 7),
						       .id = t == 0x02 || t == 0x08 ? (uint32_t)id
										    : UINT32_MAX };
	}
	qsort(acl.entries, n, sizeof(acl.entries[0]), compare_acl);
	return ext2fs_xattr_set(handle, name, &acl, 4 + n * sizeof(AclEntry));
}

static errcode_t
write_attributes(struct ext2_xattr_handle *handle, struct archive_entry *entry)
{
	const char *name;
	const void *value;
	size_t size;
	errcode_t r = 0;

	(void)archive_entry_xattr_reset(entry);
	while (!r && archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
		/* Lists come as such, decoded. */
		if (!name || strncmp(name, "system.", 7) == 0)
			continue;
		r = size > VALUE_MAX ? EXT2_ET_EA_NO_SPACE
				     : ext2fs_xattr_set(handle, name, value, size);
	}
	if (!r)
		r = write_acl(handle, entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS,
			      "system.posix_acl_access");
	if (!r)
		r = write_acl(handle, entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT,
			      "system.posix_acl_default");
	return r;
}

int
attributes_write_extended(Ext4 *ext4, ext2_ino_t ino, struct archive_entry *entry, const char *path,
			  ImageError *error)
{
	struct ext2_xattr_handle *handle = NULL;
	errcode_t r;

	if (archive_entry_xattr_count(entry) == 0 &&
	    (archive_entry_acl_types(entry) & ARCHIVE_ENTRY_ACL_TYPE_POSIX1E) == 0)
		return 0;
	r = ext2fs_xattrs_open(ext4->fs, ino, &handle);
	if (!r)
		r = write_attributes(handle, entry);
	if (!r)
		r = ext2fs_xattrs_write(handle);
	if (handle)
		(void)ext2fs_xattrs_close(&handle);
	if (r == EXT2_ET_EA_NO_SPACE)
		return image_fail(error, "INVALID", "%s: its extended attributes are too large",
				  path);
	return r ? image_fail_code(error, path, r) : 0;
}
