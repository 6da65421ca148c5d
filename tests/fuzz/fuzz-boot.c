/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes → a kernel of a package or of files, its modules and an initramfs, or words that say why not. */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boot/bzimage.h"
#include "boot/kernel.h"
#include "boot/modinfo.h"
#include "shared/base/cleanup.h"
#include "shared/base/io-util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef bool (*Reader)(BootKernel *, int, char **);

static int
memory_file(const void *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("fuzz", MFD_CLOEXEC);

	assert(fd >= 0);
	assert(bn_io_write_all(fd, data, size) == 0);
	assert(lseek(fd, 0, SEEK_SET) == 0);
	return BN_TAKE_FD(fd);
}

static void
extract(GBytes *image)
{
	const char *why = NULL;
	gsize size;
	const uint8_t *data = g_bytes_get_data(image, &size);
	g_autoptr(GBytes) elf = boot_bzimage_extract(data, size, &why);

	assert(elf ? g_bytes_get_size(elf) > 0 : why != NULL);
}

static void
read_kernel(Reader reader, const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = memory_file(data, size);
	g_autofree char *error = NULL, *why = NULL;
	g_autoptr(GBytes) initramfs = NULL;
	BootKernel kernel;

	boot_kernel_init(&kernel);
	if (reader(&kernel, fd, &error)) {
		assert(!kernel.release || strlen(kernel.release) <= 64);
		if (kernel.image)
			extract(kernel.image);
		initramfs = boot_initramfs_make(&kernel, &why);
		assert(initramfs ? g_bytes_get_size(initramfs) > 0 : why != NULL);
	} else {
		assert(error && *error && !strchr(error, '\n') && !strchr(error, '\033'));
	}
	boot_kernel_done(&kernel);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const Reader readers[] = { boot_kernel_read_package, boot_kernel_read_image,
					  boot_kernel_read_modules };
	const char *depends;
	size_t length;
	/* In memory of its own size, so that reading beyond is seen. */
	g_autofree uint8_t *copy = g_memdup2(data, size);

	if (size > 0 && boot_modinfo_depends(copy, size, &depends, &length))
		assert(length == 0 || ((const uint8_t *)depends >= copy &&
				       (const uint8_t *)depends + length <= copy + size));
	for (size_t i = 0; i < G_N_ELEMENTS(readers); i++)
		read_kernel(readers[i], data, size);
	return 0;
}
