/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/file.h"

#include <archive.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/* The run of blocks being written; a hole ends it. */
typedef struct Run {
	BnNode *node;
	BnSink *sink;
	int64_t start;  /* in the file, a multiple of the block size */
	int64_t end;    /* in the file, where the next byte goes */
	uint64_t block; /* on disk, of `start` */
	bool is_open;
} Run;

int
bn_file_fail_sink(BnImageError *reterr, int error)
{
	if (error == -EFBIG)
		return bn_image_fail(reterr, error, BN_FAULT_TOO_LARGE,
				     "the image would be larger than is allowed");
	return bn_image_fail_write(reterr, error, "writing the image failed");
}

static int
close_run(Run *run)
{
	int r;

	if (!run->is_open)
		return 0;
	run->is_open = false;
	r = bn_sink_align(run->sink);
	if (r < 0)
		return r;
	return bn_node_add_blocks(run->node, (uint32_t)(run->start / BN_BLOCK_SIZE), run->block,
				  bn_sink_block(run->sink) - run->block);
}

/* Moves on to `offset`, which is not behind: by zeros within a block, by a hole beyond it. */
static int
seek_run(Run *run, int64_t offset)
{
	int64_t block_start = offset - offset % BN_BLOCK_SIZE;
	int r;

	if (run->is_open && offset == run->end)
		return 0;
	if (run->is_open && block_start <= run->end) {
		r = bn_sink_append_zeros(run->sink, (size_t)(offset - run->end));
		run->end = offset;
		return r;
	}
	r = close_run(run);
	if (r < 0)
		return r;
	run->is_open = true;
	run->start = block_start;
	run->end = offset;
	run->block = bn_sink_block(run->sink);
	return bn_sink_append_zeros(run->sink, (size_t)(offset - block_start));
}

static int
write_piece(Run *run, const void *data, size_t size, int64_t offset)
{
	int r = seek_run(run, offset);

	if (r >= 0)
		r = bn_sink_append(run->sink, data, size);
	run->end += (int64_t)size;
	return r;
}

static int
fail_read(struct archive *archive, const char *entry, BnImageError *reterr)
{
	const char *text = archive_error_string(archive);

	if (archive_errno(archive) == ENOMEM)
		return bn_image_fail_memory(reterr);
	if (text && strcasestr(text, "truncated"))
		return bn_image_fail_entry(reterr, -EBADMSG, BN_FAULT_TRUNCATED, entry,
					   "the archive ends within its data");
	return bn_image_fail_entry(reterr, -EBADMSG, BN_FAULT_CORRUPT, entry, "%s",
				   text ? text : "damaged data");
}

int
bn_file_write(BnNode *node, BnSink *sink, struct archive *archive, int64_t size, const char *entry,
	      BnImageError *reterr)
{
	Run run = { .node = node, .sink = sink };
	int r;

	if (size < 0 || size > BN_FILE_SIZE_MAX)
		return bn_image_fail_entry(reterr, -EFBIG, BN_FAULT_TOO_LARGE, entry,
					   "a file of %lld bytes does not fit ext4",
					   (long long)size);
	node->size = (uint64_t)size;
	while (size > 0) {
		const void *data;
		size_t n;
		la_int64_t offset;

		r = archive_read_data_block(archive, &data, &n, &offset);
		if (r == ARCHIVE_EOF)
			break;
		if (r != ARCHIVE_OK)
			return fail_read(archive, entry, reterr);
		if (n == 0)
			continue;
		/* A sparse map may say anything. */
		if (offset < run.end || offset > size || n > (uint64_t)(size - offset))
			return bn_image_fail_entry(reterr, -EBADMSG, BN_FAULT_CORRUPT, entry,
						   "its map of holes contradicts itself");
		r = write_piece(&run, data, n, offset);
		if (r < 0)
			return bn_file_fail_sink(reterr, r);
	}
	r = close_run(&run);
	return r < 0 ? bn_file_fail_sink(reterr, r) : 0;
}

int
bn_file_write_target(BnNode *node, BnSink *sink, const char *entry, BnImageError *reterr)
{
	Run run = { .node = node, .sink = sink };
	int r;

	if (node->size < BN_FILE_FAST_TARGET)
		return 0;
	r = write_piece(&run, node->target, node->size, 0);
	if (r >= 0)
		r = close_run(&run);
	return r < 0 ? bn_file_fail_sink(reterr, r) : 0;
}
