/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot/modinfo.h"

#include <elf.h>
#include <string.h>

/* Copies a struct out of the file: it may lie at any address. */
static bool
fetch(const uint8_t *data, size_t size, uint64_t offset, void *ret, size_t length)
{
	if (offset > size || length > size - offset)
		return false;
	memcpy(ret, data + offset, length);
	return true;
}

static bool
fetch_section(const uint8_t *data, size_t size, const Elf64_Ehdr *elf, unsigned index,
	      Elf64_Shdr *ret)
{
	uint64_t offset;

	return !__builtin_add_overflow(elf->e_shoff, (uint64_t)index * sizeof(*ret), &offset) &&
	       fetch(data, size, offset, ret, sizeof(*ret)) &&
	       (ret->sh_type == SHT_NOBITS ||
		(ret->sh_offset <= size && ret->sh_size <= size - ret->sh_offset));
}

static bool
has_name(const uint8_t *data, const Elf64_Shdr *names, const Elf64_Shdr *section, const char *name)
{
	size_t length = strlen(name) + 1;

	return section->sh_name < names->sh_size && length <= names->sh_size - section->sh_name &&
	       memcmp(data + names->sh_offset + section->sh_name, name, length) == 0;
}

/* The section is a row of NUL-terminated "key=value". */
static void
find_depends(const char *info, size_t size, const char **ret, size_t *ret_size)
{
	static const char key[] = "depends=";

	*ret = "";
	*ret_size = 0;
	for (size_t at = 0; at < size;) {
		size_t length = strnlen(info + at, size - at);

		if (length >= sizeof(key) - 1 && memcmp(info + at, key, sizeof(key) - 1) == 0) {
			*ret = info + at + sizeof(key) - 1;
			*ret_size = length - (sizeof(key) - 1);
			return;
		}
		at += length + 1;
	}
}

bool
boot_modinfo_depends(const uint8_t *data, size_t size, const char **ret, size_t *ret_size)
{
	Elf64_Ehdr elf;
	Elf64_Shdr names, section;

	if (!fetch(data, size, 0, &elf, sizeof(elf)) || memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 ||
	    elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_shentsize != sizeof(Elf64_Shdr) ||
	    !fetch_section(data, size, &elf, elf.e_shstrndx, &names) || names.sh_type != SHT_STRTAB)
		return false;
	for (unsigned i = 0; i < elf.e_shnum; i++) {
		if (!fetch_section(data, size, &elf, i, &section))
			return false;
		if (section.sh_type == SHT_NOBITS || !has_name(data, &names, &section, ".modinfo"))
			continue;
		find_depends((const char *)data + section.sh_offset, section.sh_size, ret,
			     ret_size);
		return true;
	}
	return false;
}
