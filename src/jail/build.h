/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Builds one jail: its files on the host, the clone, and what its first process reports. */
#pragma once

#include "jail/jail.h"

/* Blocks until the first process is ready, or has given the verdict. What was made is taken
 * back on failure. Always fills `ret_reply`; `ret_fds` are the caller's, -1 where there are
 * none. */
void build_jail(Jail *jail, BnJailReply *ret_reply, int ret_fds[static _BN_JAIL_REPLY_MAX]);

/* For a jail nobody was told about: kills it and removes its files. */
void build_undo(const Jail *jail, int fds[static _BN_JAIL_REPLY_MAX]);
