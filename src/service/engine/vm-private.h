/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What vm.c, vm-launch.c and vm-end.c share: nobody else includes it. */
#pragma once

#include "service/engine/vm.h"

struct _BangerVm {
	GObject parent;

	BangerVmSpec *spec;
	const BangerPorts *ports;
	BangerKvmVerdict *kvm;

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
	GError *stuck;         /* why a start was given up by ourselves, or NULL */
	GSource *patience;     /* fires when a guest has not come up in all that time */
	BangerVmProgress progress;
	void *progress_data;
	int kernel_fd; /* borrowed from the image store */
	int initramfs_fd;
	BangerDisks disks;

	/* While a VMM runs. */
	BangerVmm *vmm;
	BangerGuest *guest;
	BangerConsole *console;
	int process_fd;   /* pidfd of the jail's first process */
	GSource *process; /* watches it; NULL: there is no VMM */
	bool end_wanted;  /* somebody asked for the end that is coming */

	GPtrArray *waiting_guest; /* GTask: banger_vm_wait_guest_async() */
	GPtrArray *waiting_end;   /* GTask: until the VMM is gone and released */
};

/* Takes the event's step in the table, tells the world; `error` text is copied into LastError, NULL
 * leaves none. The event must be possible. */
void banger_vm_apply(BangerVm *self, BangerVmEvent event, const char *error);

/* The step from starting to running; an end that came before it is noticed after it. */
void banger_vm_apply_ready(BangerVm *self);

/* Takes over a running VMM's descriptors. */
void banger_vm_attach(BangerVm *self, BangerVmmHandles *handles, bool fresh);
/* Forgets them; the VMM itself is not touched. */
void banger_vm_detach(BangerVm *self);

/* Answers everybody who waits for the guest. */
void banger_vm_settle_guest(BangerVm *self, const GError *error);

/* The pidfd is readable: the VMM is gone. */
gboolean banger_vm_on_process_end(int fd, GIOCondition condition, gpointer data);
