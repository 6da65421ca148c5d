/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot/kernel.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "boot/module-plan.h"
#include "boot/uncompress.h"
#include "shared/base/str-util.h"
#include "shared/rules/limits.h"
#include "shared/rules/names.h"

/* One file of an archive; which are kept is a list of names. */
#define MODULE_MAX  (16 * BN_MIB)
#define ENTRIES_MAX 200000

/* What a package may contribute to a VM's start; its other thousands of modules stay where they are. The
 * drivers come before the bus, which then finds them there. */
static const char *const mmio[] = { "virtio_console", "virtio_blk", "virtio_mmio", NULL };
static const char *const pci[] = { "virtio_console", "virtio_blk", "virtio_pci", NULL };
static const char *const root[] = { "ext4", "overlay", NULL };
static const char *const later[] = { "virtio_net", "virtio_rng", "af_packet",
				     "vmw_vsock_virtio_transport", NULL };

const BootModuleList boot_module_lists[] = {
	{ "mmio", "virtio_mmio", mmio }, { "pci", "virtio_pci", pci }, { "root", NULL, root },
	{ "later", NULL, later },        { NULL, NULL, NULL },
};

static const char *const also_kept[] = {
	"virtio",
	"virtio_ring",
	"virtio_pci_modern_dev",
	"virtio_pci_legacy_dev",
	"jbd2",
	"mbcache",
	"crc16",
	"crc32c_generic",
	"failover",
	"net_failover",
	"rng_core",
	"vsock",
	"vmw_vsock_virtio_transport_common",
	"libcrc32c",
	NULL,
};

void
boot_kernel_init(BootKernel *kernel)
{
	*kernel = (BootKernel){
		.modules = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
						 (GDestroyNotify)g_bytes_unref),
		.builtin = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
	};
}

void
boot_kernel_done(BootKernel *kernel)
{
	g_free(kernel->release);
	g_clear_pointer(&kernel->image, g_bytes_unref);
	g_clear_pointer(&kernel->modules, g_hash_table_unref);
	g_clear_pointer(&kernel->builtin, g_hash_table_unref);
}

static bool
is_kept(const char *name)
{
	for (const BootModuleList *list = boot_module_lists; list->name; list++)
		if (g_strv_contains(list->modules, name))
			return true;
	return g_strv_contains(also_kept, name);
}

static bool
fail(char **reterr, const char *what, const char *why)
{
	g_autofree char *safe = bn_str_escape(why ? why : "", why ? strlen(why) : 0, 200);

	g_free(*reterr);
	*reterr = g_strdup_printf("%s: %s", what, safe);
	return false;
}

/* Of a read that failed libarchive tells which descriptor, and not why. */
static const char *
why_unread(struct archive *a)
{
	const char *text = archive_error_string(a);

	return text && g_str_has_prefix(text, "Error reading fd") ? g_strerror(archive_errno(a))
								  : text;
}

static GBytes *
read_data(struct archive *a, const char *path, size_t max, char **reterr)
{
	g_autoptr(GByteArray) out = g_byte_array_new();
	uint8_t buffer[65536];
	la_ssize_t n;

	while ((n = archive_read_data(a, buffer, sizeof(buffer))) > 0) {
		if (out->len + (size_t)n > max) {
			(void)fail(reterr, "a file in the archive is too large", path);
			return NULL;
		}
		g_byte_array_append(out, buffer, (guint)n);
	}
	if (n < 0) {
		(void)fail(reterr, "the archive is damaged", archive_error_string(a));
		return NULL;
	}
	return g_byte_array_free_to_bytes(g_steal_pointer(&out));
}

/* Names of directories in archives come with "./", "/" and "usr/" before them, or not. */
static const char *
strip(const char *path)
{
	static const char *const prefixes[] = { "./", "/", "usr/" };

	for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++)
		if (g_str_has_prefix(path, prefixes[i]))
			path += strlen(prefixes[i]);
	return path;
}

/* The release is a file name in a guest and a word on terminals: a version's characters only. */
static bool
take_release(BootKernel *kernel, const char *release, size_t length, char **reterr)
{
	g_autofree char *name = g_strndup(release, length);

	if (!bn_names_is_release(name))
		return fail(reterr, "not a kernel release", name);
	if (kernel->release && !g_str_equal(kernel->release, name))
		return fail(reterr, "the archive holds two kernels", name);
	g_free(kernel->release);
	kernel->release = g_steal_pointer(&name);
	return true;
}

static void
read_builtin(BootKernel *kernel, GBytes *bytes)
{
	gsize size;
	const char *data = g_bytes_get_data(bytes, &size);
	g_autofree char *text = g_strndup(data, size);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (char **line = lines; *line; line++)
		if (**line)
			g_hash_table_add(kernel->builtin, boot_module_name(*line));
}

/* A guest's root may load what it likes, so the signature protects nothing there, and proving it takes a
 * quarter of an emulated guest's time for modules. What is behind a module: the signature, twelve bytes of
 * which the last four are its length, and a line (linux/module_signature.h). Takes `bytes`. */
static GBytes *
without_signature(GBytes *bytes)
{
	static const char mark[] = "~Module signature appended~\n";
	const size_t behind = sizeof(mark) - 1 + 12;
	g_autoptr(GBytes) whole = bytes;
	gsize size;
	const uint8_t *data = g_bytes_get_data(whole, &size);
	uint32_t length;

	if (size < behind || memcmp(data + size - (sizeof(mark) - 1), mark, sizeof(mark) - 1) != 0)
		return g_steal_pointer(&whole);
	memcpy(&length, data + size - (sizeof(mark) - 1) - sizeof(length), sizeof(length));
	length = GUINT32_FROM_BE(length);
	if (length > size - behind)
		return g_steal_pointer(&whole);
	return g_bytes_new_from_bytes(whole, 0, size - behind - length);
}

/* The kernels of some makers have them compressed; a guest's agent loads them as they are. Takes `bytes`. */
static GBytes *
take_module(const char *path, GBytes *bytes, char **reterr)
{
	g_autoptr(GBytes) packed = bytes;
	gsize size;
	const uint8_t *data = g_bytes_get_data(packed, &size);
	GBytes *module = boot_uncompress(data, size, MODULE_MAX);

	if (!module) {
		(void)fail(reterr, "the module is damaged or too large", path);
		return NULL;
	}
	return without_signature(module);
}

/* One file of lib/modules/RELEASE/. */
static bool
take_module_file(BootKernel *kernel, struct archive *a, const char *path, char **reterr)
{
	const char *release = path + strlen("lib/modules/");
	const char *slash = strchr(release, '/');
	g_autofree char *name = NULL;
	GBytes *bytes;

	if (!slash)
		return true;
	name = boot_module_name(slash + 1);
	if (g_str_equal(slash, "/modules.builtin")) {
		g_autoptr(GBytes) list = read_data(a, path, BN_MIB, reterr);

		if (!list || !take_release(kernel, release, (size_t)(slash - release), reterr))
			return false;
		read_builtin(kernel, list);
		return true;
	}
	if (!strstr(slash, ".ko") || !is_kept(name))
		return true;
	if (!take_release(kernel, release, (size_t)(slash - release), reterr))
		return false;
	bytes = read_data(a, path, MODULE_MAX, reterr);
	bytes = bytes ? take_module(path, bytes, reterr) : NULL;
	if (!bytes)
		return false;
	g_hash_table_insert(kernel->modules, g_steal_pointer(&name), bytes);
	return true;
}

static bool
take_entry(BootKernel *kernel, struct archive *a, struct archive_entry *entry, char **reterr)
{
	const char *path = archive_entry_pathname(entry);

	if (!path || archive_entry_filetype(entry) != AE_IFREG)
		return true;
	path = strip(path);
	if (g_str_has_prefix(path, "lib/modules/"))
		return take_module_file(kernel, a, path, reterr);
	if (!g_str_has_prefix(path, "boot/vmlinuz-") || kernel->image)
		return true;
	if (!take_release(kernel, path + strlen("boot/vmlinuz-"),
			  strlen(path + strlen("boot/vmlinuz-")), reterr))
		return false;
	kernel->image = read_data(a, path, BN_KERNEL_MAX, reterr);
	return kernel->image != NULL;
}

static bool
read_entries(BootKernel *kernel, struct archive *a, char **reterr)
{
	struct archive_entry *entry;
	int r;

	for (unsigned n = 0;
	     (r = archive_read_next_header(a, &entry)) == ARCHIVE_OK || r == ARCHIVE_WARN; n++) {
		if (n >= ENTRIES_MAX)
			return fail(reterr, "the archive has too many entries", "");
		if (!take_entry(kernel, a, entry, reterr))
			return false;
	}
	if (r != ARCHIVE_EOF)
		return fail(reterr, "the archive is damaged", archive_error_string(a));
	return true;
}

static struct archive *
new_tar_reader(void)
{
	struct archive *a = archive_read_new();

	archive_read_support_format_tar(a);
	archive_read_support_format_gnutar(a);
	boot_uncompress_enable(a);
	return a;
}

/* The package's data.tar.* as a stream for the inner reader. */
typedef struct Inner {
	struct archive *outer;
	uint8_t buffer[65536];
} Inner;

static la_ssize_t
read_inner(struct archive *a, void *data, const void **ret)
{
	Inner *inner = data;
	la_ssize_t n = archive_read_data(inner->outer, inner->buffer, sizeof(inner->buffer));

	*ret = inner->buffer;
	if (n < 0)
		archive_set_error(a, EIO, "%s", archive_error_string(inner->outer));
	return n < 0 ? ARCHIVE_FATAL : n;
}

static bool
read_data_member(BootKernel *kernel, struct archive *outer, char **reterr)
{
	struct archive *a = new_tar_reader();
	Inner inner = { .outer = outer };
	bool ok;

	ok = archive_read_open(a, &inner, NULL, read_inner, NULL) == ARCHIVE_OK
		     ? read_entries(kernel, a, reterr)
		     : fail(reterr, "the package's content cannot be read",
			    archive_error_string(a));
	archive_read_free(a);
	return ok;
}

/* deb(5): an ar archive with debian-binary, control.tar.*, data.tar.* */
bool
boot_kernel_read_package(BootKernel *kernel, int fd, char **reterr)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	bool found = false, ok = true;

	archive_read_support_format_ar(a);
	if (archive_read_open_fd(a, fd, 65536) != ARCHIVE_OK)
		ok = fail(reterr, "not a Debian package", why_unread(a));
	while (ok && !found && archive_read_next_header(a, &entry) == ARCHIVE_OK) {
		const char *name = archive_entry_pathname(entry);

		if (!name || !g_str_has_prefix(name, "data.tar"))
			continue;
		found = true;
		ok = read_data_member(kernel, a, reterr);
	}
	archive_read_free(a);
	if (ok && !found)
		ok = fail(reterr, "not a Debian package", "it has no data.tar");
	if (ok && (!kernel->image || !kernel->release))
		ok = fail(reterr, "no kernel in the package",
			  "it is a linux-image package that is needed, not a meta-package");
	return ok;
}

bool
boot_kernel_read_modules(BootKernel *kernel, int fd, char **reterr)
{
	struct archive *a = new_tar_reader();
	bool ok;

	ok = archive_read_open_fd(a, fd, 65536) == ARCHIVE_OK
		     ? read_entries(kernel, a, reterr)
		     : fail(reterr, "the modules cannot be read", archive_error_string(a));
	archive_read_free(a);
	return ok;
}

/* The version string is at the place that the header names, behind the setup's first sector. */
static void
find_release(BootKernel *kernel)
{
	gsize size;
	const uint8_t *data = g_bytes_get_data(kernel->image, &size);
	g_autofree char *version = NULL, *ignored = NULL;
	size_t at;

	if (kernel->release || size < 0x210 || memcmp(data + 0x202, "HdrS", 4) != 0)
		return;
	at = 0x200 + (size_t)(data[0x20e] | data[0x20f] << 8);
	if (at >= size)
		return;
	version = g_strndup((const char *)data + at, MIN(size - at, BN_RELEASE_MAX + 1));
	(void)take_release(kernel, version, strcspn(version, " "), &ignored);
}

bool
boot_kernel_read_image(BootKernel *kernel, int fd, char **reterr)
{
	g_autoptr(GByteArray) out = g_byte_array_new();
	uint8_t buffer[65536];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
		if (out->len + (size_t)n > BN_KERNEL_MAX)
			return fail(reterr, "the kernel is too large", "");
		g_byte_array_append(out, buffer, (guint)n);
	}
	if (n < 0)
		return fail(reterr, "the kernel cannot be read", g_strerror(errno));
	kernel->image = g_byte_array_free_to_bytes(g_steal_pointer(&out));
	find_release(kernel);
	return true;
}
