/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BangerVmm by QEMU's monitor protocol (QMP): what the VMM tells of pauses and ends. */
#pragma once

#include "service/ports/vmm.h"

#define BANGER_TYPE_VMM_QEMU (banger_vmm_qemu_get_type())
G_DECLARE_FINAL_TYPE(BangerVmmQemu, banger_vmm_qemu, BANGER, VMM_QEMU, GObject)

/* Takes over the connection and greets; commands wait until QEMU has answered. */
BangerVmm *banger_vmm_qemu_new(int fd);
