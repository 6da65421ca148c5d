/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is done, in which order, to bring a VM up; and what undoes each step. Pure: the same text is
 * compared in tests and printed by --dry-run. */
#pragma once

#include "service/base/vm-spec.h"

typedef enum BangerStep {
	BANGER_STEP_MAKE_DISK,   /* the disk the guest writes */
	BANGER_STEP_ACCELERATOR, /* KVM or emulation: the helper's probe */
	BANGER_STEP_KERNEL,      /* kernel and initramfs in sealed memory */
	BANGER_STEP_DISKS,       /* descriptors of base and writable disk */
	BANGER_STEP_BRIDGE,      /* the user's, where the VM has a network */
	BANGER_STEP_TAP,         /* its port of it */
	BANGER_STEP_NAT,         /* how far it reaches */
	BANGER_STEP_PORTS,       /* those of the host that lead to it */
	BANGER_STEP_LAUNCH,      /* the VMM in its jail */
	BANGER_STEP_GUEST,       /* the agent's first answer */
	_BANGER_STEP_MAX,
	_BANGER_STEP_INVALID = -EINVAL,
} BangerStep;

BN_DECLARE_ENUM_TABLE(banger_step, BangerStep);

typedef enum BangerPlanFlags {
	BANGER_PLAN_MAKE = 1 << 0,
	BANGER_PLAN_START = 1 << 1,
} BangerPlanFlags;

typedef struct BangerPlan {
	BangerStep steps[_BANGER_STEP_MAX];
	size_t n;
} BangerPlan;

/* Of `spec` only what decides which steps there are: how far it reaches, and whether it publishes ports. */
BangerPlan banger_launch_plan_make(BangerPlanFlags flags, const BangerVmSpec *spec);

/* One line for each step, with its inverse: what it will do to the VM that `spec` describes. The
 * names of image and kernel are for people. NULL-terminated; freed by g_strfreev(). */
char **banger_launch_plan_render(const BangerPlan *plan, const BangerVmSpec *spec,
				 const char *image_name, const char *kernel_name);
