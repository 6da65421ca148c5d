/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first process of a jail, once it is built: obeys its control socket, keeps the console,
 * reaps. */
#pragma once

#include "jail/jail.h"

/* Takes over the signals; `jail` must outlive it. The last step that can fail before the jail
 * is ready. */
int warden_prepare(const Jail *jail);

/* Serves until the VMM has ended, or will never start. Then the caller exits, and with it
 * whatever is left in its pid namespace. */
void warden_run(void);
