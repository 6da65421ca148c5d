/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of the state as they are read. Each returns NULL, with an error that names the row, where it holds what no
 * version has ever written: a hand or a disk has changed it. */
#pragma once

#include <sqlite3.h>

#include "service/manager/store.h"

#define BANGER_IMAGE_COLUMNS  "id, name, digest, size, disk_usage, init, source, created"
#define BANGER_KERNEL_COLUMNS "id, name, release, digest, disk_usage, source, created"
#define BANGER_VM_COLUMNS                                                                          \
	"id, name, image, kernel, vcpus, memory, disk, vmm, accelerator, use_init, ephemeral,"     \
	" created, started, state, last_error, ready, reach, peer, host, ports"

/* Of statements that yield those columns. */
BangerImageRow *banger_image_row_read(sqlite3_stmt *statement, GError **error);
BangerKernelRow *banger_kernel_row_read(sqlite3_stmt *statement, GError **error);
BangerVmRow *banger_vm_row_read(sqlite3_stmt *statement, GError **error);
