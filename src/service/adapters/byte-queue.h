/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes that wait to be written to a descriptor. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct BangerByteQueue {
	GByteArray *bytes;
	size_t start; /* what lies before has been written */
} BangerByteQueue;

void banger_byte_queue_init(BangerByteQueue *queue);
void banger_byte_queue_done(BangerByteQueue *queue);

static inline size_t
banger_byte_queue_size(const BangerByteQueue *queue)
{
	return queue->bytes->len - queue->start;
}

/* Room for `size` more bytes at the end; what is not used is given back by banger_byte_queue_trim(). */
unsigned char *banger_byte_queue_reserve(BangerByteQueue *queue, size_t size);
void banger_byte_queue_trim(BangerByteQueue *queue, size_t unused);
void banger_byte_queue_add(BangerByteQueue *queue, const void *data, size_t size);

/* Writes what a socket takes, or a non-blocking descriptor of another kind. Returns the number of bytes, or negative
 * errno; -EAGAIN is 0. */
ssize_t banger_byte_queue_flush(BangerByteQueue *queue, int fd);
