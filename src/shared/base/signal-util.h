/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a process does with signals. */
#pragma once

/* Gives every signal its default again and blocks none: what is ignored or blocked stays so over
 * exec. For the time between fork and exec. 0 or negative errno. */
int bn_signal_reset(void);
