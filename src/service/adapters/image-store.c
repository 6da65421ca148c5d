/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/image-store.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/adapters/image-private.h"
#include "service/base/error.h"
#include "service/base/random-id.h"
#include "service/base/remove-tree.h"
#include "shared/base/cleanup.h"
#include "shared/base/fd-util.h"

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
banger_image_directory_new(const char *directory, GError **error)
{
	g_autoptr(BangerImageDirectory) self = g_object_new(BANGER_TYPE_IMAGE_DIRECTORY, NULL);
	static const char *const kinds[] = { "image", "kernel" };

	self->directory = g_strdup(directory);
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *path = g_build_filename(directory, kinds[i], NULL);

		if (g_mkdir_with_parents(path, 0700) < 0) {
			(void)banger_error_set_errno(error, "%s", path);
			return NULL;
		}
	}
	return BANGER_IMAGE_STORE(g_steal_pointer(&self));
}

void
banger_image_directory_clean(BangerImageDirectory *self)
{
	static const char *const kinds[] = { "image", "kernel" };

	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *path = g_build_filename(self->directory, kinds[i], NULL);
		g_autoptr(GDir) dir = g_dir_open(path, 0, /* error= */ NULL);
		const char *name;

		while (dir && (name = g_dir_read_name(dir))) {
			g_autofree char *old = g_build_filename(path, name, NULL);

			if (g_str_has_prefix(name, ".new-"))
				(void)banger_remove_tree(old, /* error= */ NULL);
		}
	}
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

bool
banger_staging_publish(BangerStaging *staging, GError **error)
{
	g_autofree char *parent = g_path_get_dirname(staging->final);
	_cleanup_close_ int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || fsync(staging->fd) < 0 || g_rename(staging->path, staging->final) < 0 ||
	    fsync(dir) < 0)
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
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		(void)banger_error_set_errno(error, "%s", path);
	return fd;
}

static int
open_image(BangerImageStore *store, const char *id, GError **error)
{
	return open_file(BANGER_IMAGE_DIRECTORY(store), "image", id, "root.ext4", error);
}

/* A sealed copy in memory: what the VMM reads is what was there when the VM was started. */
static int
load_file(BangerImageDirectory *self, const char *id, const char *name, GError **error)
{
	_cleanup_close_ int fd = open_file(self, "kernel", id, name, error);
	int copy;

	if (fd < 0)
		return -1;
	copy = bn_fd_memfd_copy(name, fd);
	if (copy < 0) {
		errno = -copy;
		(void)banger_error_set_errno(error, "%s", name);
		return -1;
	}
	return copy;
}

static bool
get_kernel(BangerImageStore *store, const char *id, int *ret_kernel, int *ret_initramfs,
	   GError **error)
{
	BangerImageDirectory *self = BANGER_IMAGE_DIRECTORY(store);

	if (g_strcmp0(self->kernel, id) != 0) {
		forget_kernel(self);
		self->kernel_fd = load_file(self, id, "vmlinux", error);
		if (self->kernel_fd < 0)
			return false;
		self->initramfs_fd = load_file(self, id, "initramfs", error);
		if (self->initramfs_fd < 0) {
			forget_kernel(self);
			return false;
		}
		self->kernel = g_strdup(id);
	}
	*ret_kernel = self->kernel_fd;
	*ret_initramfs = self->initramfs_fd;
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
	iface->open_image = open_image;
	iface->get_kernel = get_kernel;
}
