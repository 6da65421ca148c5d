/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Allow-lists of system calls. What is not on the list fails with EPERM; another architecture's
 * calls kill. */
#pragma once

#include <stdbool.h>

#include "shared/rules/vmm-spec.h"

/* For the VMM, installed just before it is executed and inherited by all it may ever become;
 * its own sandbox comes on top. The caller has set no_new_privs. */
int filter_install_vmm(BnVmmKind kind, bool kvm, bool network);

/* For the first process, once it has nothing more to start. */
int filter_install_warden(void);
