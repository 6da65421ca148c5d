/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot/bzimage.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <stdbool.h>
#include <string.h>

#include "shared/rules/limits.h"

/* Offsets in the setup header; protocol 2.08 brought the payload's. */
#define SETUP_SECTS    0x1f1
#define MAGIC          0x202
#define VERSION        0x206
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define HEADER_SIZE    0x250
#define VERSION_MIN    0x0208

static uint32_t
load(const uint8_t *p, size_t bytes)
{
	uint32_t value = 0;

	for (size_t i = bytes; i > 0; i--)
		value = value << 8 | p[i - 1];
	return value;
}

static bool
is_elf(const uint8_t *data, size_t size)
{
	return size > sizeof(Elf64_Ehdr) && memcmp(data, ELFMAG, SELFMAG) == 0 &&
	       data[EI_CLASS] == ELFCLASS64;
}

static bool
find_payload(const uint8_t *data, size_t size, const uint8_t **ret, size_t *ret_size)
{
	uint64_t sectors, start, offset, length;

	if (size < HEADER_SIZE || memcmp(data + MAGIC, "HdrS", 4) != 0 ||
	    load(data + VERSION, 2) < VERSION_MIN)
		return false;
	/* 0 means 4, for the sake of very old loaders. */
	sectors = data[SETUP_SECTS] ? data[SETUP_SECTS] : 4;
	start = (sectors + 1) * 512;
	offset = start + load(data + PAYLOAD_OFFSET, 4);
	length = load(data + PAYLOAD_LENGTH, 4);
	if (offset > size || length > size - offset)
		return false;
	*ret = data + offset;
	*ret_size = length;
	return true;
}

/* Whatever compressor it was: gzip, xz, lz4, zstd, lzma, bzip2, lzo. The kernel's build appends four bytes that
 * belong to none of them, so an error behind the end is not one. */
static GByteArray *
decompress(const uint8_t *data, size_t size)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	g_autoptr(GByteArray) out = g_byte_array_new();
	uint8_t buffer[65536];
	la_ssize_t n = 0;

	archive_read_support_format_raw(a);
	archive_read_support_filter_all(a);
	if (archive_read_open_memory(a, data, size) == ARCHIVE_OK &&
	    archive_read_next_header(a, &entry) == ARCHIVE_OK)
		while ((n = archive_read_data(a, buffer, sizeof(buffer))) > 0 &&
		       out->len + (size_t)n <= BN_KERNEL_MAX)
			g_byte_array_append(out, buffer, (guint)n);
	archive_read_free(a);
	return n > 0 ? NULL : g_steal_pointer(&out);
}

/* What the program headers say must be there. */
static bool
is_complete(const uint8_t *data, size_t size)
{
	Elf64_Ehdr elf;

	memcpy(&elf, data, sizeof(elf));
	if (elf.e_phentsize != sizeof(Elf64_Phdr) || elf.e_phoff > size ||
	    elf.e_phnum * sizeof(Elf64_Phdr) > size - elf.e_phoff)
		return false;
	for (unsigned i = 0; i < elf.e_phnum; i++) {
		Elf64_Phdr part;

		memcpy(&part, data + elf.e_phoff + i * sizeof(part), sizeof(part));
		if (part.p_offset > size || part.p_filesz > size - part.p_offset)
			return false;
	}
	return true;
}

GBytes *
boot_bzimage_extract(const uint8_t *data, size_t size, const char **reterr)
{
	g_autoptr(GByteArray) elf = NULL;
	const uint8_t *payload;
	size_t payload_size;

	if (is_elf(data, size))
		return is_complete(data, size) ? g_bytes_new(data, size)
					       : (*reterr = "the ELF kernel is cut short", NULL);
	if (!find_payload(data, size, &payload, &payload_size)) {
		*reterr = "neither a bzImage (protocol 2.08 or newer) nor an ELF kernel";
		return NULL;
	}
	elf = decompress(payload, payload_size);
	if (!elf || !is_elf(elf->data, elf->len) || !is_complete(elf->data, elf->len)) {
		*reterr = "the kernel in the bzImage cannot be uncompressed";
		return NULL;
	}
	return g_byte_array_free_to_bytes(g_steal_pointer(&elf));
}
