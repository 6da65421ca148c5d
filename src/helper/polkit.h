/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asking polkit, asynchronously: the Authority of the dispatcher on a system bus.
 *
 * Fails closed: no polkit, an error, no answer in time mean AUTHORITY_UNAVAILABLE. Nothing is
 * remembered: every question is asked. */
#pragma once

#include <systemd/sd-bus.h>

#include "helper/op-dispatch.h"

typedef struct Polkit Polkit;

/* `bus` is borrowed. */
int polkit_new(sd_bus *bus, Polkit **ret, Authority *ret_authority);
/* No question may be open. */
Polkit *polkit_free(Polkit *polkit);
