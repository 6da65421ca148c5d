/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The terminal at standard input, while the keys are a guest's. */
#pragma once

#include <stdbool.h>

/* From now on keys mean nothing to this side. However this process ends, the terminal is as it was, SIGKILL excepted;
 * a signal that somebody else catches is left to him. False where standard input is no terminal. */
bool terminal_make_raw(void);
void terminal_restore(void);
bool terminal_is_raw(void);
