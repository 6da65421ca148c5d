/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/byte-queue.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/errno-util.h"

/* Moving the rest to the front pays when at least so much is behind us. */
#define COMPACT_BYTES 65536

void
banger_byte_queue_init(BangerByteQueue *queue)
{
	*queue = (BangerByteQueue){ .bytes = g_byte_array_new() };
}

void
banger_byte_queue_done(BangerByteQueue *queue)
{
	g_clear_pointer(&queue->bytes, g_byte_array_unref);
}

static void
compact(BangerByteQueue *queue)
{
	size_t size = banger_byte_queue_size(queue);

	if (size > 0 && queue->start < COMPACT_BYTES)
		return;
	memmove(queue->bytes->data, queue->bytes->data + queue->start, size);
	g_byte_array_set_size(queue->bytes, (guint)size);
	queue->start = 0;
}

unsigned char *
banger_byte_queue_reserve(BangerByteQueue *queue, size_t size)
{
	guint at;

	if (queue->start > 0)
		compact(queue);
	at = queue->bytes->len;
	g_byte_array_set_size(queue->bytes, at + (guint)size);
	return queue->bytes->data + at;
}

void
banger_byte_queue_trim(BangerByteQueue *queue, size_t unused)
{
	g_byte_array_set_size(queue->bytes, queue->bytes->len - (guint)unused);
}

void
banger_byte_queue_add(BangerByteQueue *queue, const void *data, size_t size)
{
	memcpy(banger_byte_queue_reserve(queue, size), data, size);
}

/* Of a socket whoever else has it can take the flag away that keeps us from waiting: asked for each time. */
static ssize_t
write_some(int fd, const void *data, size_t size)
{
	ssize_t n = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n < 0 && errno == ENOTSOCK ? write(fd, data, size) : n;
}

ssize_t
banger_byte_queue_flush(BangerByteQueue *queue, int fd)
{
	ssize_t total = 0;

	while (banger_byte_queue_size(queue) > 0) {
		ssize_t n = write_some(fd, queue->bytes->data + queue->start,
				       banger_byte_queue_size(queue));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return total;
		if (n < 0)
			return bn_errno();
		queue->start += (size_t)n;
		total += n;
	}
	if (queue->start > 0)
		compact(queue);
	return total;
}
