/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kernel as it is read from a package or from files, and what is written of it. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct BootKernel {
	char *release;       /* "6.1.0-31-cloud-amd64" */
	GBytes *image;       /* as it came: bzImage or ELF */
	GHashTable *modules; /* name → GBytes, of those that VMs may need */
	GHashTable *builtin; /* set of names */
} BootKernel;

void boot_kernel_init(BootKernel *kernel);
void boot_kernel_done(BootKernel *kernel);

/* All return false with a text for people in *reterr (owned). */

/* Reads a Debian kernel package. */
bool boot_kernel_read_package(BootKernel *kernel, int fd, char **reterr);
/* Reads a kernel image. */
bool boot_kernel_read_image(BootKernel *kernel, int fd, char **reterr);
/* Reads a tar archive with lib/modules/RELEASE in it. */
bool boot_kernel_read_modules(BootKernel *kernel, int fd, char **reterr);

/* What an initramfs lists in /banger/plan/NAME: see src/agent/modules.c. */
typedef struct BootModuleList {
	const char *name;
	/* What brings the devices up: it does so while the next step is taken. */
	const char *bus;
	const char *const *modules;
} BootModuleList;

/* Ends with a NULL name. */
extern const BootModuleList boot_module_lists[];

/* The kernel's part of its initramfs: the modules with their plan, and no /init, which comes behind it
 * (boot/init-archive.h). A cpio archive, the same bytes for the same input. */
GBytes *boot_initramfs_make(const BootKernel *kernel, char **reterr);
