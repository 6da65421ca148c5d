/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a VMM is asked to be, in the words every layer shares: daemon, helper and jail.
 *
 * It is plain data of a fixed size, so that the struct the helper had authorized is, byte for byte,
 * the struct the jail executes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/enum-table.h"
#include "shared/rules/limits.h"
#include "shared/rules/net.h"

typedef enum BnVmmKind {
	/* QEMU's microvm machine, virtio over mmio: the fastest to start where the guest's kernel finds
	 * its devices by ACPI. */
	BN_VMM_QEMU_MICROVM,
	/* QEMU's q35 machine, virtio over PCI: boots any kernel. */
	BN_VMM_QEMU_Q35,
	_BN_VMM_MAX,
	_BN_VMM_INVALID = -EINVAL,
} BnVmmKind;

/* "qemu-microvm", "qemu-q35": on the bus, in the database and on the command line. */
BN_DECLARE_ENUM_TABLE(bn_vmm_kind, BnVmmKind);

typedef struct BnVmmSpec {
	int32_t kind; /* BnVmmKind */
	uint32_t kvm; /* 1: hardware virtualisation, 0: emulation */
	uint32_t vcpus;
	uint32_t n_disks;
	uint64_t memory_bytes; /* a multiple of 1 MiB */
	/* 1: the descriptor was opened read-only and the guest sees a read-only disk. */
	uint8_t disk_read_only[BN_DISKS_MAX];
	uint8_t network;                  /* 1: a card, on the tap that comes with the spec */
	uint8_t mac[BN_MAC_LENGTH];       /* of that card, as bn_net_mac() makes it; else 0 */
	char cmdline[BN_CMDLINE_MAX + 1]; /* printable ASCII, NUL-terminated */
} BnVmmSpec;

/* NULL where the spec is within every bound of limits.h, else the name of the D-Bus argument that
 * is not ("vcpus", "memory", "cmdline", …). Every unused byte of the struct must be 0. */
const char *bn_vmm_spec_check(const BnVmmSpec *spec);
