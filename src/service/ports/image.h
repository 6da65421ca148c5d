/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What VMs boot from, as manager and engine see it: base images and kernels, made, kept and removed. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct BangerImageRow {
	char *id;
	char *name;
	char *digest; /* "sha256:…" of what it was made from */
	uint64_t size;
	uint64_t disk_usage;
	char *init; /* path of its init program; empty: none */
	char *source;
	int64_t created_us; /* since 1970 UTC */
} BangerImageRow;

void banger_image_row_free(BangerImageRow *row);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BangerImageRow, banger_image_row_free)

typedef struct BangerKernelRow {
	char *id;
	char *name;
	char *release;
	char *digest;
	uint64_t disk_usage;
	char *source;
	int64_t created_us;
} BangerKernelRow;

void banger_kernel_row_free(BangerKernelRow *row);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BangerKernelRow, banger_kernel_row_free)

/* What an image is made from. Strings are owned; descriptors too, -1 where absent. */
typedef struct BangerImageRequest {
	char *name;
	char *source;
	int archive;     /* a tar archive, or -1: built from Debian packages */
	char *suite;     /* "bookworm", … */
	char **packages; /* NULL: those of the default image */
	char *mirror;    /* NULL: Debian's own */
} BangerImageRequest;

BangerImageRequest *banger_image_request_new(void);
void banger_image_request_free(BangerImageRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BangerImageRequest, banger_image_request_free)

/* What a kernel is made from: `package`, or `vmlinuz` with or without `modules`, or `fetch`. */
typedef struct BangerKernelRequest {
	char *name; /* NULL: made of its release */
	int package;
	int vmlinuz;
	int modules;
	char *fetch; /* name of a Debian package */
	char *suite;
	char *mirror;
} BangerKernelRequest;

BangerKernelRequest *banger_kernel_request_new(void);
void banger_kernel_request_free(BangerKernelRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BangerKernelRequest, banger_kernel_request_free)

/* `progress`: 0 to 1, or negative where unknown. */
typedef void (*BangerImageProgress)(const char *stage, double progress, void *data);

#define BANGER_TYPE_IMAGE_STORE (banger_image_store_get_type())
G_DECLARE_INTERFACE(BangerImageStore, banger_image_store, BANGER, IMAGE_STORE, GObject)

struct _BangerImageStoreInterface {
	GTypeInterface parent;

	/* Whether the programs that this request needs are there: BANGER_ERROR_TOOL_MISSING names the package. */
	bool (*check_image)(BangerImageStore *self, const BangerImageRequest *request,
			    GError **error);
	bool (*check_kernel)(BangerImageStore *self, const BangerKernelRequest *request,
			     GError **error);

	/* Makes and publishes; the result's name is the request's. Nothing is left where it fails or is cancelled. The
	 * request is taken over. */
	void (*make_image)(BangerImageStore *self, BangerImageRequest *request,
			   BangerImageProgress progress, void *progress_data,
			   GCancellable *cancellable, GAsyncReadyCallback callback, void *data);
	BangerImageRow *(*make_image_finish)(BangerImageStore *self, GAsyncResult *result,
					     GError **error);
	void (*make_kernel)(BangerImageStore *self, BangerKernelRequest *request,
			    BangerImageProgress progress, void *progress_data,
			    GCancellable *cancellable, GAsyncReadyCallback callback, void *data);
	BangerKernelRow *(*make_kernel_finish)(BangerImageStore *self, GAsyncResult *result,
					       GError **error);

	bool (*remove_image)(BangerImageStore *self, const char *id, GError **error);
	bool (*remove_kernel)(BangerImageStore *self, const char *id, GError **error);

	/* At the start, before anything is made: removes what was begun by another before us, and what it had made but
	 * not recorded; nothing of a kind of which nothing is recorded, for that may be a new state beside what one
	 * has that was moved away. The tables' keys are the ids. */
	void (*sweep)(BangerImageStore *self, GHashTable *images, GHashTable *kernels);

	/* The image's filesystem, opened read-only: a descriptor of the caller's, or -1. */
	int (*open_image)(BangerImageStore *self, const char *id, GError **error);

	/* Kernel and initramfs as sealed memory: descriptors of the caller's. VMs share the memory, and nothing that
	 * one of them could change. */
	bool (*open_kernel)(BangerImageStore *self, const char *id, int *ret_kernel,
			    int *ret_initramfs, GError **error);
};
