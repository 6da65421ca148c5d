/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules for descriptors that a caller passes. Nothing is ever read from one.
 *
 * Asking a filesystem may block where its server wants it to (FUSE, NFS): worker threads only. What
 * the mount table already tells is refused without asking. What is opened read-only must be sealed, or
 * have a mode that does not let everybody write. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/base/tap.h"

/* A kernel or initramfs: a sealed memfd, or a regular file opened read-only, 1 to `max` bytes, on a
 * local filesystem. 0, or -EINVAL and *reterr says why (a constant). */
int descriptor_check_image(int fd, uint64_t max, const char **reterr);

/* A disk: opened read-only, anybody's regular file; opened read-write, a regular file of `owner`
 * with one link. Both on a local filesystem. */
int descriptor_check_disk(int fd, uid_t owner, bool *ret_read_only, const char **reterr);

/* The tap of a VMM (bn_tap_check()), in the network namespace that we are in: elsewhere anybody can have one of any
 * name. Writes its interface's name. Needs CAP_NET_ADMIN. */
int descriptor_check_tap(int fd, char ret_name[static BN_TAP_NAME_SIZE], const char **reterr);
