/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/errno-util.h"
#include "shared/base/str-util.h"

#define BUFFER (512 * 1024)

/* Bytes, 0 at the end, or negative errno. */
static ssize_t
read_some(Source *source)
{
	ssize_t n;

	do
		n = read(source->fd, source->buffer, BUFFER);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		source->error = bn_errno();
		return source->error;
	}
	source->bytes += (uint64_t)n;
	if (n > 0)
		(void)gnutls_hash(source->hash, source->buffer, (size_t)n);
	return n;
}

static la_ssize_t
on_read(struct archive *a, void *data, const void **ret)
{
	Source *source = data;
	ssize_t n = read_some(source);

	*ret = source->buffer;
	if (n < 0) {
		archive_set_error(a, (int)-n, "%s", strerror((int)-n));
		return ARCHIVE_FATAL;
	}
	return n;
}

struct archive *
source_open(Source *source, int fd)
{
	*source = (Source){ .fd = fd, .buffer = malloc(BUFFER) };
	if (!source->buffer || gnutls_hash_init(&source->hash, GNUTLS_DIG_SHA256) < 0)
		return NULL;
	source->archive = archive_read_new();
	if (!source->archive)
		return NULL;
	archive_read_support_format_tar(source->archive);
	archive_read_support_format_gnutar(source->archive);
	archive_read_support_filter_all(source->archive);
	/* Names are bytes here, whatever the locale. */
	(void)archive_read_set_options(source->archive, "hdrcharset=BINARY");
	if (archive_read_open(source->archive, source, NULL, on_read, NULL) != ARCHIVE_OK) {
		archive_read_free(source->archive);
		source->archive = NULL;
	}
	return source->archive;
}

int
source_finish(Source *source, char digest[static 65])
{
	uint8_t hash[32];
	ssize_t n;

	while ((n = read_some(source)) > 0)
		;
	if (n < 0)
		return -1;
	gnutls_hash_deinit(source->hash, hash);
	source->hash = NULL;
	bn_str_hex(hash, sizeof(hash), digest);
	return 0;
}

void
source_done(Source *source)
{
	if (source->archive)
		archive_read_free(source->archive);
	if (source->hash)
		gnutls_hash_deinit(source->hash, NULL);
	free(source->buffer);
	*source = (Source){};
}
