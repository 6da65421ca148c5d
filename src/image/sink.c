/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/errno-util.h"
#include "shared/base/macro.h"

/* Around the page cache: filling it costs several times what the disk does, an image is larger than
 * what of it is soon read again, and the sync at the end finds nothing left. The flag belongs to the
 * open file, which our caller shares: it is set only while we write. */
static void
set_direct(BnSink *sink, bool on)
{
	int flags;

	if (sink->is_direct == on)
		return;
	flags = fcntl(sink->fd, F_GETFL);
	flags = on ? flags | O_DIRECT : flags & ~O_DIRECT;
	/* A filesystem that cannot says so here, or at the first write. */
	if (fcntl(sink->fd, F_SETFL, flags) == 0)
		sink->is_direct = on;
}

static int
write_buffer(BnSink *sink, const BnSinkBuffer *buffer)
{
	size_t done = 0;

	while (done < buffer->used) {
		ssize_t n = pwrite(sink->fd, buffer->data + done, buffer->used - done,
				   (off_t)(buffer->offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (sink->is_direct && (n < 0 ? errno == EINVAL : n % BN_BLOCK_SIZE != 0)) {
			set_direct(sink, false);
			n = BN_MAX(n, 0);
			done += (size_t)n;
			continue;
		}
		if (n <= 0)
			return n < 0 ? bn_errno() : -EIO;
		done += (size_t)n;
	}
	/* Where the page cache it must be the disk begins now, not at the sync. The last piece is
	 * left to that: blocks right behind it are still to be written, and ext4 complains in the
	 * host's log where such an extent grows under the writing. */
	if (!sink->is_direct && buffer->used == BN_SINK_BUFFER_SIZE)
		(void)sync_file_range(sink->fd, (off_t)buffer->offset, (off_t)buffer->used,
				      SYNC_FILE_RANGE_WRITE);
	return 0;
}

static void *
run_writer(void *userdata)
{
	BnSink *sink = userdata;
	unsigned next = 0;

	(void)pthread_mutex_lock(&sink->lock);
	for (;;) {
		int r;

		while (sink->n_queued == 0 && !sink->ending)
			(void)pthread_cond_wait(&sink->changed, &sink->lock);
		if (sink->n_queued == 0)
			break;
		r = sink->error;
		(void)pthread_mutex_unlock(&sink->lock);
		if (r == 0)
			r = write_buffer(sink, &sink->buffers[next]);
		(void)pthread_mutex_lock(&sink->lock);
		sink->error = r;
		sink->n_queued--;
		next = (next + 1) % BN_SINK_N_BUFFERS;
		(void)pthread_cond_broadcast(&sink->changed);
	}
	(void)pthread_mutex_unlock(&sink->lock);
	return NULL;
}

int
bn_sink_init(BnSink *sink, int fd, uint64_t max_bytes)
{
	int r;

	*sink = (BnSink){ .fd = fd, .max_bytes = max_bytes };
	for (unsigned i = 0; i < BN_SINK_N_BUFFERS; i++) {
		sink->buffers[i].data = aligned_alloc(BN_BLOCK_SIZE, BN_SINK_BUFFER_SIZE);
		if (!sink->buffers[i].data)
			return -ENOMEM;
	}
	sink->buffers[0].offset = BN_SINK_FIRST_BLOCK * BN_BLOCK_SIZE;
	set_direct(sink, true);
	(void)pthread_mutex_init(&sink->lock, NULL);
	(void)pthread_cond_init(&sink->changed, NULL);
	r = pthread_create(&sink->thread, NULL, run_writer, sink);
	if (r != 0)
		return -r;
	sink->has_thread = true;
	return 0;
}

void
bn_sink_done(BnSink *sink)
{
	if (sink->has_thread) {
		(void)pthread_mutex_lock(&sink->lock);
		sink->ending = true;
		(void)pthread_cond_broadcast(&sink->changed);
		(void)pthread_mutex_unlock(&sink->lock);
		(void)pthread_join(sink->thread, NULL);
		(void)pthread_mutex_destroy(&sink->lock);
		(void)pthread_cond_destroy(&sink->changed);
	}
	set_direct(sink, false);
	for (unsigned i = 0; i < BN_SINK_N_BUFFERS; i++)
		free(sink->buffers[i].data);
	*sink = (BnSink){ .fd = -1 };
}

/* Hands the buffer being filled to the thread and waits until at most `max_queued` are left with it. */
static int
queue_buffer(BnSink *sink, unsigned max_queued)
{
	BnSinkBuffer *full = &sink->buffers[sink->filling];
	uint64_t end = full->offset + full->used;
	int r;

	if (end > sink->max_bytes)
		return -EFBIG;
	(void)pthread_mutex_lock(&sink->lock);
	if (full->used > 0) {
		sink->n_queued++;
		sink->filling = (sink->filling + 1) % BN_SINK_N_BUFFERS;
		(void)pthread_cond_broadcast(&sink->changed);
	}
	while (sink->n_queued > max_queued)
		(void)pthread_cond_wait(&sink->changed, &sink->lock);
	r = sink->error;
	(void)pthread_mutex_unlock(&sink->lock);
	sink->buffers[sink->filling].offset = end;
	sink->buffers[sink->filling].used = 0;
	return r;
}

int
bn_sink_append(BnSink *sink, const void *data, size_t size)
{
	const unsigned char *p = data;

	while (size > 0) {
		BnSinkBuffer *buffer = &sink->buffers[sink->filling];
		size_t n = BN_MIN(size, BN_SINK_BUFFER_SIZE - buffer->used);

		if (p) {
			memcpy(buffer->data + buffer->used, p, n);
			p += n;
		} else {
			memset(buffer->data + buffer->used, 0, n);
		}
		buffer->used += n;
		size -= n;
		if (buffer->used == BN_SINK_BUFFER_SIZE) {
			int r = queue_buffer(sink, BN_SINK_N_BUFFERS - 1);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

int
bn_sink_append_zeros(BnSink *sink, size_t size)
{
	return bn_sink_append(sink, NULL, size);
}

int
bn_sink_align(BnSink *sink)
{
	size_t over = sink->buffers[sink->filling].used % BN_BLOCK_SIZE;

	return over ? bn_sink_append_zeros(sink, BN_BLOCK_SIZE - over) : 0;
}

uint64_t
bn_sink_block(const BnSink *sink)
{
	const BnSinkBuffer *buffer = &sink->buffers[sink->filling];

	assert(buffer->used % BN_BLOCK_SIZE == 0);
	return (buffer->offset + buffer->used) / BN_BLOCK_SIZE;
}

int
bn_sink_flush(BnSink *sink)
{
	int r = queue_buffer(sink, 0);

	set_direct(sink, false);
	return r;
}
