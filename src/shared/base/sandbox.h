/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gives up, before the first byte from outside is read, whatever reading and writing three
 * descriptors does not need. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Closes every descriptor but standard error and the `n` given (they become close-on-exec); bounds
 * memory and the size of files; forbids new privileges, new processes, opening files and sockets.
 * Threads can still be made. 0 or negative errno: then nothing may be read. */
int bn_sandbox_enter(const int *fds, size_t n, uint64_t max_file_bytes);
