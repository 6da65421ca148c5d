/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One VM: its state, and what is done to it. Knows no bus and no adapter. */
#pragma once

#include "service/engine/kvm-verdict.h"
#include "service/engine/launch-plan.h"
#include "service/engine/network.h"
#include "service/engine/vm-fsm.h"
#include "service/base/vm-spec.h"
#include "service/ports/ports.h"

#define BANGER_TYPE_VM (banger_vm_get_type())
G_DECLARE_FINAL_TYPE(BangerVm, banger_vm, BANGER, VM, GObject)

/* `ports` and `kvm` outlive the VM. A VM that is restored with a live state waits for
 * banger_vm_recover_async().
 *
 * Signals: "changed" (anything but the spec); "ended" when a VMM is gone, for whatever reason. */
BangerVm *banger_vm_new(const BangerVmSpec *spec, const BangerPorts *ports, BangerKvmVerdict *kvm,
			BangerNetwork *network);
void banger_vm_restore(BangerVm *self, BangerVmState state, const char *last_error,
		       int64_t started_us);

const BangerVmSpec *banger_vm_get_spec(BangerVm *self);
BangerVmState banger_vm_get_state(BangerVm *self);
const char *banger_vm_get_last_error(BangerVm *self);
int64_t banger_vm_get_started_us(BangerVm *self);
/* "kvm", "emulation", or "" before the first start; and why. */
const char *banger_vm_get_accelerator(BangerVm *self);
const char *banger_vm_get_accelerator_reason(BangerVm *self);
/* "" while the agent has not answered. */
const char *banger_vm_get_boot_id(BangerVm *self);

/* Of its card, in host order; 0 while it has none, or while nobody has asked about the bridge. */
uint32_t banger_vm_get_address(BangerVm *self);

/* How far it reaches from now on; for one that does not run, from its next start on. BANGER_ERROR_INVALID_STATE where
 * that takes a card that it has not, or is rid of one that it has; which can be asked before. */
bool banger_vm_check_reach(BangerVm *self, BangerReach reach, GError **error);
void banger_vm_set_reach_async(BangerVm *self, BangerReach reach, const char *operation,
			       GAsyncReadyCallback callback, void *data);
bool banger_vm_set_reach_finish(BangerVm *self, GAsyncResult *result, GError **error);

/* Whether it and the user's other peers reach each other, from now on; for one without a card, from its next start. */
void banger_vm_set_peer_async(BangerVm *self, bool peer, const char *operation,
			      GAsyncReadyCallback callback, void *data);
bool banger_vm_set_peer_finish(BangerVm *self, GAsyncResult *result, GError **error);

/* Takes the ports of the host that are to lead to it, while it runs and its address is known; where it has them they
 * lead to its address of now. False, and none is taken, where one cannot be had. */
bool banger_vm_publish(BangerVm *self, GError **error);
/* The same, where it runs: takes those that can be had, and tells the log of the others. */
void banger_vm_publish_again(BangerVm *self);
/* Of those, the ones that could not: the port, "127.0.0.1:8080:80/tcp" → why; borrowed. */
GHashTable *banger_vm_get_missing_ports(BangerVm *self);

/* Other ports, in two steps (see port-list.h). First those that are to be new are taken, where it runs: false, and none
 * is, where one cannot be had. Then either they are given back, or `ports` is all that it publishes from now on, which
 * cannot fail: what is open through others is cut. */
bool banger_vm_take_ports(BangerVm *self, const GArray *ports, GError **error);
void banger_vm_give_back_ports(BangerVm *self, const GArray *ports);
void banger_vm_keep_ports(BangerVm *self, const GArray *ports);

/* Called when a step begins. */
typedef void (*BangerVmProgress)(const char *text, double progress, void *data);

/* Makes its disk (BANGER_PLAN_MAKE) and starts it (BANGER_PLAN_START); what had been done is undone where it
 * fails or is cancelled. Starting a paused VM lets it go on. `progress` may be NULL. */
void banger_vm_bring_up_async(BangerVm *self, BangerPlanFlags flags, const char *operation,
			      BangerVmProgress progress, void *progress_data,
			      GCancellable *cancellable, GAsyncReadyCallback callback, void *data);
bool banger_vm_bring_up_finish(BangerVm *self, GAsyncResult *result, GError **error);

/* False with BANGER_ERROR_INVALID_STATE where `event` cannot happen now; BANGER_ERROR_BUSY for the start of one that is
 * being deleted. */
bool banger_vm_check_event(BangerVm *self, BangerVmEvent event, GError **error);

/* Whether the helper may still have something of a VM that is in error: its release failed, or nobody could say
 * whether it runs. banger_vm_recover_async() looks, banger_vm_end_async() releases. */
bool banger_vm_is_held(BangerVm *self);
/* Whether it is not complete yet. */
bool banger_vm_is_being_made(BangerVm *self);
/* Whether it is being made, started or looked for, or has a VMM of which we know. */
bool banger_vm_is_attended(BangerVm *self);

/* From now on, until each of those that had begun is given up, it cannot be started and is not looked for: who deletes
 * it waits for its end, and then takes its disk away. */
void banger_vm_begin_deletion(BangerVm *self);
void banger_vm_give_up_deletion(BangerVm *self);
bool banger_vm_is_being_deleted(BangerVm *self);

/* Syncs, shuts down, and ends the VMM where the guest has not by itself within `timeout_s`. 0: ends it at once. */
void banger_vm_stop_async(BangerVm *self, unsigned timeout_s, const char *operation,
			  GAsyncReadyCallback callback, void *data);
bool banger_vm_stop_finish(BangerVm *self, GAsyncResult *result, GError **error);

/* Ends at once whatever there is of it, be it live, being made, or held. */
void banger_vm_end_async(BangerVm *self, const char *operation, GAsyncReadyCallback callback,
			 void *data);
bool banger_vm_end_finish(BangerVm *self, GAsyncResult *result, GError **error);

void banger_vm_kill_async(BangerVm *self, uint32_t signal_number, const char *operation,
			  GAsyncReadyCallback callback, void *data);
bool banger_vm_kill_finish(BangerVm *self, GAsyncResult *result, GError **error);

/* Finds the VM again that a daemon before this one had started, or that is held: afterwards it runs, or is stopped and
 * says why. Fails where nobody can say, and leaves it in error and held. `lives`: the helper knows of it. */
void banger_vm_recover_async(BangerVm *self, bool lives, GAsyncReadyCallback callback, void *data);
bool banger_vm_recover_finish(BangerVm *self, GAsyncResult *result, GError **error);
/* The same, for one that is to be recovered, where it is known beforehand that nobody can say. */
void banger_vm_lose(BangerVm *self, const GError *why);

/* Waits while it is starting, and looks again for one that is held; then its guest (a reference), or
 * BANGER_ERROR_INVALID_STATE or BANGER_ERROR_GUEST_UNREACHABLE. */
void banger_vm_wait_guest_async(BangerVm *self, GCancellable *cancellable,
				GAsyncReadyCallback callback, void *data);
BangerGuest *banger_vm_wait_guest_finish(BangerVm *self, GAsyncResult *result, GError **error);

/* Tells a guest that runs what time it is; after the host has slept it cannot know. */
void banger_vm_set_clock(BangerVm *self);

/* NULL where it has none now. */
BangerConsole *banger_vm_get_console(BangerVm *self);
