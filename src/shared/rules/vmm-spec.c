/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/rules/vmm-spec.h"

#include <string.h>

static const char *const kind_table[_BN_VMM_MAX] = {
	[BN_VMM_QEMU_MICROVM] = "qemu-microvm",
	[BN_VMM_QEMU_Q35] = "qemu-q35",
};

BN_DEFINE_ENUM_TABLE(bn_vmm_kind, BnVmmKind, kind_table);

static bool
is_cmdline(const char *s)
{
	size_t n = strnlen(s, BN_CMDLINE_MAX + 1);

	if (n > BN_CMDLINE_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] > 0x7e)
			return false;
	/* Bytes behind the end would travel unseen. */
	for (size_t i = n; i <= BN_CMDLINE_MAX; i++)
		if (s[i] != '\0')
			return false;
	return true;
}

/* Of a card an address of bn_net_mac(), of no card none. */
static bool
is_network(const BnVmmSpec *spec)
{
	const uint8_t *mac = spec->mac;
	uint8_t wanted[BN_MAC_LENGTH] = {};

	if (spec->network > 1)
		return false;
	if (spec->network)
		bn_net_mac((uint32_t)mac[2] << 24 | (uint32_t)mac[3] << 16 | (uint32_t)mac[4] << 8 |
				   mac[5],
			   wanted);
	return memcmp(mac, wanted, sizeof(wanted)) == 0;
}

const char *
bn_vmm_spec_check(const BnVmmSpec *spec)
{
	if (spec->kind < 0 || spec->kind >= _BN_VMM_MAX)
		return "vmm";
	if (spec->kvm > 1)
		return "kvm";
	if (spec->vcpus < 1 || spec->vcpus > BN_VCPUS_MAX)
		return "vcpus";
	if (spec->memory_bytes < BN_MEMORY_MIN || spec->memory_bytes > BN_MEMORY_MAX ||
	    spec->memory_bytes % BN_MIB != 0)
		return "memory";
	if (spec->n_disks > BN_DISKS_MAX)
		return "disks";
	for (size_t i = 0; i < BN_DISKS_MAX; i++)
		if (spec->disk_read_only[i] > (i < spec->n_disks ? 1 : 0))
			return "disks";
	if (!is_network(spec))
		return "network";
	if (!is_cmdline(spec->cmdline))
		return "cmdline";
	return NULL;
}
