/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot/bzimage.h"

#include <elf.h>
#include <stdbool.h>
#include <string.h>

#include "boot/uncompress.h"
#include "shared/rules/limits.h"

/* Offsets in the setup header; protocol 2.08 brought the payload's. */
#define SETUP_SECTS    0x1f1
#define MAGIC          0x202
#define VERSION        0x206
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define HEADER_SIZE    0x250
#define VERSION_MIN    0x0208

#define SIZE_TAIL 4

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

static GBytes *
uncompress_elf(const uint8_t *payload, size_t size)
{
	g_autoptr(GBytes) elf = boot_uncompress(payload, size, BN_KERNEL_MAX);
	gsize elf_size = 0;
	const uint8_t *data = elf ? g_bytes_get_data(elf, &elf_size) : NULL;

	return is_elf(data, elf_size) && is_complete(data, elf_size) ? g_steal_pointer(&elf) : NULL;
}

/* gzip ends with the length of what went in; behind all others the kernel's build writes it, and to them those
 * four bytes are damage (scripts/Makefile.lib, size_append). */
static GBytes *
extract_payload(const uint8_t *payload, size_t size)
{
	bool is_gzip = size > 2 && payload[0] == 0x1f && payload[1] == 0x8b;
	GBytes *elf =
		is_gzip || size < SIZE_TAIL ? NULL : uncompress_elf(payload, size - SIZE_TAIL);

	return elf ? elf : uncompress_elf(payload, size);
}

GBytes *
boot_bzimage_extract(const uint8_t *data, size_t size, const char **reterr)
{
	const uint8_t *payload;
	GBytes *elf;
	size_t payload_size;

	if (is_elf(data, size))
		return is_complete(data, size) ? g_bytes_new(data, size)
					       : (*reterr = "the ELF kernel is cut short", NULL);
	if (!find_payload(data, size, &payload, &payload_size)) {
		*reterr = "neither a bzImage (protocol 2.08 or newer) nor an ELF kernel";
		return NULL;
	}
	elf = extract_payload(payload, payload_size);
	if (!elf)
		*reterr = "the kernel in the bzImage cannot be uncompressed";
	return elf;
}
