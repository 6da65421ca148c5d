/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM's disks, as the engine sees them. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

#include "service/base/vm-spec.h"

/* Disks in the guest's order; owned descriptors. */
typedef struct BangerDisks {
	int fds[BN_DISKS_MAX];
	bool read_only[BN_DISKS_MAX];
	size_t n;
} BangerDisks;

void banger_disks_clear(BangerDisks *disks);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BangerDisks, banger_disks_clear)

#define BANGER_TYPE_STORAGE (banger_storage_get_type())
G_DECLARE_INTERFACE(BangerStorage, banger_storage, BANGER, STORAGE, GObject)

struct _BangerStorageInterface {
	GTypeInterface parent;

	/* Makes the writable disk; leaves nothing where it fails. */
	void (*create)(BangerStorage *self, const BangerVmSpec *spec, GCancellable *cancellable,
		       GAsyncReadyCallback callback, void *data);
	bool (*create_finish)(BangerStorage *self, GAsyncResult *result, GError **error);

	bool (*open)(BangerStorage *self, const BangerVmSpec *spec, BangerDisks *ret,
		     GError **error);

	/* Removes everything of the VM's; succeeds where there is nothing. */
	bool (*destroy)(BangerStorage *self, const char *vm, GError **error);
};
