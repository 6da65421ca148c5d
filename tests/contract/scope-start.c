/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts a scope for itself: "0", or the name of what went wrong. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "helper/scope.h"

int
main(int argc, char **argv)
{
	const KernelScope scope = { .name = "banger-vm-x.scope",
				    .user_unit = "user@1000.service",
				    .pid = getpid(),
				    .memory_bytes = 1 << 30 };
	int r = argc == 2 ? scope_start(argv[1], &scope) : -1;

	printf("%s\n", r < 0 ? strerrorname_np(-r) : "0");
	return 0;
}
