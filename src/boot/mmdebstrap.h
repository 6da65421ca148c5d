/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The argument list of mmdebstrap, from a checked request. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define BOOT_PACKAGES_MAX 256
#define BOOT_ARGS_MAX     32

typedef struct BootMmdebstrap {
	const char *suite;
	const char *const *packages; /* NULL-terminated; NULL: those of the default image */
	const char *mirror;          /* NULL: Debian's own */
} BootMmdebstrap;

typedef struct BootArgv {
	char *args[BOOT_ARGS_MAX + 1]; /* NULL-terminated, each to be freed */
} BootArgv;

void boot_argv_clear(BootArgv *argv);

/* NULL, or the name of what is not of the right form: "suite", "packages" or "mirror". */
const char *boot_mmdebstrap_check(const BootMmdebstrap *spec);

/* `spec` has passed the check. 0 or -ENOMEM. The archive goes to standard output. */
int boot_mmdebstrap_make(const BootMmdebstrap *spec, BootArgv *ret);
