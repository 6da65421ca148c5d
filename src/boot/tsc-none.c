/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of an architecture that has no such counter, or none whose rate an emulated guest would see. */
#include "boot/tsc.h"

uint32_t
boot_tsc_khz(void)
{
	return 0;
}
