/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A cpio archive with one program in it, as /init, to stand behind the initramfs of a kernel: Linux unpacks archives
 * one behind the other, and of two files with one name the last is there in the end. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What stands around the program's bytes. */
typedef struct BootInitArchive {
	char before[120];
	size_t before_size;
	char behind[128];
	size_t behind_size;
} BootInitArchive;

/* For a program of `size` bytes (less than 4 GiB), behind an archive of `offset` bytes. */
BootInitArchive boot_init_archive_make(uint64_t offset, uint64_t size);
