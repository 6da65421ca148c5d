/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* THE table: one row per method. Every row is authorized by its own polkit action (op_names), so
 * there is no column for that; every claim compares the ledger's owner with the caller, so there is
 * none for that either. */
#include "helper/op.h"
#include "helper/ops/ops.h"

const OpImpl op_table[_OP_MAX] = {
	[OP_PROBE_KVM] = {
		.claim = probe_kvm_claim,
		.run = probe_kvm_run,
	},
	[OP_LAUNCH_VMM] = {
		.check = launch_vmm_check,
		.descriptors = launch_vmm_descriptors,
		.claim = launch_vmm_claim,
		.run = launch_vmm_run,
		.settle = launch_vmm_settle,
	},
	[OP_OPEN_VMM] = {
		.check = open_vmm_check,
		.claim = running_vmm_claim,
		.run = open_vmm_run,
		.settle = running_vmm_settle,
	},
	[OP_SIGNAL_VMM] = {
		.check = signal_vmm_check,
		.claim = running_vmm_claim,
		.run = signal_vmm_run,
		.settle = running_vmm_settle,
	},
	[OP_RELEASE_VM] = {
		.check = release_vm_check,
		.claim = release_vm_claim,
		.run = release_vm_run,
		.settle = release_vm_settle,
		.done = entries_done,
	},
	[OP_LIST_RESOURCES] = {
		.claim = list_resources_claim,
		.run = list_resources_run,
		.done = entries_done,
	},
	[OP_RELEASE_USER] = {
		.check = release_user_check,
		.claim = release_user_claim,
		.run = release_user_run,
		.settle = release_user_settle,
		.done = entries_done,
		.administration = true,
		.whole_user = true,
	},
	[OP_LIST_ALL_RESOURCES] = {
		.claim = list_all_resources_claim,
		.run = list_all_resources_run,
		.done = entries_done,
		.administration = true,
	},
};
