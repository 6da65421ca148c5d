/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <archive.h>
#include <archive_entry.h>
#include <string.h>

#include "boot/kernel.h"
#include "boot/modinfo.h"
#include "boot/module-plan.h"
#include "shared/base/macro.h"

static la_ssize_t
append(struct archive *a _unused_, void *out, const void *data, size_t size)
{
	g_byte_array_append(out, data, (guint)size);
	return (la_ssize_t)size;
}

static void
add(struct archive *a, const char *path, mode_t type, mode_t mode, dev_t device, GBytes *content)
{
	struct archive_entry *entry = archive_entry_new();
	gsize size = 0;
	const void *data = content ? g_bytes_get_data(content, &size) : NULL;

	archive_entry_set_pathname(entry, path);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, mode);
	archive_entry_set_size(entry, (la_int64_t)size);
	archive_entry_set_rdev(entry, device);
	archive_entry_set_mtime(entry, 0, 0);
	(void)archive_write_header(a, entry);
	if (size > 0)
		(void)archive_write_data(a, data, size);
	archive_entry_free(entry);
}

static GHashTable *
read_depends(const BootKernel *kernel, char **reterr)
{
	g_autoptr(GHashTable) depends =
		g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
	GHashTableIter iter;
	gpointer name, bytes;

	g_hash_table_iter_init(&iter, kernel->modules);
	while (g_hash_table_iter_next(&iter, &name, &bytes)) {
		gsize size;
		const uint8_t *data = g_bytes_get_data(bytes, &size);
		const char *value;
		size_t length;

		if (!boot_modinfo_depends(data, size, &value, &length)) {
			*reterr = g_strdup_printf("module %s is damaged", (char *)name);
			return NULL;
		}
		g_hash_table_insert(depends, name, g_strndup(value, length));
	}
	return g_steal_pointer(&depends);
}

/* The lists, each as a text with a path and what the module is told per line; every module used is added to
 * `used`. */
static GPtrArray *
make_plans(const BootKernel *kernel, GHashTable *depends, GPtrArray *used, char **reterr)
{
	g_autoptr(GPtrArray) plans = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);

	for (const BootModuleList *list = boot_module_lists; list->name; list++) {
		g_autoptr(GPtrArray) names = g_ptr_array_new();
		GString *text = g_string_new(NULL);
		const char *missing = NULL;
		bool good =
			boot_module_plan(depends, kernel->builtin, list->modules, names, &missing);

		for (guint i = 0; i < names->len; i++) {
			const char *name = names->pdata[i];

			g_string_append_printf(text, "/banger/mod/%s.ko%s\n", name,
					       g_strcmp0(name, list->bus) == 0 ? " async_probe"
									       : "");
			if (!g_ptr_array_find(used, name, NULL))
				g_ptr_array_add(used, (gpointer)name);
		}
		g_ptr_array_add(plans, g_string_free_to_bytes(text));
		if (!good) {
			*reterr = g_strdup_printf("module %s needs one that is not there", missing);
			return NULL;
		}
	}
	return g_steal_pointer(&plans);
}

static void
write_entries(struct archive *a, const BootKernel *kernel, GPtrArray *plans, GPtrArray *used)
{
	static const char *const directories[] = { "banger", "banger/mod", "banger/plan", "base",
						   "data",   "dev",        "newroot",     "proc",
						   "root",   "run",        "sys" };

	for (size_t i = 0; i < G_N_ELEMENTS(directories); i++)
		add(a, directories[i], AE_IFDIR, 0755, 0, NULL);
	/* The kernel opens it for its first process before anything is mounted. */
	add(a, "dev/console", AE_IFCHR, 0600, 5 << 8 | 1, NULL);
	for (guint i = 0; i < plans->len; i++) {
		g_autofree char *path =
			g_strdup_printf("banger/plan/%s", boot_module_lists[i].name);

		add(a, path, AE_IFREG, 0644, 0, plans->pdata[i]);
	}
	for (guint i = 0; i < used->len; i++) {
		const char *name = used->pdata[i];
		g_autofree char *path = g_strdup_printf("banger/mod/%s.ko", name);

		add(a, path, AE_IFREG, 0644, 0, g_hash_table_lookup(kernel->modules, name));
	}
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GBytes *
boot_initramfs_make(const BootKernel *kernel, char **reterr)
{
	g_autoptr(GHashTable) depends = read_depends(kernel, reterr);
	g_autoptr(GPtrArray) used = g_ptr_array_new(), plans = NULL;
	g_autoptr(GByteArray) out = g_byte_array_new();
	struct archive *a;

	plans = depends ? make_plans(kernel, depends, used, reterr) : NULL;
	if (!plans)
		return NULL;
	g_ptr_array_sort(used, compare_names);
	a = archive_write_new();
	archive_write_set_format_cpio_newc(a);
	archive_write_set_bytes_in_last_block(a, 1);
	(void)archive_write_open(a, out, NULL, append, NULL);
	write_entries(a, kernel, plans, used);
	if (archive_write_close(a) != ARCHIVE_OK) {
		*reterr = g_strdup_printf("the initramfs: %s", archive_error_string(a));
		archive_write_free(a);
		return NULL;
	}
	archive_write_free(a);
	return g_byte_array_free_to_bytes(g_steal_pointer(&out));
}
