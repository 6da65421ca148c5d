/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The user's state: VMs, images, kernels and defaults, in one SQLite file per schema.
 *
 * The file is DIRECTORY/state-<schema>.db. A migration writes a new file beside the old one and leaves the old one
 * as it was, so that a roll-back of the program finds its own. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

#include "service/engine/vm-fsm.h"
#include "service/base/vm-spec.h"
#include "service/ports/image.h"

typedef struct BangerVmRow {
	BangerVmSpec *spec;
	BangerVmState state;
	char *last_error;
	int64_t started_us;
	bool ready; /* its disk is complete: a row without belongs to a creation that was interrupted */
} BangerVmRow;

void banger_vm_row_free(BangerVmRow *row);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BangerVmRow, banger_vm_row_free)

#define BANGER_TYPE_STORE (banger_store_get_type())
G_DECLARE_FINAL_TYPE(BangerStore, banger_store, BANGER, STORE, GObject)

/* What opening would do: 0 nothing, 1 migrate, 2 it cannot: a newer program wrote the state, or it is no such thing.
 * Changes nothing, and works while somebody has it. */
int banger_store_check(const char *directory);

/* Opens, and makes or migrates first. A newer schema is refused and stays untouched; BANGER_ERROR_BUSY where somebody
 * else has it open. */
BangerStore *banger_store_open(const char *directory, GError **error);

/* All rows; arrays of owned rows. */
GPtrArray *banger_store_list_images(BangerStore *self, GError **error);
GPtrArray *banger_store_list_kernels(BangerStore *self, GError **error);
GPtrArray *banger_store_list_vms(BangerStore *self, GError **error);

/* Each is one transaction. A name or id that is taken: BANGER_ERROR_ALREADY_EXISTS. */
bool banger_store_add_image(BangerStore *self, const BangerImageRow *row, GError **error);
bool banger_store_add_kernel(BangerStore *self, const BangerKernelRow *row, GError **error);
/* Fills spec->host: a number that no other VM has. */
bool banger_store_add_vm(BangerStore *self, BangerVmSpec *spec, GError **error);
/* How far it reaches, and its ports. */
bool banger_store_set_vm_network(BangerStore *self, const BangerVmSpec *spec, GError **error);

bool banger_store_set_vm_ready(BangerStore *self, const char *id, GError **error);
bool banger_store_update_vm(BangerStore *self, const char *id, BangerVmState state,
			    const char *last_error, int64_t started_us, GError **error);

/* A row that VMs refer to is not deleted: BANGER_ERROR_BUSY. With the default one the setting goes that names it. */
bool banger_store_delete_image(BangerStore *self, const char *id, GError **error);
bool banger_store_delete_kernel(BangerStore *self, const char *id, GError **error);
/* What a deletion leaves to do: ids (owned) of those images or kernels (`kind`: "image", "kernel") whose files may
 * still be there. Each is listed from its row's end until it is forgotten. */
GPtrArray *banger_store_list_remains(BangerStore *self, const char *kind, GError **error);
bool banger_store_forget_remains(BangerStore *self, const char *kind, const char *id,
				 GError **error);
bool banger_store_delete_vm(BangerStore *self, const char *id, GError **error);

/* "" where it was never set; the caller's to free. */
char *banger_store_get_setting(BangerStore *self, const char *key);
bool banger_store_set_setting(BangerStore *self, const char *key, const char *value,
			      GError **error);
