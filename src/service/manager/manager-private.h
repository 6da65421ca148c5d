/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the manager share: nobody else includes it. */
#pragma once

#include "service/manager/manager.h"

/* Whether this host's other programs know the names of VMs. */
typedef enum BangerRouting {
	BANGER_ROUTING_OFF,      /* there are none, or port 53 is not ours */
	BANGER_ROUTING_UNSERVED, /* they cannot be served there; routing_error says why */
	BANGER_ROUTING_WANTED,   /* as soon as no VM starts */
	BANGER_ROUTING_ASKING,
	BANGER_ROUTING_ON,
	BANGER_ROUTING_FAILED, /* routing_error says why */
} BangerRouting;

struct _BangerManager {
	GObject parent;

	BangerStore *store;
	const BangerPorts *ports;
	BangerKvmVerdict *kvm;
	BangerNetwork *network;
	GSource *network_idle; /* fires when no VM has been on the bridge for a while; or NULL */
	BangerRouting routing;
	GError *routing_error;
	unsigned routing_round; /* of bridges: an answer about one before this is none about this */
	GHashTable *vms;        /* id → BangerVm */
	GHashTable *changing;   /* BangerVm, set: one change at a time */
	GPtrArray *
		incomplete; /* BangerVm: whose creation was interrupted in a daemon before us; until recovery */
	GHashTable *images;  /* id → BangerImageRow */
	GHashTable *kernels; /* id → BangerKernelRow */
	char *default_image;
	char *default_kernel;
	unsigned last_job;
};

typedef enum BangerManagerSignal {
	BANGER_MANAGER_VM_ADDED,
	BANGER_MANAGER_VM_REMOVED,
	BANGER_MANAGER_IMAGE_ADDED,
	BANGER_MANAGER_IMAGE_REMOVED,
	BANGER_MANAGER_KERNEL_ADDED,
	BANGER_MANAGER_KERNEL_REMOVED,
	BANGER_MANAGER_JOB_ADDED,
	BANGER_MANAGER_CHANGED,
	_BANGER_MANAGER_SIGNAL_MAX,
} BangerManagerSignal;

void banger_manager_emit(BangerManager *self, BangerManagerSignal which, void *object);

/* Follows the user's session from now on, and tells it whether anything runs: after each change of a VM. */
void banger_manager_watch_session(BangerManager *self);
void banger_manager_update_session(BangerManager *self);

/* A new job, announced. A reference of the caller's, which the work keeps until it has finished the job. */
BangerJob *banger_manager_begin_job(BangerManager *self, BangerJobKind kind, const char *subject,
				    const char *operation);

/* Serves names as long as there is a bridge. */
void banger_manager_watch_network(BangerManager *self);
/* A VM has changed: its name is known as long as it has an address, and the bridge goes behind the last. */
void banger_manager_update_network(BangerManager *self, BangerVm *vm);
void banger_manager_drop_network(BangerManager *self);
/* Whether a daemon before us may have left a bridge; what the helper says of that. */
bool banger_manager_may_find_network(BangerManager *self);
void banger_manager_find_network(BangerManager *self, bool is_there);
/* Asks for the bridge again where a VM that runs is on it; else it is not to stay. */
void banger_manager_recover_network(BangerManager *self);

/* Puts a VM into the table and begins to record its changes. */
void banger_manager_adopt_vm(BangerManager *self, BangerVm *vm);

/* Of what the tables hold. */
const char *banger_manager_name_of_vm(void *object);
const char *banger_manager_name_of_image(void *object);
const char *banger_manager_name_of_kernel(void *object);

/* Whether nothing in the table has that name; else BANGER_ERROR_ALREADY_EXISTS, of `what` ("a VM"). The store refuses
 * it all the same: this is before anything is begun. */
bool banger_manager_check_free(GHashTable *table, const char *(*name_of)(void *), const char *what,
			       const char *name, GError **error);

/* Removes what is left of images and kernels that were deleted, or never recorded. */
void banger_manager_remove_remains(BangerManager *self);

/* Forgets a VM: disks, row, object. Does what it can and reports the first failure. */
bool banger_manager_forget_vm(BangerManager *self, BangerVm *vm, GError **error);
