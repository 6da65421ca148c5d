/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/ext4.h"
#include "image/file.h"
#include "image/output.h"
#include "image/sink.h"
#include "image/stream.h"
#include "image/tar.h"
#include "image/tree.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/str-util.h"
#include "shared/rules/init.h"

static void
find_init(BnTree *tree, BnImageResult *ret)
{
	for (size_t i = 0; i < BN_INIT_PATHS; i++) {
		const BnNode *node = bn_tree_resolve(tree, bn_init_paths[i], /* follow= */ true);

		if (!node || !S_ISREG(node->mode) || !(node->mode & 0111))
			continue;
		ret->has_init = bn_str_copy(ret->init, sizeof(ret->init), bn_init_paths[i]) == 0;
		return;
	}
}

/* After the last entry: what could not be decided before. */
static int
complete_tree(BnTree *tree, BnImageError *reterr)
{
	BnName *name = NULL;
	char path[256];
	BnNode at = {};
	int r = bn_tree_bind_links(tree, &name);

	if (r < 0) {
		at.name = name;
		bn_node_path(&at, path, sizeof(path));
		return bn_image_fail_entry(reterr, r, BN_FAULT_LINK, path,
					   r == -ENOENT ? "it is a hard link to a name that is not "
							  "in the archive"
					   : r == -EPERM
						   ? "it is a hard link to a directory"
						   : "it is a hard link that leads to itself");
	}
	bn_tree_number(tree, BN_EXT4_FIRST_INO);
	return 0;
}

/* Two passes over nothing: everything the archive gives is written as it comes, what depends on the
 * whole of it at the end. */
static int
write_image(const BnImageRequest *request, BnTree *tree, BnSink *sink, BnStream *stream,
	    BnImageResult *ret, BnImageError *reterr)
{
	BnTar tar = { .request = request, .stream = stream, .tree = tree, .sink = sink };
	BnExt4 fs = { .tree = tree, .sink = sink, .fd = request->output, .error = reterr };
	int r = bn_tar_read(&tar, reterr);

	if (r >= 0)
		r = complete_tree(tree, reterr);
	if (r < 0)
		return r;
	fs.now = tar.newest;
	ret->entries = tar.entries;
	memcpy(ret->digest, bn_stream_digest(stream), sizeof(ret->digest));
	find_init(tree, ret);
	bn_ext4_init(&fs, ret->digest);
	r = bn_ext4_write(&fs);
	if (r < 0)
		return r;
	if (fsync(request->output) < 0)
		return bn_file_fail_sink(reterr, bn_errno());
	return bn_output_measure(request->output, &ret->bytes, &ret->allocated_bytes, reterr);
}

static int
make_image(const BnImageRequest *request, BnImageResult *ret, BnImageError *reterr)
{
	_cleanup_(bn_tree_done) BnTree tree = {};
	_cleanup_(bn_sink_done) BnSink sink = { .fd = -1 };
	_cleanup_(bn_stream_done) BnStream stream = { .fd = -1, .wake_fd = -1 };
	int r;

	r = bn_stream_init(&stream, request->input, reterr);
	if (r < 0)
		return r;
	if (bn_tree_init(&tree) < 0)
		return bn_image_fail_memory(reterr);
	r = bn_sink_init(&sink, request->output,
			 request->max_bytes ? request->max_bytes : BN_IMAGE_BYTES_MAX);
	if (r < 0)
		return bn_file_fail_sink(reterr, r);
	return write_image(request, &tree, &sink, &stream, ret, reterr);
}

int
bn_image_write(const BnImageRequest *request, BnImageResult *ret, BnImageError *reterr)
{
	BnImageResult result = {};
	int r;

	*reterr = (BnImageError){};
	r = bn_output_check(request->output, reterr);
	if (r < 0)
		return r;
	r = make_image(request, &result, reterr);
	if (r < 0)
		bn_output_clear(request->output);
	else
		*ret = result;
	return r;
}
