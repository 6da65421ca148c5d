/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest kernel's command line, with what the agent reads from it. Pure. */
#pragma once

#include "shared/rules/net-config.h"
#include "shared/rules/vmm-spec.h"

typedef enum BnBootRoot {
	BN_BOOT_ROOT_OVERLAY, /* vda is the base, vdb what is written */
	BN_BOOT_ROOT_DISK,    /* vda is the root */
	BN_BOOT_ROOT_NONE,    /* stay in the initramfs */
	_BN_BOOT_ROOT_MAX,
	_BN_BOOT_ROOT_INVALID = -EINVAL,
} BnBootRoot;

BN_DECLARE_ENUM_TABLE(bn_boot_root, BnBootRoot);

typedef enum BnBootInit {
	BN_BOOT_INIT_AUTO, /* the image's init where it has one */
	BN_BOOT_INIT_NONE, /* no init: our first process stays */
	_BN_BOOT_INIT_MAX,
	_BN_BOOT_INIT_INVALID = -EINVAL,
} BnBootInit;

BN_DECLARE_ENUM_TABLE(bn_boot_init, BnBootInit);

/* Where the devices are: which drivers find them. */
typedef enum BnBootBus {
	BN_BOOT_BUS_PCI,
	BN_BOOT_BUS_MMIO,
	_BN_BOOT_BUS_MAX,
	_BN_BOOT_BUS_INVALID = -EINVAL,
} BnBootBus;

BN_DECLARE_ENUM_TABLE(bn_boot_bus, BnBootBus);

typedef struct BnBootCmdline {
	BnVmmKind kind;
	bool kvm;
	uint32_t tsc_khz; /* of the host; 0: unknown */
	const char *hostname;
	BnBootRoot root;
	BnBootInit init;
	const BnNetConfig *network; /* NULL: none */
} BnBootCmdline;

/* 0, -EINVAL where the host name or the network is not one, or -E2BIG. */
int bn_boot_cmdline_make(const BnBootCmdline *line, char ret[static BN_CMDLINE_MAX + 1]);
