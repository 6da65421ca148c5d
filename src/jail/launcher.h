/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes requests at the inherited socket, each in a process of its own, so that none waits for
 * another. */
#pragma once

/* Serves until SIGTERM or SIGINT or, with `idle_ms` >= 0, until nothing was asked for that long
 * and no jail is being built. Jails live on. 0 or negative errno. */
int launcher_run(int listener, int idle_ms);
