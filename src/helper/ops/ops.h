/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations: one set of stages per method; see op.h for what each stage may do. */
#pragma once

#include "helper/kernel/kernel.h"
#include "helper/op.h"

int probe_kvm_claim(const OpEnv *env, OpCall *call);
int probe_kvm_run(const Kernel *kernel, OpCall *call);

int ensure_bridge_check(OpCall *call);
int ensure_bridge_claim(const OpEnv *env, OpCall *call);
int ensure_bridge_run(const Kernel *kernel, OpCall *call);
int ensure_bridge_settle(const OpEnv *env, OpCall *call, int result);
int remove_bridge_check(OpCall *call);
int remove_bridge_claim(const OpEnv *env, OpCall *call);
int remove_bridge_run(const Kernel *kernel, OpCall *call);
int remove_bridge_settle(const OpEnv *env, OpCall *call, int result);
int create_tap_check(OpCall *call);
int create_tap_claim(const OpEnv *env, OpCall *call);
int create_tap_run(const Kernel *kernel, OpCall *call);
int create_tap_settle(const OpEnv *env, OpCall *call, int result);
int delete_tap_check(OpCall *call);
int delete_tap_claim(const OpEnv *env, OpCall *call);
int delete_tap_run(const Kernel *kernel, OpCall *call);
int delete_tap_settle(const OpEnv *env, OpCall *call, int result);
int enable_nat_check(OpCall *call);
int enable_nat_claim(const OpEnv *env, OpCall *call);
int enable_nat_run(const Kernel *kernel, OpCall *call);
int enable_nat_settle(const OpEnv *env, OpCall *call, int result);
int disable_nat_check(OpCall *call);
int disable_nat_claim(const OpEnv *env, OpCall *call);
int disable_nat_run(const Kernel *kernel, OpCall *call);
int disable_nat_settle(const OpEnv *env, OpCall *call, int result);
int set_peer_check(OpCall *call);
int set_peer_claim(const OpEnv *env, OpCall *call);
int set_peer_run(const Kernel *kernel, OpCall *call);
int set_peer_settle(const OpEnv *env, OpCall *call, int result);
int enable_name_routing_check(OpCall *call);
int enable_name_routing_claim(const OpEnv *env, OpCall *call);
int enable_name_routing_run(const Kernel *kernel, OpCall *call);
int enable_name_routing_settle(const OpEnv *env, OpCall *call, int result);
int disable_name_routing_check(OpCall *call);
int disable_name_routing_claim(const OpEnv *env, OpCall *call);
int disable_name_routing_run(const Kernel *kernel, OpCall *call);
int disable_name_routing_settle(const OpEnv *env, OpCall *call, int result);
/* What the host's networks are, into call->work.net; and the end of that. */
int net_look_around(const OpEnv *env, OpCall *call);
void net_done(OpCall *call);

int launch_vmm_check(OpCall *call);
int launch_vmm_descriptors(OpCall *call);
int launch_vmm_claim(const OpEnv *env, OpCall *call);
int launch_vmm_run(const Kernel *kernel, OpCall *call);
int launch_vmm_settle(const OpEnv *env, OpCall *call, int result);

int open_vmm_check(OpCall *call);
int open_vmm_run(const Kernel *kernel, OpCall *call);
int signal_vmm_check(OpCall *call);
int signal_vmm_run(const Kernel *kernel, OpCall *call);
/* Of both: the VM must run and be the caller's. */
int running_vmm_claim(const OpEnv *env, OpCall *call);
int running_vmm_settle(const OpEnv *env, OpCall *call, int result);

int release_vm_check(OpCall *call);
int release_vm_claim(const OpEnv *env, OpCall *call);
int release_vm_run(const Kernel *kernel, OpCall *call);
int release_vm_settle(const OpEnv *env, OpCall *call, int result);
int release_user_check(OpCall *call);
int release_user_claim(const OpEnv *env, OpCall *call);
int release_user_run(const Kernel *kernel, OpCall *call);
int release_user_settle(const OpEnv *env, OpCall *call, int result);

int list_resources_claim(const OpEnv *env, OpCall *call);
int list_resources_run(const Kernel *kernel, OpCall *call);
int list_all_resources_claim(const OpEnv *env, OpCall *call);
int list_all_resources_run(const Kernel *kernel, OpCall *call);

/* Of all that keep copies of ledger entries. */
void entries_done(OpCall *call);

/* The verdict on KVM of this boot, found out now where nobody did yet, in a jail of `jail_uid`: nothing
 * of that uid may run. */
int kvm_verdict(const Kernel *kernel, uid_t jail_uid, KernelVerdict *ret);
