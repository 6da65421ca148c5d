/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells firewalld of a bridge, or to forget it: "0", or the name of what went wrong. */
#include <stdio.h>
#include <string.h>

#include "helper/firewalld.h"

int
main(int argc, char **argv)
{
	int r = -1;

	if (argc == 3 && strcmp(argv[2], "enter") == 0)
		r = firewalld_enter(argv[1], "bgr-u1000");
	else if (argc == 3)
		r = firewalld_leave(argv[1], "bgr-u1000");
	printf("%s\n", r < 0 ? strerrorname_np(-r) : "0");
	return 0;
}
