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
	[OP_ENSURE_BRIDGE] = {
		.check = ensure_bridge_check,
		.look = net_look_around,
		.claim = ensure_bridge_claim,
		.run = ensure_bridge_run,
		.settle = ensure_bridge_settle,
		.done = net_done,
		.network = true,
		.whole_network = true,
	},
	[OP_REMOVE_BRIDGE] = {
		.check = remove_bridge_check,
		.claim = remove_bridge_claim,
		.run = remove_bridge_run,
		.settle = remove_bridge_settle,
		.network = true,
	},
	[OP_CREATE_TAP] = {
		.check = create_tap_check,
		.look = net_look_around,
		.claim = create_tap_claim,
		.run = create_tap_run,
		.settle = create_tap_settle,
		.done = net_done,
		.network = true,
	},
	[OP_DELETE_TAP] = {
		.check = delete_tap_check,
		.claim = delete_tap_claim,
		.run = delete_tap_run,
		.settle = delete_tap_settle,
		.network = true,
	},
	[OP_ENABLE_NAT] = {
		.check = enable_nat_check,
		.look = net_look_around,
		.claim = enable_nat_claim,
		.run = enable_nat_run,
		.settle = enable_nat_settle,
		.done = net_done,
		.network = true,
	},
	[OP_DISABLE_NAT] = {
		.check = disable_nat_check,
		.claim = disable_nat_claim,
		.run = disable_nat_run,
		.settle = disable_nat_settle,
		.network = true,
	},
	[OP_SET_PEER] = {
		.check = set_peer_check,
		.look = net_look_around,
		.claim = set_peer_claim,
		.run = set_peer_run,
		.settle = set_peer_settle,
		.done = net_done,
		.network = true,
	},
	[OP_ENABLE_NAME_ROUTING] = {
		.check = enable_name_routing_check,
		.claim = enable_name_routing_claim,
		.run = enable_name_routing_run,
		.settle = enable_name_routing_settle,
	},
	[OP_DISABLE_NAME_ROUTING] = {
		.check = disable_name_routing_check,
		.claim = disable_name_routing_claim,
		.run = disable_name_routing_run,
		.settle = disable_name_routing_settle,
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
		.network = true,
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
		.network = true,
	},
	[OP_LIST_ALL_RESOURCES] = {
		.claim = list_all_resources_claim,
		.run = list_all_resources_run,
		.done = entries_done,
		.administration = true,
	},
};
