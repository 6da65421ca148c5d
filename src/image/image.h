/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes ext4 image files as an ordinary user: from a tar archive, or blank.
 *
 * Nothing is mounted, run or unpacked: libarchive reads, libext2fs writes, and every name in the
 * archive means a place in the image and never one on the host. The archive is hostile. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image-error.h"
#include "shared/rules/limits.h"

#define BN_IMAGE_DIGEST_SIZE 32
#define BN_IMAGE_INIT_MAX    64

/* Where the limits of a request are left 0. */
#define BN_IMAGE_ENTRIES_MAX UINT64_C(2000000)
#define BN_IMAGE_BYTES_MAX   (UINT64_C(256) << 30)

typedef struct BnImageRequest {
	int input;  /* a tar archive, plain or compressed; a file or a pipe, read to its end */
	int output; /* an empty regular file, open for reading and writing */
	uint64_t max_entries, max_bytes; /* of the archive; of the image file */
	/* Called at most once per piece of input read, from the calling thread; a negative result
	 * ends the work with it. May be NULL. */
	int (*progress)(void *userdata, uint64_t bytes, uint64_t entries);
	void *userdata;
} BnImageRequest;

typedef struct BnImageResult {
	/* SHA-256 of the tar stream after decompression (what OCI calls the diff id): known when the
	 * last byte was read, without reading the image again, and equal for one archive however it
	 * was compressed. The image is a function of it: UUID, hash seed and times come from it, so
	 * equal digests made by one version of this writer are equal files. */
	uint8_t digest[BN_IMAGE_DIGEST_SIZE];
	uint64_t bytes, allocated_bytes; /* length of the image file, and what it takes on disk */
	uint64_t entries;                /* read from the archive */
	bool has_init;
	char init[BN_IMAGE_INIT_MAX]; /* the name it was found under, symbolic links followed */
} BnImageResult;

/* Writes and syncs the image. On failure the output is empty again, unless it was refused itself.
 * Blocks; makes two threads of its own and ends them. 0, or negative errno with *reterr filled. */
int bn_image_write(const BnImageRequest *request, BnImageResult *ret, BnImageError *reterr);

typedef struct BnBlankRequest {
	int output;
	uint64_t size_bytes; /* of the filesystem; rounded down to whole blocks */
	const char *label;   /* at most 16 bytes, or NULL */
	bool overlay;        /* with what overlayfs writes to: "upper" and "work" */
} BnBlankRequest;

#define BN_BLANK_SIZE_MIN (UINT64_C(16) << 20)
#define BN_BLANK_SIZE_MAX BN_DISK_MAX

/* Writes an empty ext4 with a journal, for a guest to write to: a sparse file, of which only what a
 * mount has to read is allocated. Not synced: a disk that never came to be is made again. */
int bn_blank_write(const BnBlankRequest *request, BnImageResult *ret, BnImageError *reterr);
