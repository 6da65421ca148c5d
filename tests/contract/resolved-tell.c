/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells the host's resolver of names, or to forget them: "0", or the name of what went wrong and what was said. */
#include <stdio.h>
#include <string.h>

#include "helper/resolved.h"

/* One that is there. */
#define LINK "lo"

int
main(int argc, char **argv)
{
	const KernelNames names = { .bridge = LINK, .address = 0x0ad0a001, .zone = "dev.vm" };
	KernelText detail = {};
	int r = -1;

	if (argc == 3 && strcmp(argv[2], "begin") == 0)
		r = resolved_begin(argv[1], &names, &detail);
	else if (argc == 3)
		r = resolved_end(argv[1], strcmp(argv[2], "end") == 0 ? LINK : argv[2]);
	printf("%s%s%s\n", r < 0 ? strerrorname_np(-r) : "0", detail.text[0] ? ": " : "",
	       detail.text);
	return 0;
}
