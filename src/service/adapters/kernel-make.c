/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kernel package, or files, become a kernel that VMs boot; fetched by apt first, if asked. */
#include <fcntl.h>

#include "boot/mmdebstrap.h"
#include "service/adapters/child.h"
#include "service/adapters/image-private.h"
#include "service/base/error.h"
#include "service/base/remove-tree.h"
#include "shared/base/cleanup.h"
#include "shared/base/str-util.h"
#include "shared/rules/names.h"

/* What banger-apt-fetch calls what it fetched. */
#define PACKAGE_FILE "package.deb"
#define NEW_FILE     (O_WRONLY | O_CREAT | O_EXCL)

typedef struct Make {
	BangerKernelRequest *request;
	BangerStaging *staging;
	BangerStaging *fetched; /* where apt works; never published */
	BangerImageProgress progress;
	void *progress_data;
	GCancellable *cancellable;
} Make;

static void
make_free(Make *make)
{
	g_clear_object(&make->cancellable);
	banger_kernel_request_free(make->request);
	banger_staging_free(make->staging);
	banger_staging_free(make->fetched);
	g_free(make);
}

bool
banger_kernel_check(BangerImageStore *store, const BangerKernelRequest *request, GError **error)
{
	const char *const packages[] = { request->fetch, NULL };
	const BootMmdebstrap names = { .suite = request->suite,
				       .packages =
					       request->fetch && *request->fetch ? packages : NULL,
				       .mirror = request->mirror };
	const char *wrong;

	if (!request->fetch)
		return true;
	wrong = boot_mmdebstrap_check(&names);
	if (wrong)
		return banger_debian_refuse(g_str_equal(wrong, "packages") ? "fetch" : wrong,
					    error);
	return banger_tool_check("apt-get", "apt", error);
}

static uint64_t
kernel_usage(int dirfd)
{
	return banger_disk_usage(dirfd, "vmlinux") + banger_disk_usage(dirfd, "initramfs");
}

/* "<release> <digest>" */
static BangerKernelRow *
read_done(Make *make, const char *done, GError **error)
{
	g_auto(GStrv) words = g_strsplit(done, " ", -1);
	g_autoptr(BangerKernelRow) row = g_new0(BangerKernelRow, 1);
	char name[BN_OBJECT_NAME_MAX + 1];

	if (g_strv_length(words) < 2 || !bn_names_is_release(words[0]) || strlen(words[1]) != 64) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_FAILED,
			    "the kernel importer's report is not understood: %s", done);
		return NULL;
	}
	if (!make->request->name && !bn_names_make_object(words[0], name)) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_KERNEL_INVALID,
			    "no name can be made of its release '%s': give it one", words[0]);
		return NULL;
	}
	row->id = g_strdup(make->staging->id);
	row->release = g_strdup(words[0]);
	row->name = g_strdup(make->request->name ? make->request->name : name);
	row->digest = g_strconcat("sha256:", words[1], NULL);
	row->disk_usage = kernel_usage(make->staging->fd);
	row->source = g_strdup(make->request->fetch ? "fetched from Debian" : "imported");
	row->created_us = g_get_real_time();
	return g_steal_pointer(&row);
}

static void
on_imported(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	Make *make = g_task_get_task_data(task);
	GError *error = NULL;
	g_autofree char *done = banger_child_run_finish(BANGER_CHILD(source), result, &error);
	g_autoptr(BangerKernelRow) row = done ? read_done(make, done, &error) : NULL;

	if (row && banger_staging_publish(make->staging, &error))
		g_task_return_pointer(task, g_steal_pointer(&row),
				      (GDestroyNotify)banger_kernel_row_free);
	else
		g_task_return_error(task, error);
}

static void
on_progress(const char *words, void *data)
{
	Make *make = data;

	make->progress(words, -1, make->progress_data);
}

/* Nothing is tried behind a failure. */
static int
open_file(int dir, const char *path, int flags, GError **error)
{
	int fd = *error ? -1 : openat(dir, path, flags | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0 && !*error)
		(void)banger_error_set_errno(error, "%s", path);
	return fd;
}

static void
import(GTask *task, Make *make)
{
	const BangerKernelRequest *request = make->request;
	GError *error = NULL;
	_cleanup_close_ int kernel = open_file(make->staging->fd, "vmlinux", NEW_FILE, &error);
	_cleanup_close_ int initramfs = open_file(make->staging->fd, "initramfs", NEW_FILE, &error);
	g_autoptr(BangerChild) child = NULL;

	if (kernel < 0 || initramfs < 0) {
		g_task_return_error(task, error);
		return;
	}
	child = banger_child_new(BANGER_LIBEXECDIR "/banger-kernel-import");
	if (request->package >= 0)
		banger_child_add_fd(child, "--package", request->package);
	if (request->vmlinuz >= 0)
		banger_child_add_fd(child, "--vmlinuz", request->vmlinuz);
	if (request->modules >= 0)
		banger_child_add_fd(child, "--modules", request->modules);
	banger_child_add_fd(child, "--kernel", kernel);
	banger_child_add_fd(child, "--initramfs", initramfs);
	make->progress("importing the kernel", -1, make->progress_data);
	banger_child_run_async(child, /* reports= */ true, BANGER_ERROR_KERNEL_INVALID,
			       /* progress= */ NULL, /* progress_data= */ NULL, make->cancellable,
			       on_imported, g_object_ref(task));
}

static void
on_fetched(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	Make *make = g_task_get_task_data(task);
	GError *error = NULL;
	g_autofree char *done = banger_child_run_finish(BANGER_CHILD(source), result, &error);

	if (done)
		make->request->package =
			open_file(make->fetched->fd, PACKAGE_FILE, O_RDONLY, &error);
	if (error)
		g_task_return_error(task, error);
	else
		import(task, make);
}

static void
fetch(GTask *task, Make *make)
{
	const BangerKernelRequest *request = make->request;
	g_autoptr(BangerChild) child = banger_child_new(BANGER_LIBEXECDIR "/banger-apt-fetch");

	banger_child_add(child, "--suite");
	banger_child_add(child, request->suite);
	if (*request->fetch) {
		banger_child_add(child, "--package");
		banger_child_add(child, request->fetch);
	}
	if (request->mirror) {
		banger_child_add(child, "--mirror");
		banger_child_add(child, request->mirror);
	}
	banger_child_add_fd(child, "--output", make->fetched->fd);
	banger_child_run_async(child, /* reports= */ true, BANGER_ERROR_FAILED, on_progress, make,
			       make->cancellable, on_fetched, g_object_ref(task));
}

void
banger_kernel_make(BangerImageStore *store, BangerKernelRequest *request,
		   BangerImageProgress progress, void *progress_data, GCancellable *cancellable,
		   GAsyncReadyCallback callback, void *data)
{
	BangerImageDirectory *self = BANGER_IMAGE_DIRECTORY(store);
	g_autoptr(GTask) task = g_task_new(store, /* cancellable= */ NULL, callback, data);
	Make *make = g_new0(Make, 1);
	GError *error = NULL;

	make->request = request;
	make->progress = progress;
	make->progress_data = progress_data;
	make->cancellable = cancellable ? g_object_ref(cancellable) : NULL;
	g_task_set_task_data(task, make, (GDestroyNotify)make_free);
	make->staging = banger_staging_new(self, "kernel", &error);
	if (make->staging && request->fetch)
		make->fetched = banger_staging_new(self, "kernel", &error);
	if (error)
		g_task_return_error(task, error);
	else if (request->fetch)
		fetch(task, make);
	else
		import(task, make);
}

BangerKernelRow *
banger_kernel_make_finish(BangerImageStore *store, GAsyncResult *result, GError **error)
{
	return g_task_propagate_pointer(G_TASK(result), error);
}
