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

/* The user's bridge, as EnsureBridge made or found it. */
typedef struct BangerBridge {
	char *interface;
	uint32_t address; /* the host's own; host order, like all below */
	uint8_t length;   /* of the subnet's prefix */
	int dns[2]; /* UDP, and TCP that listens; -1 where port 53 is taken, or they were taken */
	char *note; /* for people, or "" */
} BangerBridge;

#define BANGER_BRIDGE_INIT                                                                         \
	{                                                                                          \
		.dns = { -1, -1 }                                                                  \
	}
void banger_bridge_clear(BangerBridge *bridge);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BangerBridge, banger_bridge_clear)

/* A VM's end of it. */
typedef struct BangerTap {
	int fd; /* -1 where it was taken or never there */
	uint32_t address;
	uint32_t mtu;
} BangerTap;

#define BANGER_TAP_INIT                                                                            \
	{                                                                                          \
		.fd = -1                                                                           \
	}
void banger_tap_clear(BangerTap *tap);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BangerTap, banger_tap_clear)

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

/* What polkit would say if the helper asked it now. */
typedef enum BangerLeave {
	BANGER_LEAVE_NO,
	BANGER_LEAVE_ASKS, /* whether the user, or an administrator, can prove who they are */
	BANGER_LEAVE_YES,
	_BANGER_LEAVE_MAX,
} BangerLeave;

#define BANGER_TYPE_PRIVILEGED (banger_privileged_get_type())
G_DECLARE_INTERFACE(BangerPrivileged, banger_privileged, BANGER, PRIVILEGED, GObject)

struct _BangerPrivilegedInterface {
	GTypeInterface parent;

	void (*probe_kvm)(BangerPrivileged *self, GCancellable *cancellable,
			  GAsyncReadyCallback callback, void *data);
	bool (*probe_kvm_finish)(BangerPrivileged *self, GAsyncResult *result, bool *ret_usable,
				 char **ret_reason, GError **error);

	void (*ensure_bridge)(BangerPrivileged *self, const char *operation,
			      GAsyncReadyCallback callback, void *data);
	bool (*ensure_bridge_finish)(BangerPrivileged *self, GAsyncResult *result,
				     BangerBridge *ret, GError **error);

	/* BANGER_ERROR_BUSY while a VM is on it. */
	void (*remove_bridge)(BangerPrivileged *self, GAsyncReadyCallback callback, void *data);
	bool (*remove_bridge_finish)(BangerPrivileged *self, GAsyncResult *result, GError **error);

	/* `host`: the VM's number in the subnet. */
	void (*create_tap)(BangerPrivileged *self, const char *vm, const char *operation,
			   uint32_t host, bool peer, GCancellable *cancellable,
			   GAsyncReadyCallback callback, void *data);
	bool (*create_tap_finish)(BangerPrivileged *self, GAsyncResult *result, BangerTap *ret,
				  GError **error);

	void (*delete_tap)(BangerPrivileged *self, const char *vm, const char *operation,
			   GAsyncReadyCallback callback, void *data);
	bool (*delete_tap_finish)(BangerPrivileged *self, GAsyncResult *result, GError **error);

	/* Of a VM that has a tap. */
	void (*set_peer)(BangerPrivileged *self, const char *vm, const char *operation, bool peer,
			 GAsyncReadyCallback callback, void *data);
	bool (*set_peer_finish)(BangerPrivileged *self, GAsyncResult *result, GError **error);

	void (*enable_nat)(BangerPrivileged *self, const char *vm, const char *operation, bool lan,
			   GCancellable *cancellable, GAsyncReadyCallback callback, void *data);
	bool (*enable_nat_finish)(BangerPrivileged *self, GAsyncResult *result, GError **error);

	void (*disable_nat)(BangerPrivileged *self, const char *vm, const char *operation,
			    GAsyncReadyCallback callback, void *data);
	bool (*disable_nat_finish)(BangerPrivileged *self, GAsyncResult *result, GError **error);

	/* Whoever of this host looks for a VM by its name finds it, as long as the bridge is there.
	 * BANGER_ERROR_RESOLVER_UNAVAILABLE. */
	void (*enable_names)(BangerPrivileged *self, GAsyncReadyCallback callback, void *data);
	bool (*enable_names_finish)(BangerPrivileged *self, GAsyncResult *result, GError **error);

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

	/* *ret: ids of the VMs for which the helper holds anything; freed by g_strfreev(). *ret_bridge: whether it
	 * holds the user's bridge, too; may be NULL. */
	void (*list)(BangerPrivileged *self, GAsyncReadyCallback callback, void *data);
	bool (*list_finish)(BangerPrivileged *self, GAsyncResult *result, char ***ret,
			    bool *ret_bridge, GError **error);

	/* Whether an action of polkit's is allowed, in general: nobody is asked, and nothing is done. */
	void (*look_leave)(BangerPrivileged *self, const char *action, GAsyncReadyCallback callback,
			   void *data);
	bool (*look_leave_finish)(BangerPrivileged *self, GAsyncResult *result, BangerLeave *ret,
				  GError **error);
};
