/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rate of the host's time stamp counter: an emulated guest's counter runs at the same. */
#pragma once

#include <stdint.h>

/* Measured over 2 ms against CLOCK_MONOTONIC, good to some parts per million; 0 where there is no such
 * counter. */
uint32_t boot_tsc_khz(void);
