/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/rules/frame.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/cleanup.h"
#include "shared/rules/limits.h"

#define USER_MAX 64

static_assert(BN_FRAME_EXEC_MAX >= 1 + 2 + 2 + 4 + USER_MAX + 4 + BN_WORKDIR_MAX +
					   2 * (2 + 4 * BN_EXEC_STRINGS_MAX) + BN_EXEC_BYTES_MAX,
	      "a description holds every command that passes the check");

static uint64_t
load(const uint8_t *p, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = bytes; i > 0; i--)
		value = value << 8 | p[i - 1];
	return value;
}

static void
save(uint8_t *p, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++, value >>= 8)
		p[i] = (uint8_t)value;
}

int
bn_frame_parse(const uint8_t *data, size_t size, BnFrame *ret, size_t *ret_used)
{
	size_t zeros = 0;
	const uint8_t *p;
	uint64_t length;

	while (zeros < size && data[zeros] == 0)
		zeros++;
	*ret_used = zeros;
	p = data + zeros;
	size -= zeros;
	if (size < BN_FRAME_HEADER)
		return 0;
	length = load(p + 4, 4);
	if (p[0] >= _BN_FRAME_TYPE_MAX || p[1] != 0 || length > BN_FRAME_PAYLOAD_MAX)
		return -EBADMSG;
	if (size < BN_FRAME_HEADER + length + 1)
		return 0;
	if (p[BN_FRAME_HEADER + length] != BN_FRAME_MARK)
		return -EBADMSG;
	*ret = (BnFrame){ .type = p[0],
			  .stream = (uint16_t)load(p + 2, 2),
			  .length = (uint32_t)length,
			  .payload = p + BN_FRAME_HEADER };
	*ret_used += BN_FRAME_HEADER + length + 1;
	return 1;
}

size_t
bn_frame_render(uint8_t *ret, BnFrameType type, uint16_t stream, const void *payload, size_t length)
{
	ret[0] = (uint8_t)type;
	ret[1] = 0;
	save(ret + 2, stream, 2);
	save(ret + 4, length, 4);
	if (length > 0)
		memcpy(ret + BN_FRAME_HEADER, payload, length);
	ret[BN_FRAME_HEADER + length] = BN_FRAME_MARK;
	return BN_FRAME_HEADER + length + 1;
}

void
bn_pack_put(BnPack *pack, const void *data, size_t size)
{
	if (pack->bad || size > pack->size - pack->at) {
		pack->bad = true;
		return;
	}
	if (size > 0)
		memcpy(pack->data + pack->at, data, size);
	pack->at += size;
}

void
bn_pack_put_uint(BnPack *pack, uint64_t value, size_t bytes)
{
	uint8_t buffer[8];

	save(buffer, value, bytes);
	bn_pack_put(pack, buffer, bytes);
}

void
bn_pack_put_string(BnPack *pack, const char *s)
{
	size_t n = strlen(s);

	bn_pack_put_uint(pack, n, 4);
	bn_pack_put(pack, s, n);
}

const void *
bn_pack_get(BnPack *pack, size_t size)
{
	const uint8_t *p = pack->data + pack->at;

	if (pack->bad || size > pack->size - pack->at) {
		pack->bad = true;
		return NULL;
	}
	pack->at += size;
	return p;
}

uint64_t
bn_pack_get_uint(BnPack *pack, size_t bytes)
{
	const uint8_t *p = bn_pack_get(pack, bytes);

	return p ? load(p, bytes) : 0;
}

char *
bn_pack_get_string(BnPack *pack, size_t max)
{
	size_t n = (size_t)bn_pack_get_uint(pack, 4);
	const char *p = n <= max ? bn_pack_get(pack, n) : NULL;

	if (!p || memchr(p, '\0', n)) {
		pack->bad = true;
		return NULL;
	}
	return strndup(p, n);
}

void
bn_hello_render(const BnHello *hello, uint8_t ret[static BN_HELLO_SIZE])
{
	BnPack pack = { .data = ret, .size = BN_HELLO_SIZE };

	bn_pack_put(&pack, hello->nonce, BN_FRAME_NONCE);
	bn_pack_put_uint(&pack, hello->version, 2);
	bn_pack_put_uint(&pack, hello->flags, 2);
	bn_pack_put(&pack, hello->boot_id, BN_FRAME_BOOT_ID);
	bn_pack_put_uint(&pack, hello->first_us, 8);
	bn_pack_put_uint(&pack, hello->hello_us, 8);
}

bool
bn_hello_parse(const BnFrame *frame, BnHello *ret)
{
	BnPack pack = { .data = (uint8_t *)frame->payload, .size = frame->length };
	BnHello hello = {};

	if (frame->type != BN_FRAME_HELLO || frame->length != BN_HELLO_SIZE)
		return false;
	memcpy(hello.nonce, bn_pack_get(&pack, BN_FRAME_NONCE), BN_FRAME_NONCE);
	hello.version = (uint16_t)bn_pack_get_uint(&pack, 2);
	hello.flags = (uint16_t)bn_pack_get_uint(&pack, 2);
	memcpy(hello.boot_id, bn_pack_get(&pack, BN_FRAME_BOOT_ID), BN_FRAME_BOOT_ID);
	hello.first_us = bn_pack_get_uint(&pack, 8);
	hello.hello_us = bn_pack_get_uint(&pack, 8);
	if (strspn(hello.boot_id, "0123456789abcdef-") != BN_FRAME_BOOT_ID)
		return false;
	*ret = hello;
	return true;
}

static void
strings_free(char **strings)
{
	for (char **s = strings; s && *s; s++)
		free(*s);
	free(strings);
}

void
bn_exec_request_done(BnExecRequest *request)
{
	free(request->user);
	free(request->workdir);
	strings_free(request->argv);
	strings_free(request->environment);
	*request = (BnExecRequest){};
}

static size_t
count(char *const *strings)
{
	size_t n = 0;

	while (strings && strings[n])
		n++;
	return n;
}

static size_t
count_bytes(char *const *strings)
{
	size_t bytes = 0;

	for (size_t i = 0; strings && strings[i]; i++)
		bytes += strlen(strings[i]) + 1;
	return bytes;
}

int
bn_exec_request_check(const BnExecRequest *request)
{
	if (count(request->argv) > BN_EXEC_STRINGS_MAX ||
	    count(request->environment) > BN_EXEC_STRINGS_MAX ||
	    count_bytes(request->argv) + count_bytes(request->environment) > BN_EXEC_BYTES_MAX)
		return -E2BIG;
	return 0;
}

static void
put_strings(BnPack *pack, char *const *strings)
{
	size_t n = count(strings);

	bn_pack_put_uint(pack, n, 2);
	for (size_t i = 0; i < n; i++)
		bn_pack_put_string(pack, strings[i]);
}

static size_t
measure(const BnExecRequest *request)
{
	size_t size = 1 + 2 + 2 + 4 + strlen(request->user) + 4 + strlen(request->workdir) + 2 + 2;

	for (size_t i = 0; i < count(request->argv); i++)
		size += 4 + strlen(request->argv[i]);
	for (size_t i = 0; i < count(request->environment); i++)
		size += 4 + strlen(request->environment[i]);
	return size;
}

ssize_t
bn_exec_request_render(const BnExecRequest *request, uint8_t *ret, size_t size)
{
	BnPack pack = { .data = ret, .size = size };
	size_t need = measure(request);

	if (bn_exec_request_check(request) < 0 || need > BN_FRAME_EXEC_MAX)
		return -E2BIG;
	if (!ret)
		return (ssize_t)need;
	bn_pack_put_uint(&pack, request->tty, 1);
	bn_pack_put_uint(&pack, request->rows, 2);
	bn_pack_put_uint(&pack, request->columns, 2);
	bn_pack_put_string(&pack, request->user);
	bn_pack_put_string(&pack, request->workdir);
	put_strings(&pack, request->argv);
	put_strings(&pack, request->environment);
	return pack.bad ? -E2BIG : (ssize_t)pack.at;
}

static char **
get_strings(BnPack *pack)
{
	size_t n = (size_t)bn_pack_get_uint(pack, 2);
	char **strings = calloc(n + 1, sizeof(*strings)); /* 65535 at most */

	if (!strings)
		pack->bad = true;
	for (size_t i = 0; strings && !pack->bad && i < n; i++)
		strings[i] = bn_pack_get_string(pack, BN_FRAME_EXEC_MAX);
	return strings;
}

int
bn_exec_request_parse(const uint8_t *data, size_t size, BnExecRequest *ret)
{
	_cleanup_(bn_exec_request_done) BnExecRequest request = {};
	BnPack pack = { .data = (uint8_t *)data, .size = size };
	int r;

	request.tty = bn_pack_get_uint(&pack, 1) != 0;
	request.rows = (uint16_t)bn_pack_get_uint(&pack, 2);
	request.columns = (uint16_t)bn_pack_get_uint(&pack, 2);
	request.user = bn_pack_get_string(&pack, USER_MAX);
	request.workdir = bn_pack_get_string(&pack, BN_WORKDIR_MAX);
	request.argv = get_strings(&pack);
	request.environment = get_strings(&pack);
	if (pack.bad || pack.at != size)
		return -EBADMSG;
	/* The host has checked it too. The guest's agent does not depend on that. */
	r = bn_exec_request_check(&request);
	if (r < 0)
		return r;
	*ret = request;
	request = (BnExecRequest){};
	return 0;
}
