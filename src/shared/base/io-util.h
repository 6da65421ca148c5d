/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole reads, whole writes, small files. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Writes all of it to a blocking descriptor; 0 or negative errno. */
int bn_io_write_all(int fd, const void *data, size_t size);

/* Reads until `size` bytes or the end; the number read, or negative errno. */
ssize_t bn_io_read_all(int fd, void *data, size_t size);

/* The whole of a small file, NUL-terminated, at most `max` bytes (-EFBIG beyond).
 * `dirfd`/`path` as in openat(2); the last component is never followed if it is a symbolic link.
 * *ret is the caller's to free; *ret_size may be NULL. */
int bn_io_read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_size);

/* Puts `data` in the place of `path` so that a reader, or a crash at any moment, finds the old or
 * the new content and never a part: written beside it, synced, renamed, the directory synced. */
int bn_io_replace_file(int dirfd, const char *path, const void *data, size_t size, mode_t mode);
