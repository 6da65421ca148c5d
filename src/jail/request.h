/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A request as it comes from the helper, checked whole before anything is done. */
#pragma once

#include "jail/jail.h"

/* Receives one request from `sock` into jail->request and jail->fds, which are then the
 * caller's to close. Negative errno, with what was wrong in *reterr_what (static text). */
int request_receive(int sock, Jail *jail, const char **reterr_what);
