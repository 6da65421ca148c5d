/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ELF kernel inside a bzImage (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"). */
#pragma once

#include <glib.h>
#include <stdint.h>

/* The uncompressed ELF kernel of a bzImage, or the file itself where it is ELF already. At most BN_KERNEL_MAX
 * bytes come out. NULL with a text for people in *reterr. */
GBytes *boot_bzimage_extract(const uint8_t *data, size_t size, const char **reterr);
