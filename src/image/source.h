/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The archive as it comes in: read once, hashed on the way. */
#pragma once

#include <archive.h>
#include <gnutls/crypto.h>
#include <stdint.h>

typedef struct Source {
	int fd;
	struct archive *archive;
	gnutls_hash_hd_t hash;
	uint64_t bytes;
	int error; /* negative errno of a failed read */
	uint8_t *buffer;
} Source;

/* A reader of whatever tar archive it is; the source's. NULL where it cannot be had. */
struct archive *source_open(Source *source, int fd);
/* Reads what the reader left, and gives the sha256 of all bytes in hex. */
int source_finish(Source *source, char digest[static 65]);
void source_done(Source *source);
