/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What exists: VMs, images, kernels and jobs of one user. Knows no bus, and touches the world through ports only. */
#pragma once

#include "service/engine/vm.h"
#include "service/manager/job.h"
#include "service/manager/store.h"

#define BANGER_TYPE_MANAGER (banger_manager_get_type())
G_DECLARE_FINAL_TYPE(BangerManager, banger_manager, BANGER, MANAGER, GObject)

/* Signals, each with the object it is about: "vm-added" and "vm-removed" (BangerVm *), "image-added" and "image-removed"
 * (const BangerImageRow *), "kernel-added" and "kernel-removed" (const BangerKernelRow *), "job-added" (BangerJob *);
 * "changed": the defaults. `ports` must stay. */
BangerManager *banger_manager_new(BangerStore *store, const BangerPorts *ports,
				  BangerKvmVerdict *kvm, GError **error);

/* Borrowed: what it was made with. */
BangerKvmVerdict *banger_manager_get_kvm(BangerManager *self);
const BangerPorts *banger_manager_get_ports(BangerManager *self);

/* Compares what is recorded with what really runs, mends the record and says what it changed. */
void banger_manager_recover_async(BangerManager *self, GAsyncReadyCallback callback, void *data);
void banger_manager_recover_finish(BangerManager *self, GAsyncResult *result);

/* Borrowed lists of what there is. */
GList *banger_manager_list_vms(BangerManager *self);
GList *banger_manager_list_images(BangerManager *self);
GList *banger_manager_list_kernels(BangerManager *self);

/* By name, id, or unique beginning of an id; BANGER_ERROR_NOT_FOUND or BANGER_ERROR_AMBIGUOUS. For images and
 * kernels "" is the default. Borrowed. */
BangerVm *banger_manager_find_vm(BangerManager *self, const char *reference, GError **error);
const BangerImageRow *banger_manager_find_image(BangerManager *self, const char *reference,
						GError **error);
const BangerKernelRow *banger_manager_find_kernel(BangerManager *self, const char *reference,
						  GError **error);

/* "" where there is none. */
const char *banger_manager_get_default_image(BangerManager *self);
const char *banger_manager_get_default_kernel(BangerManager *self);
bool banger_manager_set_default_image(BangerManager *self, const char *id, const char *operation,
				      GError **error);
bool banger_manager_set_default_kernel(BangerManager *self, const char *id, const char *operation,
				       GError **error);

/* Completes a spec whose `image` and `kernel` are references (or NULL) and whose `name` may be NULL, and checks it:
 * what CreateVM and PlanVM have in common. */
bool banger_manager_resolve_spec(BangerManager *self, BangerVmSpec *spec, GError **error);

/* Every job below is returned running, or NULL where preflight failed. It is borrowed: its work holds it to its end;
 * whoever wants it longer takes a reference at "job-added". */

/* `spec` is resolved, and gets its number. A VM that cannot be made, or not be started when `start` is given, leaves
 * nothing; but one that could not be released stays, in error and with its disk. */
BangerJob *banger_manager_create_vm(BangerManager *self, BangerVmSpec *spec, bool start,
				    const char *operation, BangerVm **ret_vm, GError **error);
/* What that would do with `start`, by the same checks: one line for each step, freed by g_strfreev(). */
char **banger_manager_plan_vm(BangerManager *self, const BangerVmSpec *spec, GError **error);
typedef struct BangerVmChange {
	BangerReach reach;   /* how far it reaches; _BANGER_REACH_INVALID: as before */
	bool sets_peer;      /* whether that is to change, too */
	bool peer;           /* whether it and the user's other peers reach each other */
	const GArray *ports; /* all that lead to it: see port-list.h */
	const GArray *taken; /* of these, those that it is to have now */
} BangerVmChange;

/* From now on, and recorded. All of it, or nothing changes. BANGER_ERROR_BUSY while it is changed already. */
void banger_manager_set_vm_async(BangerManager *self, BangerVm *vm, const BangerVmChange *change,
				 const char *operation, GAsyncReadyCallback callback, void *data);
bool banger_manager_set_vm_finish(BangerManager *self, GAsyncResult *result, GError **error);
/* The user's bridge; borrowed. */
BangerNetwork *banger_manager_get_network(BangerManager *self);
BangerJob *banger_manager_start_vm(BangerManager *self, BangerVm *vm, const char *operation,
				   GError **error);
BangerJob *banger_manager_stop_vm(BangerManager *self, BangerVm *vm, unsigned timeout_s,
				  const char *operation, GError **error);
BangerJob *banger_manager_restart_vm(BangerManager *self, BangerVm *vm, unsigned timeout_s,
				     const char *operation, GError **error);
BangerJob *banger_manager_delete_vm(BangerManager *self, BangerVm *vm, bool force,
				    const char *operation, GError **error);

/* Deletes it when its owner is gone, which cancels `gone`. Whoever owns many holds none of those that went before. */
void banger_manager_bind_vm(BangerManager *self, BangerVm *vm, GCancellable *gone);

/* Its owner is gone: it is deleted, whatever it is doing. */
void banger_manager_discard_vm(BangerManager *self, BangerVm *vm);

/* How long guests get to shut down where everything ends: below what systemd gives us (bangerd.service). */
#define BANGER_MANAGER_END_S 60

/* Stops all that runs, at once; ends when all of them have ended, or were not to be stopped. */
void banger_manager_stop_all_async(BangerManager *self, unsigned timeout_s,
				   GAsyncReadyCallback callback, void *data);
void banger_manager_stop_all_finish(BangerManager *self, GAsyncResult *result);

/* Takes the user's bridge away now, where no VM is on it: nobody is there to do it later. Ends soon, in any case. */
void banger_manager_leave_network_async(BangerManager *self, GAsyncReadyCallback callback,
					void *data);
void banger_manager_leave_network_finish(BangerManager *self, GAsyncResult *result);

/* The requests are taken over. */
BangerJob *banger_manager_make_image(BangerManager *self, BangerImageRequest *request,
				     bool make_default, const char *operation, GError **error);
BangerJob *banger_manager_make_kernel(BangerManager *self, BangerKernelRequest *request,
				      bool make_default, const char *operation, GError **error);
bool banger_manager_delete_image(BangerManager *self, const char *id, const char *operation,
				 GError **error);
bool banger_manager_delete_kernel(BangerManager *self, const char *id, const char *operation,
				  GError **error);
