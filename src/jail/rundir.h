/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two files of a jail in BN_JAIL_RUN_DIR: the control socket and the exit file. */
#pragma once

#include "jail/jail.h"

/* Makes both, and the launching connection to the socket, the first that is in its queue. What
 * a dead jail of this key left is replaced; -EEXIST where it lives. What was made before a
 * failure is for rundir_undo(). */
int rundir_make(Jail *jail, int *ret_connection, const char **reterr_step);

/* Removes what rundir_make() made, and nothing that somebody has put there since. */
void rundir_undo(const Jail *jail);
