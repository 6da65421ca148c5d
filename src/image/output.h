/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file that an image is written to. */
#pragma once

#include <stdint.h>

#include "image/image-error.h"

/* It is an empty regular file, open for reading and writing and not for appending. */
int bn_output_check(int fd, BnImageError *reterr);

/* Gives back what a failure leaves in it, even where the caller is gone. */
void bn_output_clear(int fd);

/* Its length, and what it takes on disk. */
int bn_output_measure(int fd, uint64_t *ret_bytes, uint64_t *ret_allocated, BnImageError *reterr);
