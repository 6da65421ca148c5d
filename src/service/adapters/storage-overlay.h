/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The overlay driver: the base image as a read-only disk, and a sparse ext4 of the VM's own beside it, which the
 * guest's agent lays over it. Needs nothing of the host. */
#pragma once

#include "service/ports/image.h"
#include "service/ports/storage.h"

#define BANGER_TYPE_STORAGE_OVERLAY (banger_storage_overlay_get_type())
G_DECLARE_FINAL_TYPE(BangerStorageOverlay, banger_storage_overlay, BANGER, STORAGE_OVERLAY, GObject)

/* `directory`: where each VM has a directory named by its id; made where it is missing. */
BangerStorage *banger_storage_overlay_new(const char *directory, BangerImageStore *images);
