/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What vm.c, vm-launch.c, vm-end.c and vm-recover.c share: nobody else includes it. */
#pragma once

#include "service/engine/vm.h"
#include "shared/rules/net-config.h"

/* How LastError begins where the helper kept something. */
#define BANGER_VM_NOT_RELEASED "its resources could not be released: "

struct _BangerVm {
	GObject parent;

	BangerVmSpec *spec;
	const BangerPorts *ports;
	BangerKvmVerdict *kvm;
	BangerNetwork *network;

	BangerVmState state;
	char *last_error;
	char *last_words; /* of a guest whose VMM has ended, or NULL */
	int64_t started_us;
	bool uses_kvm;
	char *accelerator_reason; /* NULL before the first start */
	BangerGuestHello hello;

	/* While a plan runs. */
	GCancellable *bring_up;
	const char *operation; /* "" while none runs */
	bool fresh;            /* it makes the VM, too */
	GError *stuck;         /* why a start was given up by ourselves, or NULL */
	GSource *patience;     /* fires when a guest has not come up in all that time */
	BangerVmProgress progress;
	void *progress_data;
	/* From their steps until the launch is answered. */
	int kernel_fd;
	int initramfs_fd;
	BangerDisks disks;
	BangerTap tap;

	GCancellable
		*looking; /* while it is looked for; cancelled when it is to end without patience */
	unsigned deletions; /* that have begun: it is not to begin anything */
	bool held; /* the helper may still have something of it: a release failed, or nobody could say */

	GHashTable *
		missing; /* ports that it publishes and that cannot be had, as they are written → why */

	/* While a VMM runs. */
	BangerVmm *vmm;
	BangerGuest *guest;
	BangerConsole *console;
	int process_fd;      /* pidfd of the jail's first process */
	GSource *process;    /* watches it; NULL: there is no VMM */
	bool end_wanted;     /* somebody asked for the end that is coming */
	char *end_operation; /* by this operation; NULL: nobody did */

	GPtrArray *waiting_guest; /* GTask: banger_vm_wait_guest_async() */
	GPtrArray *waiting_end;   /* GTask: until the VMM is gone and released */
};

/* Takes the event's step in the table, tells the world; `error` text is copied into LastError, NULL
 * leaves none. The event must be possible. */
void banger_vm_apply(BangerVm *self, BangerVmEvent event, const char *error);

/* The step from starting to running; an end that came before it is noticed after it. */
void banger_vm_apply_ready(BangerVm *self);

/* Steps of its start, and their undo. */
void banger_vm_run_bridge(BangerVm *self, GTask *step);
void banger_vm_run_tap(BangerVm *self, GTask *step);
void banger_vm_undo_tap(BangerVm *self, GTask *step);
void banger_vm_run_nat(BangerVm *self, GTask *step);
/* What its guest has to know; after these steps. */
void banger_vm_fill_network(BangerVm *self, BnNetConfig *ret);

/* Gives back the host's ports that lead to it. */
void banger_vm_withdraw(BangerVm *self);

/* Emits "changed". */
void banger_vm_tell_change(BangerVm *self);

/* Closes what a VMM is launched with. */
void banger_vm_drop_files(BangerVm *self);

/* Takes over a running VMM's descriptors. */
void banger_vm_attach(BangerVm *self, BangerVmmHandles *handles, bool fresh);
/* Forgets them; the VMM itself is not touched. */
void banger_vm_detach(BangerVm *self);

/* Under which operation what is left of it is released: that of the end that was asked for, or of what is undone. */
const char *banger_vm_get_release_operation(BangerVm *self);

/* Answers everybody who waits for the end: with success, or with LastError where something of it is still held. */
void banger_vm_settle_end(BangerVm *self);

/* The guest's agent is gone while the VMM lives on: nothing can be run in it any more, and it says so. */
void banger_vm_lose_guest(BangerVm *self, const GError *why);

/* Answers everybody who waits for the guest. */
void banger_vm_settle_guest(BangerVm *self, const GError *error);

/* Begins to count how long a guest takes to answer, from whose coming it is dropped; `on_lost` ends the wait. */
void banger_vm_begin_patience(BangerVm *self, GSourceFunc on_lost);
void banger_vm_drop_patience(BangerVm *self);

/* Asks the guest to shut down; ends the VMM where it cannot be asked. */
void banger_vm_ask_shutdown(BangerVm *self);
/* Ends the VMM now; that is then noticed like any other end. */
void banger_vm_end_now(BangerVm *self);

/* The pidfd is readable: the VMM is gone. */
gboolean banger_vm_on_process_end(int fd, GIOCondition condition, gpointer data);
