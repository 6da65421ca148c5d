/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The archive's bytes, decompressed and hashed by a thread of their own, handed over piece by piece.
 *
 * Only filters that are libraries are known: a filter that would run a program is not. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/image-error.h"

#define BN_STREAM_PIECE_SIZE ((size_t)256 * 1024)
#define BN_STREAM_N_PIECES   4
#define BN_STREAM_TAIL       512

typedef struct BnStreamPiece {
	unsigned char *data;
	size_t size;
	uint64_t input; /* bytes of the input read until it was full */
} BnStreamPiece;

typedef struct BnStream {
	int fd, wake_fd;
	BnStreamPiece pieces[BN_STREAM_N_PIECES];
	unsigned n_full; /* the oldest of them first in `reading` */
	unsigned reading;
	bool holds_piece; /* the consumer looks at pieces[reading] */
	uint64_t bytes;   /* of the input, as it came, that were read for what was handed over */
	unsigned char tail[BN_STREAM_TAIL];
	size_t tail_size;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool has_thread, stopping, ended;
	int result; /* of the thread, once ended */
	BnImageError error;
	uint8_t digest[32];
} BnStream;

/* Begins to read. `fd` stays the caller's and is read to its end. */
int bn_stream_init(BnStream *stream, int fd, BnImageError *reterr);

/* Stops the reading, wherever it is. */
void bn_stream_done(BnStream *stream);

/* The next piece, valid until the next call; its size, 0 at the end, or negative errno. */
ssize_t bn_stream_next(BnStream *stream, const void **ret, BnImageError *reterr);

/* The last 512 bytes handed over are there and are all zero, as at the end of a tar archive. */
bool bn_stream_ends_in_zeros(const BnStream *stream);

/* After the end was seen: SHA-256 of all that was handed over. */
const uint8_t *bn_stream_digest(const BnStream *stream);
