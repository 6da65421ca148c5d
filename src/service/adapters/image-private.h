/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What image-store.c, image-make.c and kernel-make.c share: nobody else includes it. */
#pragma once

#include <sys/stat.h>

#include "service/adapters/image-store.h"

struct _BangerImageDirectory {
	GObject parent;

	char *directory;
	char *agent; /* path of the program that guests get as their /init */

	/* The kernel that was asked for last, in sealed memory, with the agent that was there then. */
	char *kernel;
	struct stat agent_stat;
	int kernel_fd;
	int initramfs_fd;
};

/* A directory being filled; removed with the struct unless it was published. */
typedef struct BangerStaging {
	char id[33];
	char *path;  /* while it is being filled */
	char *final; /* where it will be */
	int fd;
} BangerStaging;

BangerStaging *banger_staging_new(BangerImageDirectory *self, const char *kind, GError **error);
void banger_staging_free(BangerStaging *staging);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BangerStaging, banger_staging_free)
/* Syncs the directory and gives it its name; what is published and never recorded goes at the next start. */
bool banger_staging_publish(BangerStaging *staging, GError **error);

/* What a file takes on the disk, 0 where there is none. */
uint64_t banger_disk_usage(int dirfd, const char *name);

void banger_image_make(BangerImageStore *store, BangerImageRequest *request,
		       BangerImageProgress progress, void *progress_data, GCancellable *cancellable,
		       GAsyncReadyCallback callback, void *data);
BangerImageRow *banger_image_make_finish(BangerImageStore *store, GAsyncResult *result,
					 GError **error);
bool banger_image_check(BangerImageStore *store, const BangerImageRequest *request, GError **error);
void banger_kernel_make(BangerImageStore *store, BangerKernelRequest *request,
			BangerImageProgress progress, void *progress_data,
			GCancellable *cancellable, GAsyncReadyCallback callback, void *data);
BangerKernelRow *banger_kernel_make_finish(BangerImageStore *store, GAsyncResult *result,
					   GError **error);
bool banger_kernel_check(BangerImageStore *store, const BangerKernelRequest *request,
			 GError **error);

/* Says what form "suite", "mirror", "packages" or "fetch" must have. Returns false. */
bool banger_debian_refuse(const char *option, GError **error);

/* BANGER_ERROR_TOOL_MISSING naming the Debian package, where the program is not in /usr/bin. */
bool banger_tool_check(const char *program, const char *package, GError **error);
