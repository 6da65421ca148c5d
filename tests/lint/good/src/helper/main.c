/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#ifndef __x86_64__
#error "x86_64 only, so far"
#endif

int
main(void)
{
	return getenv("NOTIFY_SOCKET") ? 0 : 1;
}
