/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads one tar archive into a tree and its files' data into a sink. */
#pragma once

#include "image/image.h"
#include "image/sink.h"
#include "image/stream.h"
#include "image/tree.h"

typedef struct BnTar {
	const BnImageRequest *request;
	BnStream *stream;
	BnTree *tree;
	BnSink *sink;
	uint64_t entries;
	int64_t newest; /* modification time, in seconds */
} BnTar;

/* Reads `tar->stream` to its end. Several archives, read one after the other into one tree, are layers:
 * a later entry replaces an earlier one. 0, or negative errno with *reterr filled. */
int bn_tar_read(BnTar *tar, BnImageError *reterr);
