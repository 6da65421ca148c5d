/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger-kernel-import: a kernel package, or files, become what a VM boots. A child of bangerd. */
#include <errno.h>
#include <glib.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "boot/bzimage.h"
#include "boot/kernel.h"
#include "boot/report.h"
#include "shared/base/io-util.h"
#include "shared/base/macro.h"
#include "shared/base/sandbox.h"
#include "shared/rules/limits.h"

typedef struct Options {
	int package, vmlinuz, modules, kernel, initramfs, status;
} Options;

static bool
write_file(int fd, GBytes *content)
{
	gsize size;
	const void *data = g_bytes_get_data(content, &size);

	return bn_io_write_all(fd, data, size) >= 0 && fsync(fd) == 0;
}

/* Of the kernel and of the modules kept, in the order of their names. */
static char *
make_digest(GBytes *elf, const BootKernel *kernel)
{
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	g_autoptr(GList) names =
		g_list_sort(g_hash_table_get_keys(kernel->modules), (GCompareFunc)g_strcmp0);
	gsize size;
	const void *data = g_bytes_get_data(elf, &size);

	g_checksum_update(sum, data, (gssize)size);
	for (GList *l = names; l; l = l->next) {
		data = g_bytes_get_data(g_hash_table_lookup(kernel->modules, l->data), &size);
		g_checksum_update(sum, data, (gssize)size);
	}
	return g_strdup(g_checksum_get_string(sum));
}

static int
write_all(const Options *options, BootKernel *kernel, GBytes *elf, GBytes *initramfs)
{
	g_autofree char *digest = make_digest(elf, kernel);

	if (!write_file(options->kernel, elf) || !write_file(options->initramfs, initramfs))
		return boot_report_error(errno == ENOSPC ? "NO_SPACE" : "FAILED", "%s",
					 g_strerror(errno));
	boot_report_done("%s %s", kernel->release, digest);
	return 0;
}

static int
import(const Options *options, BootKernel *kernel)
{
	g_autofree char *error = NULL;
	g_autoptr(GBytes) elf = NULL, initramfs = NULL;
	const char *why = NULL;
	const void *data;
	gsize size;
	bool ok;

	if (options->package >= 0)
		ok = boot_kernel_read_package(kernel, options->package, &error);
	else
		ok = boot_kernel_read_image(kernel, options->vmlinuz, &error) &&
		     (options->modules < 0 ||
		      boot_kernel_read_modules(kernel, options->modules, &error));
	if (!ok)
		return boot_report_error("INVALID", "%s", error);
	if (!kernel->release)
		return boot_report_error("INVALID", "the kernel does not say its release");
	data = g_bytes_get_data(kernel->image, &size);
	elf = boot_bzimage_extract(data, size, &why);
	if (!elf)
		return boot_report_error("INVALID", "%s", why);
	initramfs = boot_initramfs_make(kernel, &error);
	if (!initramfs)
		return boot_report_error("INVALID", "%s", error);
	return write_all(options, kernel, elf, initramfs);
}

/* What it reads may be hostile. */
static int
enter_sandbox(const Options *options)
{
	const int all[] = { options->package, options->vmlinuz,   options->modules,
			    options->kernel,  options->initramfs, options->status };
	int fds[G_N_ELEMENTS(all)];
	size_t n = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
		if (all[i] >= 0)
			fds[n++] = all[i];
	/* Over its limit a write shall fail, and be told, rather than kill. */
	(void)signal(SIGXFSZ, SIG_IGN);
	/* libarchive turns the UTF-8 of extended headers into the locale's characters. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	return bn_sandbox_enter(fds, n, BN_MAX(BN_KERNEL_MAX, BN_INITRAMFS_MAX));
}

int
main(int argc, char **argv)
{
	Options options = { -1, -1, -1, -1, -1, -1 };
	const GOptionEntry entries[] = {
		{ "package", 0, 0, G_OPTION_ARG_INT, &options.package, "A Debian kernel package",
		  "FD" },
		{ "vmlinuz", 0, 0, G_OPTION_ARG_INT, &options.vmlinuz, "A bzImage or ELF kernel",
		  "FD" },
		{ "modules", 0, 0, G_OPTION_ARG_INT, &options.modules,
		  "A tar with lib/modules/RELEASE", "FD" },
		{ "kernel", 0, 0, G_OPTION_ARG_INT, &options.kernel, "Where the ELF kernel goes",
		  "FD" },
		{ "initramfs", 0, 0, G_OPTION_ARG_INT, &options.initramfs,
		  "Where its part of the initramfs goes", "FD" },
		{ "status", 0, 0, G_OPTION_ARG_INT, &options.status, "Where to report", "FD" },
		{ NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new("- import a kernel for bangerd");
	g_autoptr(GError) error = NULL;
	BootKernel kernel;
	int status, r;

	g_option_context_add_main_entries(context, entries, /* domain= */ NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error) || options.kernel < 0 ||
	    options.initramfs < 0 || (options.package < 0) == (options.vmlinuz < 0)) {
		(void)fprintf(
			stderr, "banger-kernel-import: %s\n",
			error ? error->message
			      : "one of --package and --vmlinuz, and --kernel and --initramfs are needed");
		return 2;
	}
	if (options.status >= 0)
		boot_report_open(options.status);
	r = enter_sandbox(&options);
	if (r < 0)
		return boot_report_error("FAILED", "the sandbox could not be entered: %s",
					 strerror(-r));
	boot_kernel_init(&kernel);
	status = import(&options, &kernel);
	boot_kernel_done(&kernel);
	return status;
}
