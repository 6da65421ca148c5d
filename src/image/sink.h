/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image file while it grows: blocks are given out from its start to its end and written in that
 * order through large buffers, by a thread of its own.
 *
 * The filesystem's fixed parts come first and last: room for the superblock and the group descriptors
 * is left at the start, and bitmaps and inode tables follow the data when their number is known. So
 * the archive need not be known to choose the size, and nothing is written twice. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BN_BLOCK_SIZE 4096u

/* Superblock and descriptors of 2 TiB; what is not needed of it stays free space and a hole. */
#define BN_SINK_FIRST_BLOCK UINT64_C(256)

#define BN_SINK_BUFFER_SIZE ((size_t)2 * 1024 * 1024)
#define BN_SINK_N_BUFFERS   2

typedef struct BnSinkBuffer {
	unsigned char *data;
	uint64_t offset; /* in the file */
	size_t used;
} BnSinkBuffer;

typedef struct BnSink {
	int fd;
	uint64_t max_bytes;
	BnSinkBuffer buffers[BN_SINK_N_BUFFERS];
	unsigned filling; /* the caller's buffer; the others are written or empty */
	unsigned
		n_queued; /* full ones, waiting for or with the thread; those after `filling`, cyclic */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool has_thread, ending, is_direct;
	int error; /* the first failure of the thread, negative errno */
} BnSink;

/* `fd` stays the caller's. 0 or negative errno. */
int bn_sink_init(BnSink *sink, int fd, uint64_t max_bytes);

/* Ends the thread; what was not flushed is lost. */
void bn_sink_done(BnSink *sink);

/* Adds bytes after those before. -EFBIG: over max_bytes; else the failure of an earlier write. */
int bn_sink_append(BnSink *sink, const void *data, size_t size);
int bn_sink_append_zeros(BnSink *sink, size_t size);

/* Zeros up to the next whole block. */
int bn_sink_align(BnSink *sink);

/* The block that the next byte goes into; the position must be aligned. */
uint64_t bn_sink_block(const BnSink *sink);

/* Everything handed over is in the file (not of necessity on the disk) when this returns 0. */
int bn_sink_flush(BnSink *sink);
