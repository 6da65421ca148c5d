/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "shared/base/cleanup.h"
#include "shared/base/fd-util.h"
#include "shared/base/macro.h"
#include "shared/base/str-util.h"
#include "shared/rules/limits.h"

/* Not in linux/magic.h. */
#define ZFS_MAGIC 0x2fc12fc1

/* Filesystems whose every answer comes from this host's kernel. Never FUSE, NFS, 9p, CIFS: their
 * server, which may be the caller, could park us. A user can lay an overlay over a FUSE mount of
 * its own in a user namespace, so one counts only where it stands in the host's mount table: by
 * name, never by magic. */
static const struct {
	const char *name;
	uint64_t magic;
} local_filesystems[] = {
	{ "btrfs", BTRFS_SUPER_MAGIC }, { "ext4", EXT4_SUPER_MAGIC },
	{ "f2fs", F2FS_SUPER_MAGIC },   { "overlay", 0 },
	{ "tmpfs", TMPFS_MAGIC },       { "xfs", XFS_SUPER_MAGIC },
	{ "zfs", ZFS_MAGIC },
};

static int
refuse(const char **reterr, const char *why)
{
	*reterr = why;
	return -EINVAL;
}

static bool
is_local_name(const char *name)
{
	for (size_t i = 0; i < BN_ELEMENTSOF(local_filesystems); i++)
		if (bn_str_equal(local_filesystems[i].name, name))
			return true;
	return false;
}

/* The mount's id finds overlays, whose files may show another device than their mount; the device
 * finds what was opened in another mount namespace than the table's. */
static bool
find_in_table(const char *table, const struct statx *st, char *ret_type, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen(table, "re");
	char line[8192], type[64];

	while (f && fgets(line, sizeof(line), f)) {
		const char *after = strstr(line, " - ");
		unsigned id, major, minor;

		if (!after || sscanf(line, "%u %*u %u:%u", &id, &major, &minor) != 3)
			continue;
		if (id != st->stx_mnt_id &&
		    (major != st->stx_dev_major || minor != st->stx_dev_minor))
			continue;
		if (sscanf(after, " - %63s", type) != 1)
			continue;
		(void)snprintf(ret_type, size, "%s", type);
		return true;
	}
	return false;
}

/* Type of the filesystem the file is on, from the host's mount table: false where it is not there.
 * The unit gives us copies of the host's mounts, with ids that no caller's file has: so the table is
 * the first process's, which nobody but root adds to either, and then ours. */
static bool
find_mounted(const struct statx *st, char *ret_type, size_t size)
{
	return find_in_table("/proc/1/mountinfo", st, ret_type, size) ||
	       find_in_table("/proc/self/mountinfo", st, ret_type, size);
}

static int
check_filesystem(int fd, const struct statx *st, const char **reterr)
{
	static const char not_local[] = "not on a local filesystem";
	char type[64];
	struct statfs fs;

	if (find_mounted(st, type, sizeof(type)))
		return is_local_name(type) ? 0 : refuse(reterr, not_local);
	/* Memfds, Btrfs subvolumes, mounts of other namespaces. FUSE answers this without its
	 * server where the mount is of another user's making. */
	if (fstatfs(fd, &fs) < 0)
		return refuse(reterr, not_local);
	for (size_t i = 0; i < BN_ELEMENTSOF(local_filesystems); i++)
		if (fs.f_type != 0 && (uint64_t)fs.f_type == local_filesystems[i].magic)
			return 0;
	return refuse(reterr, not_local);
}

static int
check_regular(int fd, struct statx *ret_st, int *ret_flags, const char **reterr)
{
	/* What an image or a disk may have been opened with. O_APPEND would send every write of the
	 * guest to the end; O_PATH has no content at all. */
	const int allowed = O_ACCMODE | O_NONBLOCK | O_DIRECT | O_SYNC | O_DSYNC | O_NOATIME |
			    O_LARGEFILE | 0100000 | O_NOFOLLOW;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return refuse(reterr, "not a descriptor");
	if (flags & ~allowed)
		return refuse(reterr,
			      "opened with flags that are not served (O_PATH, O_APPEND, O_ASYNC)");
	/* DONT_SYNC: a FUSE server is not asked. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS | STATX_MNT_ID,
		  ret_st) < 0 ||
	    !S_ISREG(ret_st->stx_mode))
		return refuse(reterr, "not a regular file");
	*ret_flags = flags;
	return check_filesystem(fd, ret_st, reterr);
}

/* Opened read-only, which must hold for the VMM too: it can open the file once more by /proc, as the
 * VM's uid, where the mode alone decides. */
static int
check_read_only(int fd, const struct statx *st, const char **reterr)
{
	if ((st->stx_mode & S_IWOTH) && !bn_fd_is_sealed(fd))
		return refuse(reterr, "opened read-only, but its mode lets everybody write");
	return 0;
}

int
descriptor_check_image(int fd, uint64_t max, const char **reterr)
{
	struct statx st = {};
	int flags = 0, r;

	r = check_regular(fd, &st, &flags, reterr);
	if (r < 0)
		return r;
	if (st.stx_size == 0 || st.stx_size > max)
		return refuse(reterr, st.stx_size == 0
					      ? "an empty file"
					      : "larger than a kernel or an initramfs may be");
	if ((flags & O_ACCMODE) == O_RDONLY)
		return check_read_only(fd, &st, reterr);
	return bn_fd_is_sealed(fd) ? 0
				   : refuse(reterr, "neither opened read-only nor a sealed memfd");
}

int
descriptor_check_disk(int fd, uid_t owner, bool *ret_read_only, const char **reterr)
{
	struct statx st = {};
	int flags = 0, r;

	r = check_regular(fd, &st, &flags, reterr);
	if (r < 0)
		return r;
	if (st.stx_size == 0 || st.stx_size > BN_DISK_MAX)
		return refuse(reterr, st.stx_size == 0 ? "an empty file" : "16 TiB or more");
	if ((flags & O_ACCMODE) == O_RDONLY) {
		*ret_read_only = true;
		return check_read_only(fd, &st, reterr);
	}
	if ((flags & O_ACCMODE) != O_RDWR)
		return refuse(reterr, "opened write-only");
	if (st.stx_uid != owner)
		return refuse(reterr, "opened read-write, and not the caller's file");
	/* A second name may stand where somebody else relies on the content. */
	if (st.stx_nlink != 1)
		return refuse(reterr, "opened read-write, and not with exactly one link");
	*ret_read_only = false;
	return 0;
}

static bool
is_in_our_network(int tap)
{
	_cleanup_close_ int theirs = ioctl(tap, TUNGETDEVNETNS, 0);
	struct stat ours, other;

	return theirs >= 0 && fstat(theirs, &other) == 0 &&
	       stat("/proc/thread-self/ns/net", &ours) == 0 && other.st_dev == ours.st_dev &&
	       other.st_ino == ours.st_ino;
}

int
descriptor_check_tap(int fd, char ret_name[static BN_TAP_NAME_SIZE], const char **reterr)
{
	char name[BN_TAP_NAME_SIZE];
	int r = bn_tap_check(fd, name);

	if (r == -EBADFD)
		return refuse(reterr, "a tap whose interface is gone");
	if (r == -EPROTO)
		return refuse(reterr, "a tap of another kind than CreateTap makes");
	if (r < 0)
		return refuse(reterr, "not a tap");
	if (!is_in_our_network(fd))
		return refuse(reterr, "a tap of another network namespace");
	memcpy(ret_name, name, sizeof(name));
	return 0;
}
