/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/base/vm-spec.h"

#include "service/base/error.h"
#include "shared/rules/names.h"

static const char *const accelerator_table[_BANGER_ACCELERATOR_MAX] = {
	[BANGER_ACCELERATOR_AUTO] = "auto",
	[BANGER_ACCELERATOR_KVM] = "kvm",
	[BANGER_ACCELERATOR_EMULATION] = "emulation",
};

static const char *const reach_table[_BANGER_REACH_MAX] = {
	[BANGER_REACH_NONE] = "none",
	[BANGER_REACH_HOST] = "host",
	[BANGER_REACH_NAT] = "nat",
	[BANGER_REACH_LAN] = "lan",
};

BN_DEFINE_ENUM_TABLE(banger_reach, BangerReach, reach_table);

BN_DEFINE_ENUM_TABLE(banger_accelerator, BangerAccelerator, accelerator_table);

BangerVmSpec *
banger_vm_spec_new(void)
{
	BangerVmSpec *spec = g_new0(BangerVmSpec, 1);

	spec->vcpus = BANGER_VM_DEFAULT_VCPUS;
	spec->memory_bytes = BANGER_VM_DEFAULT_MEMORY;
	spec->disk_bytes = BANGER_VM_DEFAULT_DISK;
	spec->vmm = BN_VMM_QEMU_MICROVM;
	spec->accelerator = BANGER_ACCELERATOR_AUTO;
	spec->use_init = true;
	spec->ports = banger_port_list_new();
	return spec;
}

BangerVmSpec *
banger_vm_spec_dup(const BangerVmSpec *spec)
{
	BangerVmSpec *copy = g_memdup2(spec, sizeof(*spec));

	copy->id = g_strdup(spec->id);
	copy->name = g_strdup(spec->name);
	copy->image = g_strdup(spec->image);
	copy->kernel = g_strdup(spec->kernel);
	copy->ports = g_array_copy(spec->ports);
	return copy;
}

void
banger_vm_spec_free(BangerVmSpec *spec)
{
	if (!spec)
		return;
	g_free(spec->id);
	g_free(spec->name);
	g_free(spec->image);
	g_free(spec->kernel);
	g_array_unref(spec->ports);
	g_free(spec);
}

static bool
refuse(GError **error, const char *key, const char *allowed)
{
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT, "option '%s': must be %s",
		    key, allowed);
	return false;
}

bool
banger_vm_spec_set_init(BangerVmSpec *spec, const char *init, GError **error)
{
	spec->use_init = g_str_equal(init, "auto");
	return spec->use_init || g_str_equal(init, "none") ||
	       refuse(error, "init", "\"auto\" or \"none\"");
}

bool
banger_reach_check(BangerReach reach, GError **error)
{
	return (int)reach >= 0 ||
	       refuse(error, "network", "\"none\", \"host\", \"nat\" or \"lan\"");
}

bool
banger_vm_spec_check_ports(BangerReach reach, const GArray *ports, GError **error)
{
	return ports->len == 0 || reach != BANGER_REACH_NONE ||
	       refuse(error, "publish", "of a VM with a network, \"host\" at least");
}

bool
banger_vm_spec_check_kept(const BangerVmSpec *spec, GError **error)
{
	if (!bn_names_is_vm(spec->name))
		return refuse(error, "name",
			      "1 to 63 of a-z, 0-9 and hyphen, no hyphen first or last");
	if (spec->vcpus < 1 || spec->vcpus > BN_VCPUS_MAX)
		return refuse(error, "vcpus", "1 to 64");
	if (spec->memory_bytes < BN_MEMORY_MIN || spec->memory_bytes > BN_MEMORY_MAX ||
	    spec->memory_bytes % BN_MIB != 0)
		return refuse(error, "memory", "64 MiB to 1 TiB, in whole MiB");
	if (spec->disk_bytes < BN_DISK_MIN || spec->disk_bytes > BN_DISK_MAX ||
	    spec->disk_bytes % BN_MIB != 0)
		return refuse(error, "disk", "64 MiB to less than 16 TiB, in whole MiB");
	if ((int)spec->vmm < 0)
		return refuse(error, "vmm", "\"qemu-microvm\" or \"qemu-q35\"");
	if ((int)spec->accelerator < 0)
		return refuse(error, "accelerator", "\"auto\", \"kvm\" or \"emulation\"");
	if (!banger_reach_check(spec->reach, error))
		return false;
	return true;
}

bool
banger_vm_spec_check_peer(BangerReach reach, bool peer, GError **error)
{
	return !peer || reach != BANGER_REACH_NONE ||
	       refuse(error, "peer", "of a VM with a network");
}

bool
banger_vm_spec_check(const BangerVmSpec *spec, GError **error)
{
	if (bn_names_is_id(spec->name))
		return refuse(error, "name", "other than 32 hex digits, which are an id");
	/* Later it may have lost its network, and get another. */
	if (!banger_vm_spec_check_peer(spec->reach, spec->peer, error))
		return false;
	if (!banger_vm_spec_check_ports(spec->reach, spec->ports, error))
		return false;
	return banger_vm_spec_check_kept(spec, error);
}
