/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A running VMM's control connection, as the engine sees it. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

#define BANGER_TYPE_VMM (banger_vmm_get_type())
G_DECLARE_INTERFACE(BangerVmm, banger_vmm, BANGER, VMM, GObject)

/* Why a VMM said that it ends: "guest" by the guest's own shutdown or reset, "panic", "host" because it was told
 * to, "" where it said nothing.
 *
 * Signals: "paused" (const GError *why): the VMM stopped the guest's processors by itself, BANGER_ERROR_NO_SPACE where
 * it wants space; "resumed". */
struct _BangerVmmInterface {
	GTypeInterface parent;

	/* Lets the guest's processors run again. Cancelling gives up the wait; it may still do so. */
	void (*resume)(BangerVmm *self, GCancellable *cancellable, GAsyncReadyCallback callback,
		       void *data);
	bool (*resume_finish)(BangerVmm *self, GAsyncResult *result, GError **error);

	const char *(*get_end_reason)(BangerVmm *self);
};
