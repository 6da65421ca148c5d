/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/image-store.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/init-archive.h"
#include "service/adapters/disk-file.h"
#include "service/adapters/image-private.h"
#include "service/base/error.h"
#include "service/base/random-id.h"
#include "service/base/remove-tree.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/fd-util.h"

/* A file in what was published, until it is known to be recorded: a record may be lost in a crash, or never be made. */
#define UNRECORDED "unrecorded"

static void banger_image_directory_iface_init(BangerImageStoreInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE(BangerImageDirectory, banger_image_directory, G_TYPE_OBJECT,
			      G_IMPLEMENT_INTERFACE(BANGER_TYPE_IMAGE_STORE,
						    banger_image_directory_iface_init))

static void
forget_kernel(BangerImageDirectory *self)
{
	g_clear_pointer(&self->kernel, g_free);
	bn_closep(&self->kernel_fd);
	bn_closep(&self->initramfs_fd);
}

static void
banger_image_directory_finalize(GObject *object)
{
	BangerImageDirectory *self = BANGER_IMAGE_DIRECTORY(object);

	forget_kernel(self);
	g_free(self->directory);
	g_free(self->agent);
	G_OBJECT_CLASS(banger_image_directory_parent_class)->finalize(object);
}

static void
banger_image_directory_class_init(BangerImageDirectoryClass *klass)
{
	G_OBJECT_CLASS(klass)->finalize = banger_image_directory_finalize;
}

static void
banger_image_directory_init(BangerImageDirectory *self)
{
	self->kernel_fd = -1;
	self->initramfs_fd = -1;
}

BangerImageStore *
banger_image_directory_new(const char *directory, const char *agent, GError **error)
{
	g_autoptr(BangerImageDirectory) self = g_object_new(BANGER_TYPE_IMAGE_DIRECTORY, NULL);
	static const char *const kinds[] = { "image", "kernel" };

	self->directory = g_strdup(directory);
	self->agent = g_strdup(agent);
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *path = g_build_filename(directory, kinds[i], NULL);

		if (g_mkdir_with_parents(path, 0700) < 0) {
			(void)banger_error_set_errno(error, "%s", path);
			return NULL;
		}
	}
	return BANGER_IMAGE_STORE(g_steal_pointer(&self));
}

BangerStaging *
banger_staging_new(BangerImageDirectory *self, const char *kind, GError **error)
{
	g_autoptr(BangerStaging) staging = g_new0(BangerStaging, 1);
	g_autofree char *name = NULL;

	staging->fd = -1;
	banger_random_id(staging->id);
	name = g_strconcat(".new-", staging->id, NULL);
	staging->path = g_build_filename(self->directory, kind, name, NULL);
	staging->final = g_build_filename(self->directory, kind, staging->id, NULL);
	if (g_mkdir(staging->path, 0700) == 0)
		staging->fd = open(staging->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (staging->fd < 0) {
		(void)banger_error_set_errno(error, "%s", staging->path);
		return NULL;
	}
	return g_steal_pointer(&staging);
}

void
banger_staging_free(BangerStaging *staging)
{
	if (!staging)
		return;
	if (staging->path)
		(void)banger_remove_tree(staging->path, /* error= */ NULL);
	bn_closep(&staging->fd);
	g_free(staging->path);
	g_free(staging->final);
	g_free(staging);
}

static bool
mark(int dir)
{
	_cleanup_close_ int fd =
		openat(dir, UNRECORDED, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd >= 0;
}

bool
banger_staging_publish(BangerStaging *staging, GError **error)
{
	g_autofree char *parent = g_path_get_dirname(staging->final);
	_cleanup_close_ int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || !mark(staging->fd) || fsync(staging->fd) < 0 ||
	    g_rename(staging->path, staging->final) < 0)
		return banger_error_set_errno(error, "%s", staging->final);
	/* What may not be there after a crash is taken away by its new name. */
	g_free(staging->path);
	staging->path = g_strdup(staging->final);
	if (fsync(dir) < 0)
		return banger_error_set_errno(error, "%s", staging->final);
	g_clear_pointer(&staging->path, g_free);
	return true;
}

uint64_t
banger_disk_usage(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_blocks * 512
								   : 0;
}

bool
banger_tool_check(const char *program, const char *package, GError **error)
{
	g_autofree char *path = g_build_filename("/usr/bin", program, NULL);

	if (access(path, X_OK) == 0)
		return true;
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_TOOL_MISSING,
		    "%s is missing: install the package '%s'", path, package);
	return false;
}

static void
sweep_kind(BangerImageDirectory *self, const char *kind, GHashTable *recorded)
{
	g_autofree char *path = g_build_filename(self->directory, kind, NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, /* error= */ NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *one = g_build_filename(path, name, NULL);
		g_autofree char *marker = g_build_filename(one, UNRECORDED, NULL);

		if (g_str_has_prefix(name, ".new-"))
			(void)banger_remove_tree(one, /* error= */ NULL);
		else if (g_hash_table_contains(recorded, name))
			(void)g_unlink(marker);
		else if (g_hash_table_size(recorded) > 0 && access(marker, F_OK) == 0)
			(void)banger_remove_tree(one, /* error= */ NULL);
	}
}

static void
sweep(BangerImageStore *store, GHashTable *images, GHashTable *kernels)
{
	BangerImageDirectory *self = BANGER_IMAGE_DIRECTORY(store);

	sweep_kind(self, "image", images);
	sweep_kind(self, "kernel", kernels);
}

static bool
remove_kind(BangerImageStore *store, const char *kind, const char *id, GError **error)
{
	BangerImageDirectory *self = BANGER_IMAGE_DIRECTORY(store);
	g_autofree char *path = g_build_filename(self->directory, kind, id, NULL);

	return banger_remove_tree(path, error);
}

static bool
remove_image(BangerImageStore *store, const char *id, GError **error)
{
	return remove_kind(store, "image", id, error);
}

static bool
remove_kernel(BangerImageStore *store, const char *id, GError **error)
{
	BangerImageDirectory *self = BANGER_IMAGE_DIRECTORY(store);

	if (g_strcmp0(self->kernel, id) == 0)
		forget_kernel(self);
	return remove_kind(store, "kernel", id, error);
}

static int
open_file(BangerImageDirectory *self, const char *kind, const char *id, const char *name,
	  GError **error)
{
	g_autofree char *path = g_build_filename(self->directory, kind, id, name, NULL);

	/* A kernel may need no modules. */
	return banger_disk_file_open(path, O_RDONLY,
				     /* may_be_empty= */ !g_str_equal(kind, "image"), error);
}

static int
open_image(BangerImageStore *store, const char *id, GError **error)
{
	return open_file(BANGER_IMAGE_DIRECTORY(store), "image", id, "root.ext4", error);
}

/* Opens it and says which it is. */
static int
open_agent(BangerImageDirectory *self, struct stat *ret, GError **error)
{
	_cleanup_close_ int fd = open(self->agent, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, ret) < 0) {
		(void)banger_error_set_errno(error, "%s", self->agent);
		return -1;
	}
	return BN_TAKE_FD(fd);
}

/* An upgrade puts another file in its place, or at least another time on it. */
static bool
is_unchanged(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int
check_copy(int copy, const char *name, GError **error)
{
	if (copy >= 0)
		return copy;
	errno = -copy;
	(void)banger_error_set_errno(error, "%s", name);
	return -1;
}

/* A sealed copy in memory: what the VMM reads is what was there when the VM was started. */
static int
load_vmlinux(BangerImageDirectory *self, const char *id, GError **error)
{
	_cleanup_close_ int fd = open_file(self, "kernel", id, "vmlinux", error);

	return fd < 0 ? -1 : check_copy(bn_fd_memfd_copy("vmlinux", fd), "vmlinux", error);
}

static int
join_initramfs(int part, size_t part_size, int agent, size_t agent_size)
{
	BootInitArchive archive = boot_init_archive_make(part_size, agent_size);
	const BnFdPart parts[] = {
		{ .source = part, .size = part_size },
		{ .data = archive.before, .size = archive.before_size },
		{ .source = agent, .size = agent_size },
		{ .data = archive.behind, .size = archive.behind_size },
	};

	return bn_fd_memfd_join("initramfs", parts, G_N_ELEMENTS(parts));
}

/* The kernel's part, with the agent behind it. */
static int
load_initramfs(BangerImageDirectory *self, const char *id, int agent, size_t agent_size,
	       GError **error)
{
	_cleanup_close_ int fd = open_file(self, "kernel", id, "initramfs", error);
	struct stat st;
	int copy;

	if (fd < 0)
		return -1;
	copy = fstat(fd, &st) < 0 ? bn_errno()
				  : join_initramfs(fd, (size_t)st.st_size, agent, agent_size);
	return check_copy(copy, "initramfs", error);
}

static bool
load_kernel(BangerImageDirectory *self, const char *id, GError **error)
{
	struct stat st;
	_cleanup_close_ int agent = open_agent(self, &st, error);

	if (agent < 0)
		return false;
	if (g_strcmp0(self->kernel, id) == 0 && is_unchanged(&self->agent_stat, &st))
		return true;
	forget_kernel(self);
	self->kernel_fd = load_vmlinux(self, id, error);
	if (self->kernel_fd >= 0)
		self->initramfs_fd = load_initramfs(self, id, agent, (size_t)st.st_size, error);
	if (self->initramfs_fd < 0) {
		forget_kernel(self);
		return false;
	}
	self->kernel = g_strdup(id);
	self->agent_stat = st;
	return true;
}

/* Not a copy of the descriptor: whoever has one of those sets the flags of all of them, and a VMM that was taken over
 * could make one that banger-helper refuses of what the next VM is to boot from. */
static int
open_again(int fd, GError **error)
{
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
	int again = open(path, O_RDONLY | O_CLOEXEC);

	if (again < 0)
		(void)banger_error_set_errno(error, "%s", path);
	return again;
}

static bool
open_kernel(BangerImageStore *store, const char *id, int *ret_kernel, int *ret_initramfs,
	    GError **error)
{
	BangerImageDirectory *self = BANGER_IMAGE_DIRECTORY(store);
	_cleanup_close_ int kernel = -1, initramfs = -1;

	if (!load_kernel(self, id, error))
		return false;
	kernel = open_again(self->kernel_fd, error);
	if (kernel >= 0)
		initramfs = open_again(self->initramfs_fd, error);
	if (initramfs < 0)
		return false;
	*ret_kernel = BN_TAKE_FD(kernel);
	*ret_initramfs = BN_TAKE_FD(initramfs);
	return true;
}

static void
banger_image_directory_iface_init(BangerImageStoreInterface *iface)
{
	iface->check_image = banger_image_check;
	iface->check_kernel = banger_kernel_check;
	iface->make_image = banger_image_make;
	iface->make_image_finish = banger_image_make_finish;
	iface->make_kernel = banger_kernel_make;
	iface->make_kernel_finish = banger_kernel_make_finish;
	iface->remove_image = remove_image;
	iface->remove_kernel = remove_kernel;
	iface->sweep = sweep;
	iface->open_image = open_image;
	iface->open_kernel = open_kernel;
}
