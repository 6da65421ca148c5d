/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything that needs root, as the engine sees it: one pair per method of org.banger.Helper, in our
 * own types. Asynchronous, because a person may be asked. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/rules/vmm-spec.h"

/* Descriptors of a running VMM; each is -1 where it was taken or never there. */
typedef struct BangerVmmHandles {
	int control;
	int agent;
	int console;
	int process; /* pidfd: readable when VMM and jail are gone */
} BangerVmmHandles;

#define BANGER_VMM_HANDLES_INIT                                                                    \
	{                                                                                          \
		.control = -1, .agent = -1, .console = -1, .process = -1                           \
	}
void banger_vmm_handles_clear(BangerVmmHandles *handles);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BangerVmmHandles, banger_vmm_handles_clear)

/* Borrowed for the time of the call. */
typedef struct BangerLaunch {
	const char *vm;
	const char *operation;
	const BnVmmSpec *spec;
	int kernel;
	int initramfs;
	int disks[BN_DISKS_MAX];
	int network; /* the tap, where the spec has a network */
} BangerLaunch;

#define BANGER_TYPE_PRIVILEGED (banger_privileged_get_type())
G_DECLARE_INTERFACE(BangerPrivileged, banger_privileged, BANGER, PRIVILEGED, GObject)

struct _BangerPrivilegedInterface {
	GTypeInterface parent;

	void (*probe_kvm)(BangerPrivileged *self, GCancellable *cancellable,
			  GAsyncReadyCallback callback, void *data);
	bool (*probe_kvm_finish)(BangerPrivileged *self, GAsyncResult *result, bool *ret_usable,
				 char **ret_reason, GError **error);

	void (*launch)(BangerPrivileged *self, const BangerLaunch *launch,
		       GCancellable *cancellable, GAsyncReadyCallback callback, void *data);
	bool (*launch_finish)(BangerPrivileged *self, GAsyncResult *result, BangerVmmHandles *ret,
			      GError **error);

	void (*open)(BangerPrivileged *self, const char *vm, const char *operation,
		     GAsyncReadyCallback callback, void *data);
	bool (*open_finish)(BangerPrivileged *self, GAsyncResult *result, BangerVmmHandles *ret,
			    GError **error);

	void (*signal)(BangerPrivileged *self, const char *vm, const char *operation,
		       uint32_t signal_number, GAsyncReadyCallback callback, void *data);
	bool (*signal_finish)(BangerPrivileged *self, GAsyncResult *result, GError **error);

	/* *ret_ended: how the VMM ended, see org.banger.Helper.ReleaseVM. */
	void (*release)(BangerPrivileged *self, const char *vm, const char *operation,
			GAsyncReadyCallback callback, void *data);
	bool (*release_finish)(BangerPrivileged *self, GAsyncResult *result, char **ret_ended,
			       GError **error);

	/* *ret: ids of the VMs for which the helper holds anything; freed by g_strfreev(). */
	void (*list)(BangerPrivileged *self, GAsyncReadyCallback callback, void *data);
	bool (*list_finish)(BangerPrivileged *self, GAsyncResult *result, char ***ret,
			    GError **error);
};
