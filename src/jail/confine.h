/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Root's rights go, for good: what is left is a uid of its own with limits. */
#pragma once

#include "jail/jail.h"

/* Runs in the first process after enter_jail(). *reterr_step names the step that failed. */
int confine_process(const Jail *jail, const char **reterr_step);
