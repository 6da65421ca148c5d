/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/ports/storage.h"

#include "shared/base/fd-util.h"

G_DEFINE_INTERFACE(BangerStorage, banger_storage, G_TYPE_OBJECT)

static void
banger_storage_default_init(BangerStorageInterface *iface)
{
}

void
banger_disks_clear(BangerDisks *disks)
{
	bn_fd_close_many(disks->fds, disks->n);
	disks->n = 0;
}
