/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Places that firewalls keep for rules of others: ours in them. */
#pragma once

#include "helper/kernel/kernel.h"

/* All that drop what comes from the bridge have a place, or a rule of somebody's that lets it pass; else -EHOSTUNREACH
 * with nothing changed. What is there already is not put there again. */
int door_open(const char *bridge, KernelBlock *ret_block);
/* None of the bridge's is left, whoever put it there. */
int door_close(const char *bridge);
