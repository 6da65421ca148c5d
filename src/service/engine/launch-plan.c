/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/engine/launch-plan.h"

static const char *const step_table[_BANGER_STEP_MAX] = {
	[BANGER_STEP_MAKE_DISK] = "make-disk",
	[BANGER_STEP_ACCELERATOR] = "accelerator",
	[BANGER_STEP_KERNEL] = "kernel",
	[BANGER_STEP_DISKS] = "disks",
	[BANGER_STEP_BRIDGE] = "bridge",
	[BANGER_STEP_TAP] = "tap",
	[BANGER_STEP_NAT] = "nat",
	[BANGER_STEP_PORTS] = "ports",
	[BANGER_STEP_LAUNCH] = "launch",
	[BANGER_STEP_GUEST] = "guest",
};

BN_DEFINE_ENUM_TABLE(banger_step, BangerStep, step_table);

BangerPlan
banger_launch_plan_make(BangerPlanFlags flags, const BangerVmSpec *spec)
{
	BangerPlan plan = {};

	if (flags & BANGER_PLAN_MAKE)
		plan.steps[plan.n++] = BANGER_STEP_MAKE_DISK;
	if (flags & BANGER_PLAN_START) {
		plan.steps[plan.n++] = BANGER_STEP_ACCELERATOR;
		plan.steps[plan.n++] = BANGER_STEP_KERNEL;
		plan.steps[plan.n++] = BANGER_STEP_DISKS;
		if (spec->reach != BANGER_REACH_NONE) {
			plan.steps[plan.n++] = BANGER_STEP_BRIDGE;
			plan.steps[plan.n++] = BANGER_STEP_TAP;
		}
		if (spec->reach == BANGER_REACH_NAT || spec->reach == BANGER_REACH_LAN)
			plan.steps[plan.n++] = BANGER_STEP_NAT;
		if (spec->ports->len > 0)
			plan.steps[plan.n++] = BANGER_STEP_PORTS;
		plan.steps[plan.n++] = BANGER_STEP_LAUNCH;
		plan.steps[plan.n++] = BANGER_STEP_GUEST;
	}
	return plan;
}

static const char *
accelerator_text(BangerAccelerator accelerator)
{
	static const char *const texts[_BANGER_ACCELERATOR_MAX] = {
		[BANGER_ACCELERATOR_AUTO] = "use KVM if a probe proves it, else emulation",
		[BANGER_ACCELERATOR_KVM] = "use KVM, and fail if a probe refutes it",
		[BANGER_ACCELERATOR_EMULATION] = "use emulation",
	};

	return texts[accelerator];
}

static char *
render_ports(const BangerVmSpec *spec)
{
	g_auto(GStrv) ports = banger_port_list_render(spec->ports);
	g_autofree char *list = g_strjoinv(", ", ports);

	return g_strdup_printf("pass on ports of this computer: %s (undo: give them back)", list);
}

static char *
render_step(BangerStep step, const BangerVmSpec *spec, const char *image, const char *kernel)
{
	switch (step) {
	case BANGER_STEP_MAKE_DISK:
		return g_strdup_printf("make an empty disk of %" G_GUINT64_FORMAT
				       " MiB over image %s (undo: remove it)",
				       spec->disk_bytes / BN_MIB, image);
	case BANGER_STEP_ACCELERATOR:
		return g_strdup(accelerator_text(spec->accelerator));
	case BANGER_STEP_KERNEL:
		return g_strdup_printf("load kernel %s and its initramfs into memory", kernel);
	case BANGER_STEP_DISKS:
		return g_strdup_printf("open image %s for reading and the disk for writing", image);
	case BANGER_STEP_BRIDGE:
		return g_strdup("have a bridge for the VMs of this user, by "
				"org.banger.helper.ensure-bridge");
	case BANGER_STEP_TAP:
		return g_strdup_printf("connect it with the bridge%s, by "
				       "org.banger.helper.create-tap (undo: disconnect it)",
				       spec->peer ? " and with its peers there" : "");
	case BANGER_STEP_NAT:
		return g_strdup_printf("let it reach %s, by org.banger.helper.enable-nat",
				       spec->reach == BANGER_REACH_LAN
					       ? "everything that this computer reaches"
					       : "the world, but no private address");
	case BANGER_STEP_PORTS:
		return render_ports(spec);
	case BANGER_STEP_LAUNCH:
		return g_strdup_printf(
			"start %s with %u processors and %" G_GUINT64_FORMAT
			" MiB in a jail, by org.banger.helper.launch-vmm (undo: end it)",
			bn_vmm_kind_to_string(spec->vmm), spec->vcpus, spec->memory_bytes / BN_MIB);
	case BANGER_STEP_GUEST:
		return g_strdup("wait for the guest's agent");
	default:
		g_assert_not_reached();
	}
}

char **
banger_launch_plan_render(const BangerPlan *plan, const BangerVmSpec *spec, const char *image_name,
			  const char *kernel_name)
{
	g_autoptr(GStrvBuilder) lines = g_strv_builder_new();

	for (size_t i = 0; i < plan->n; i++) {
		g_autofree char *line = render_step(plan->steps[i], spec, image_name, kernel_name);

		g_strv_builder_add(lines, line);
	}
	return g_strv_builder_end(lines);
}
