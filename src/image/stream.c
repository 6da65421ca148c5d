/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/stream.h"

#include <archive.h>
#include <assert.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"

#define READ_SIZE ((size_t)256 * 1024)

/* What the thread alone touches. */
typedef struct Reader {
	BnStream *stream;
	struct archive *archive;
	unsigned char *buffer;
	struct sha256_ctx hash;
	unsigned filling;
	size_t used;
	uint64_t input;
} Reader;

static void
archive_freep(struct archive **a)
{
	if (*a)
		(void)archive_read_free(*a);
	*a = NULL;
}

/* A pipe whose writer keeps it open and silent must not hold us when the work is over: the wait is
 * for input or for the word to stop. */
static la_ssize_t
read_input(struct archive *a, void *userdata, const void **ret)
{
	Reader *reader = userdata;
	struct pollfd fds[] = { { .fd = reader->stream->fd, .events = POLLIN },
				{ .fd = reader->stream->wake_fd, .events = POLLIN } };
	ssize_t n;

	do {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents) {
			archive_set_error(a, ECANCELED, "stopped");
			return -1;
		}
		n = read(reader->stream->fd, reader->buffer, READ_SIZE);
		if (n >= 0) {
			*ret = reader->buffer;
			reader->input += (uint64_t)n;
			return n;
		}
	} while (errno == EINTR || errno == EAGAIN);
	archive_set_error(a, errno, "reading the input failed: %s", strerror(errno));
	return -1;
}

/* Makes the piece being filled the consumer's; waits for an empty one. -ECANCELED when stopped. */
static int
hand_over(Reader *reader)
{
	BnStream *stream = reader->stream;
	BnStreamPiece *piece = &stream->pieces[reader->filling];
	int r = 0;

	if (reader->used == 0)
		return 0;
	sha256_update(&reader->hash, reader->used, piece->data);
	piece->size = reader->used;
	piece->input = reader->input;
	reader->used = 0;
	reader->filling = (reader->filling + 1) % BN_STREAM_N_PIECES;
	(void)pthread_mutex_lock(&stream->lock);
	stream->n_full++;
	(void)pthread_cond_broadcast(&stream->changed);
	while (stream->n_full == BN_STREAM_N_PIECES && !stream->stopping)
		(void)pthread_cond_wait(&stream->changed, &stream->lock);
	if (stream->stopping)
		r = -ECANCELED;
	(void)pthread_mutex_unlock(&stream->lock);
	return r;
}

static int
pump(Reader *reader)
{
	BnStreamPiece *pieces = reader->stream->pieces;

	for (;;) {
		const void *block;
		size_t size, done = 0;
		la_int64_t offset;
		int r = archive_read_data_block(reader->archive, &block, &size, &offset);

		if (r == ARCHIVE_EOF)
			return hand_over(reader);
		if (r < ARCHIVE_WARN)
			return -EIO;
		while (done < size) {
			size_t n = BN_MIN(size - done, BN_STREAM_PIECE_SIZE - reader->used);

			memcpy(pieces[reader->filling].data + reader->used,
			       (const char *)block + done, n);
			reader->used += n;
			done += n;
			if (reader->used == BN_STREAM_PIECE_SIZE) {
				r = hand_over(reader);
				if (r < 0)
					return r;
			}
		}
	}
}

/* libarchive's "raw" format is the input with its filters undone, as one entry. */
static int
open_filters(Reader *reader)
{
	static int (*const filters[])(struct archive *) = {
		archive_read_support_filter_bzip2, archive_read_support_filter_gzip,
		archive_read_support_filter_lz4,   archive_read_support_filter_xz,
		archive_read_support_filter_zstd,
	};
	struct archive_entry *entry;

	/* One that this libarchive was built without would run a program: it says so by a warning,
	 * and running one is impossible here. */
	for (size_t i = 0; i < BN_ELEMENTSOF(filters); i++)
		if (filters[i](reader->archive) < ARCHIVE_WARN)
			return -ENOMEM;
	if (archive_read_support_format_raw(reader->archive) != ARCHIVE_OK)
		return -ENOMEM;
	if (archive_read_open(reader->archive, reader, NULL, read_input, NULL) != ARCHIVE_OK ||
	    archive_read_next_header(reader->archive, &entry) < ARCHIVE_WARN)
		return -EIO;
	return 0;
}

static int
read_stream(Reader *reader)
{
	BnStream *stream = reader->stream;
	const char *text;
	int r = open_filters(reader), code;

	if (r >= 0)
		r = pump(reader);
	if (r >= 0) {
		sha256_digest(&reader->hash, sizeof(stream->digest), stream->digest);
		return 0;
	}
	if (r == -ENOMEM)
		return bn_image_fail_memory(&stream->error);
	text = archive_error_string(reader->archive);
	code = archive_errno(reader->archive);
	/* Nothing at all is, to libarchive, a stream without a format. */
	if (archive_filter_bytes(reader->archive, -1) == 0)
		return bn_image_fail(&stream->error, -EBADMSG, BN_FAULT_EMPTY,
				     "the input is empty");
	if (code == ENOMEM)
		return bn_image_fail_memory(&stream->error);
	if (code > 0 && code < 4096 && code != EINVAL && code != EILSEQ)
		return bn_image_fail(&stream->error, -code, BN_FAULT_READ, "%s",
				     text ? text : strerror(code));
	if (text && strcasestr(text, "truncated"))
		return bn_image_fail(&stream->error, -EBADMSG, BN_FAULT_TRUNCATED,
				     "the compressed input ends too early: %s", text);
	return bn_image_fail(&stream->error, -EBADMSG, BN_FAULT_CORRUPT,
			     "the input cannot be decompressed: %s", text ? text : "damaged");
}

static void *
run_reader(void *userdata)
{
	BnStream *stream = userdata;
	_cleanup_free_ unsigned char *buffer = malloc(READ_SIZE);
	_cleanup_(archive_freep) struct archive *archive = archive_read_new();
	Reader reader = { .stream = stream, .archive = archive, .buffer = buffer };
	int r;

	sha256_init(&reader.hash);
	r = buffer && archive ? read_stream(&reader) : bn_image_fail_memory(&stream->error);
	(void)pthread_mutex_lock(&stream->lock);
	stream->result = r;
	stream->ended = true;
	(void)pthread_cond_broadcast(&stream->changed);
	(void)pthread_mutex_unlock(&stream->lock);
	return NULL;
}

int
bn_stream_init(BnStream *stream, int fd, BnImageError *reterr)
{
	int r;

	*stream = (BnStream){ .fd = fd, .wake_fd = eventfd(0, EFD_CLOEXEC) };
	if (stream->wake_fd < 0)
		return bn_image_fail(reterr, bn_errno(), BN_FAULT_INTERNAL, "eventfd: %s",
				     strerror(errno));
	for (unsigned i = 0; i < BN_STREAM_N_PIECES; i++) {
		stream->pieces[i].data = malloc(BN_STREAM_PIECE_SIZE);
		if (!stream->pieces[i].data)
			return bn_image_fail_memory(reterr);
	}
	(void)pthread_mutex_init(&stream->lock, NULL);
	(void)pthread_cond_init(&stream->changed, NULL);
	r = pthread_create(&stream->thread, NULL, run_reader, stream);
	if (r != 0)
		return bn_image_fail(reterr, -r, BN_FAULT_INTERNAL, "no thread: %s", strerror(r));
	stream->has_thread = true;
	return 0;
}

void
bn_stream_done(BnStream *stream)
{
	if (stream->has_thread) {
		(void)pthread_mutex_lock(&stream->lock);
		stream->stopping = true;
		(void)pthread_cond_broadcast(&stream->changed);
		(void)pthread_mutex_unlock(&stream->lock);
		(void)eventfd_write(stream->wake_fd, 1);
		(void)pthread_join(stream->thread, NULL);
		(void)pthread_mutex_destroy(&stream->lock);
		(void)pthread_cond_destroy(&stream->changed);
	}
	for (unsigned i = 0; i < BN_STREAM_N_PIECES; i++)
		free(stream->pieces[i].data);
	bn_closep(&stream->wake_fd);
	*stream = (BnStream){ .fd = -1, .wake_fd = -1 };
}

static void
keep_tail(BnStream *stream, const BnStreamPiece *piece)
{
	size_t n = BN_MIN(piece->size, sizeof(stream->tail)), old = sizeof(stream->tail) - n;

	/* Pieces are whole but for the last: only there is a part of the one before still wanted. */
	if (stream->tail_size > 0 && old > 0)
		memmove(stream->tail, stream->tail + n, old);
	memcpy(stream->tail + old, piece->data + piece->size - n, n);
	stream->tail_size = BN_MIN(stream->tail_size + n, sizeof(stream->tail));
}

ssize_t
bn_stream_next(BnStream *stream, const void **ret, BnImageError *reterr)
{
	BnStreamPiece *piece;
	bool ended;

	(void)pthread_mutex_lock(&stream->lock);
	if (stream->holds_piece) {
		stream->holds_piece = false;
		stream->reading = (stream->reading + 1) % BN_STREAM_N_PIECES;
		stream->n_full--;
		(void)pthread_cond_broadcast(&stream->changed);
	}
	while (stream->n_full == 0 && !stream->ended)
		(void)pthread_cond_wait(&stream->changed, &stream->lock);
	ended = stream->n_full == 0;
	(void)pthread_mutex_unlock(&stream->lock);
	if (ended) {
		if (stream->result < 0)
			*reterr = stream->error;
		return stream->result;
	}
	stream->holds_piece = true;
	piece = &stream->pieces[stream->reading];
	keep_tail(stream, piece);
	stream->bytes = piece->input;
	*ret = piece->data;
	return (ssize_t)piece->size;
}

bool
bn_stream_ends_in_zeros(const BnStream *stream)
{
	if (stream->tail_size < sizeof(stream->tail))
		return false;
	for (size_t i = 0; i < sizeof(stream->tail); i++)
		if (stream->tail[i] != 0)
			return false;
	return true;
}

const uint8_t *
bn_stream_digest(const BnStream *stream)
{
	assert(stream->ended && stream->result == 0);
	return stream->digest;
}
