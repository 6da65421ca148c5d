/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Does KVM serve? A device node proves nothing: here is code that runs in it, and a clock. */
#pragma once

#include "jail/jail.h"

/* Runs in the first process of a jail that has nothing but /dev/kvm. Fills in the verdict and the
 * reason for people; never fails. Takes some milliseconds, 100 at the very most. */
void probe_kvm(BnJailReply *ret);
