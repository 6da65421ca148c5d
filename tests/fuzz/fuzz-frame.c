/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes → frames and what is in them, as either side of the agent channel reads them. What can be read can be
 * written again, and is the same. */
#include <assert.h>
#include <string.h>

#include "shared/base/cleanup.h"
#include "shared/rules/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_request(const uint8_t *data, size_t size)
{
	static uint8_t again[BN_FRAME_EXEC_MAX];
	_cleanup_(bn_exec_request_done) BnExecRequest request = {};

	if (size > sizeof(again) || bn_exec_request_parse(data, size, &request) < 0)
		return;
	assert(bn_exec_request_render(&request, again, sizeof(again)) == (ssize_t)size);
	/* Any byte but zero means a terminal. */
	assert(memcmp(again + 1, data + 1, size - 1) == 0);
}

static void
read_frame(const BnFrame *frame, const uint8_t *bytes, size_t size)
{
	static uint8_t again[BN_FRAME_MAX];
	BnHello hello;

	assert(frame->length <= BN_FRAME_PAYLOAD_MAX && frame->payload >= bytes &&
	       frame->payload + frame->length < bytes + size);
	assert(bn_frame_render(again, frame->type, frame->stream, frame->payload, frame->length) ==
	       BN_FRAME_HEADER + frame->length + 1);
	assert(memcmp(again, frame->payload - BN_FRAME_HEADER,
		      BN_FRAME_HEADER + frame->length + 1) == 0);
	if (bn_hello_parse(frame, &hello))
		assert(strlen(hello.boot_id) == BN_FRAME_BOOT_ID);
	read_request(frame->payload, frame->length);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 0;

	read_request(data, size);
	for (;;) {
		BnFrame frame;
		size_t used = 0;
		int r = bn_frame_parse(data + at, size - at, &frame, &used);

		assert(used <= size - at);
		if (r == 0)
			return 0;
		if (r > 0)
			read_frame(&frame, data + at, size - at);
		at += r > 0 ? used : used + 1;
	}
}
