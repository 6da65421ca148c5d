/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a kernel module says of itself, in its ELF section .modinfo. Bytes from outside: nothing is believed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The value of "depends=", inside `data`, with *ret_size bytes; "" where it needs nothing. False where this is no
 * module. */
bool boot_modinfo_depends(const uint8_t *data, size_t size, const char **ret, size_t *ret_size);
