/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/storage-overlay.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/adapters/child.h"
#include "service/adapters/disk-file.h"
#include "service/base/error.h"
#include "service/base/remove-tree.h"
#include "shared/base/cleanup.h"

#define DISK_FILE "disk.ext4"

struct _BangerStorageOverlay {
	GObject parent;

	char *directory;
	BangerImageStore *images;
};

static void banger_storage_overlay_iface_init(BangerStorageInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE(BangerStorageOverlay, banger_storage_overlay, G_TYPE_OBJECT,
			      G_IMPLEMENT_INTERFACE(BANGER_TYPE_STORAGE,
						    banger_storage_overlay_iface_init))

static void
banger_storage_overlay_finalize(GObject *object)
{
	BangerStorageOverlay *self = BANGER_STORAGE_OVERLAY(object);

	g_free(self->directory);
	g_clear_object(&self->images);
	G_OBJECT_CLASS(banger_storage_overlay_parent_class)->finalize(object);
}

static void
banger_storage_overlay_class_init(BangerStorageOverlayClass *klass)
{
	G_OBJECT_CLASS(klass)->finalize = banger_storage_overlay_finalize;
}

static void
banger_storage_overlay_init(BangerStorageOverlay *self)
{
}

BangerStorage *
banger_storage_overlay_new(const char *directory, BangerImageStore *images)
{
	BangerStorageOverlay *self = g_object_new(BANGER_TYPE_STORAGE_OVERLAY, NULL);

	self->directory = g_strdup(directory);
	self->images = g_object_ref(images);
	return BANGER_STORAGE(self);
}

static char *
vm_directory(BangerStorageOverlay *self, const char *vm)
{
	return g_build_filename(self->directory, vm, NULL);
}

static bool
destroy(BangerStorage *port, const char *vm, GError **error)
{
	g_autofree char *path = vm_directory(BANGER_STORAGE_OVERLAY(port), vm);

	return banger_remove_tree(path, error);
}

/* The new file in the VM's new directory, both private from their first moment; -1 on failure. */
static int
make_file(const char *directory, GError **error)
{
	g_autofree char *path = g_build_filename(directory, DISK_FILE, NULL);
	int fd;

	if (g_mkdir_with_parents(directory, 0700) < 0) {
		(void)banger_error_set_errno(error, "cannot make %s", directory);
		return -1;
	}
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		(void)banger_error_set_errno(error, "cannot make %s", path);
	return fd;
}

static void
on_written(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerStorage *port = g_task_get_source_object(task);
	GError *error = NULL;
	g_autofree char *done = banger_child_run_finish(BANGER_CHILD(source), result, &error);

	if (done) {
		g_task_return_boolean(task, true);
		return;
	}
	(void)destroy(port, g_task_get_task_data(task), /* error= */ NULL);
	g_task_return_error(task, error);
}

static void
create(BangerStorage *port, const BangerVmSpec *spec, GCancellable *cancellable,
       GAsyncReadyCallback callback, void *data)
{
	BangerStorageOverlay *self = BANGER_STORAGE_OVERLAY(port);
	g_autoptr(GTask) task = g_task_new(port, /* cancellable= */ NULL, callback, data);
	g_autofree char *directory = vm_directory(self, spec->id);
	g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, spec->disk_bytes);
	g_autoptr(BangerChild) child = NULL;
	GError *error = NULL;
	_cleanup_close_ int fd = make_file(directory, &error);

	g_task_set_task_data(task, g_strdup(spec->id), g_free);
	if (fd < 0) {
		g_task_return_error(task, error);
		return;
	}
	child = banger_child_new(BANGER_LIBEXECDIR "/banger-image-writer");
	banger_child_add(child, "--blank");
	banger_child_add(child, "--overlay");
	banger_child_add_fd(child, "--output", fd);
	banger_child_add(child, "--size");
	banger_child_add(child, size);
	banger_child_run_async(
		child, /* reports= */ true, BANGER_ERROR_FAILED, /* progress= */ NULL,
		/* progress_data= */ NULL, cancellable, on_written, g_steal_pointer(&task));
}

static bool
create_finish(BangerStorage *port, GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}

static bool
open_disks(BangerStorage *port, const BangerVmSpec *spec, BangerDisks *ret, GError **error)
{
	BangerStorageOverlay *self = BANGER_STORAGE_OVERLAY(port);
	g_autofree char *directory = vm_directory(self, spec->id);
	g_autofree char *path = g_build_filename(directory, DISK_FILE, NULL);
	_cleanup_close_ int base = -1;
	int disk;

	base = BANGER_IMAGE_STORE_GET_IFACE(self->images)
		       ->open_image(self->images, spec->image, error);
	if (base < 0)
		return false;
	disk = banger_disk_file_open(path, O_RDWR, /* may_be_empty= */ false, error);
	if (disk < 0) {
		g_prefix_error(error, "the VM's disk: ");
		return false;
	}
	*ret = (BangerDisks){ .fds = { BN_TAKE_FD(base), disk },
			      .read_only = { true, false },
			      .n = 2 };
	return true;
}

static void
banger_storage_overlay_iface_init(BangerStorageInterface *iface)
{
	iface->create = create;
	iface->create_finish = create_finish;
	iface->open = open_disks;
	iface->destroy = destroy;
}
