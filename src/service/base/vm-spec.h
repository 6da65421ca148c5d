/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a VM is: the values that were chosen at its creation. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "service/base/port-list.h"
#include "shared/rules/vmm-spec.h"

/* How far a VM reaches. */
typedef enum BangerReach {
	BANGER_REACH_NONE, /* without a network card */
	BANGER_REACH_HOST, /* its user on the host reaches it, and it reaches nothing */
	BANGER_REACH_NAT,  /* the world, but no private address */
	BANGER_REACH_LAN,  /* everything that the host reaches */
	_BANGER_REACH_MAX,
	_BANGER_REACH_INVALID = -EINVAL,
} BangerReach;

BN_DECLARE_ENUM_TABLE(banger_reach, BangerReach);

typedef enum BangerAccelerator {
	BANGER_ACCELERATOR_AUTO, /* KVM where the probe proves it, else emulation */
	BANGER_ACCELERATOR_KVM,
	BANGER_ACCELERATOR_EMULATION,
	_BANGER_ACCELERATOR_MAX,
	_BANGER_ACCELERATOR_INVALID = -EINVAL,
} BangerAccelerator;

BN_DECLARE_ENUM_TABLE(banger_accelerator, BangerAccelerator);

#define BANGER_VM_DEFAULT_VCPUS  2
#define BANGER_VM_DEFAULT_MEMORY (1 * BN_GIB)
#define BANGER_VM_DEFAULT_DISK   (8 * BN_GIB)

/* All strings are owned. */
typedef struct BangerVmSpec {
	char *id;
	char *name;
	char *image;  /* id */
	char *kernel; /* id */
	uint32_t vcpus;
	uint64_t memory_bytes;
	uint64_t disk_bytes;
	BnVmmKind vmm;
	BangerAccelerator accelerator;
	bool use_init; /* hand PID 1 to the image's init where it has one */
	bool ephemeral;
	BangerReach reach;
	GArray *ports;      /* those of the host that lead to it; see port-list.h */
	bool peer;          /* the user's other peers and it reach each other */
	uint32_t host;      /* its number in the user's subnet; 0: it has no network, or none yet */
	int64_t created_us; /* since 1970 UTC */
} BangerVmSpec;

/* A spec with the defaults and nothing named yet. */
BangerVmSpec *banger_vm_spec_new(void);
BangerVmSpec *banger_vm_spec_dup(const BangerVmSpec *spec);
void banger_vm_spec_free(BangerVmSpec *spec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BangerVmSpec, banger_vm_spec_free)

/* "auto" or "none", else BANGER_ERROR_INVALID_ARGUMENT. */
bool banger_vm_spec_set_init(BangerVmSpec *spec, const char *init, GError **error);

/* False with BANGER_ERROR_INVALID_ARGUMENT where it is none. */
bool banger_reach_check(BangerReach reach, GError **error);

/* The same: both take a card. */
bool banger_vm_spec_check_peer(BangerReach reach, bool peer, GError **error);
bool banger_vm_spec_check_ports(BangerReach reach, const GArray *ports, GError **error);

/* False with BANGER_ERROR_INVALID_ARGUMENT naming the option that is out of bounds. */
bool banger_vm_spec_check(const BangerVmSpec *spec, GError **error);
/* The same for one that exists: names could look like ids once. */
bool banger_vm_spec_check_kept(const BangerVmSpec *spec, GError **error);
