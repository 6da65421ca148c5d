/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What gzip, bzip2, lzma, xz, lz4 and zstd make. Bytes from outside: nothing is believed. */
#pragma once

#include <archive.h>
#include <glib.h>
#include <stdint.h>

/* Tells a reader of archives to expect any of them. Only what libarchive has in itself: a format for which it
 * would start a program is unknown to us. */
void boot_uncompress_enable(struct archive *a);

/* At most `max` bytes; what is not compressed comes out as it is. NULL where it is damaged or more. */
GBytes *boot_uncompress(const uint8_t *data, size_t size, size_t max);
