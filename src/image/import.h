/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tar archive becomes an image, entry by entry, in one pass. */
#pragma once

#include "image/ext4.h"

typedef struct ImportResult {
	char digest[65]; /* sha256 of the archive as it was read */
	uint64_t entries;
	char init[64]; /* "" where there is none */
} ImportResult;

typedef void (*ImportProgress)(uint64_t bytes_read, uint64_t entries);

/* `output`: an empty file, opened for reading and writing. */
int import_archive(int input, int output, ImportProgress progress, ImportResult *ret,
		   ImageError *error);
