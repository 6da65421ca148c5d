/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot/uncompress.h"

#include <archive_entry.h>

void
boot_uncompress_enable(struct archive *a)
{
	int (*const filters[])(struct archive *) = {
		archive_read_support_filter_bzip2, archive_read_support_filter_gzip,
		archive_read_support_filter_lz4,   archive_read_support_filter_lzma,
		archive_read_support_filter_xz,    archive_read_support_filter_zstd,
	};

	/* A warning means that libarchive was built without it. */
	for (size_t i = 0; i < G_N_ELEMENTS(filters); i++)
		(void)filters[i](a);
}

GBytes *
boot_uncompress(const uint8_t *data, size_t size, size_t max)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	g_autoptr(GByteArray) out = g_byte_array_new();
	uint8_t buffer[65536];
	la_ssize_t n = -1;

	boot_uncompress_enable(a);
	(void)archive_read_support_format_raw(a);
	if (archive_read_open_memory(a, data, size) == ARCHIVE_OK &&
	    archive_read_next_header(a, &entry) == ARCHIVE_OK)
		while ((n = archive_read_data(a, buffer, sizeof(buffer))) > 0 &&
		       out->len + (size_t)n <= max)
			g_byte_array_append(out, buffer, (guint)n);
	archive_read_free(a);
	return n != 0 || out->len == 0 ? NULL : g_byte_array_free_to_bytes(g_steal_pointer(&out));
}
