/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a fresh clone in namespaces of its own to a process that sees the jail's root and
 * nothing else. */
#pragma once

#include "jail/jail.h"

/* Runs in the first process, as root. *reterr_step names the step that failed. */
int enter_jail(const Jail *jail, const char **reterr_step);
