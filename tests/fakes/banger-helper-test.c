/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The real helper on a private bus, with the recording kernel in place of Linux. Never installed; a
 * program of its own rather than an option of the installed one, which so has no door to the
 * fake. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fakes/fake-kernel.h"
#include "helper/helper.h"

int
main(int argc, char **argv)
{
	static FakeKernel kernel;
	char lib_dir[PATH_MAX];
	HelperSetup setup = { .kernel = &kernel.kernel };

	if (getuid() == 0 || geteuid() == 0) {
		fprintf(stderr, "banger-helper-test: must not be root\n");
		return 77;
	}
	if (argc != 6) {
		fprintf(stderr, "usage: banger-helper-test BUS RUN-DIR CONF IDLE-MS LAST-MS\n");
		return 2;
	}
	(void)umask(077);
	fake_kernel_init(&kernel);
	setup.bus_address = argv[1];
	setup.run_dir = argv[2];
	(void)snprintf(lib_dir, sizeof(lib_dir), "%s.lib", argv[2]);
	setup.lib_dir = lib_dir;
	setup.conf_path = argv[3];
	setup.idle_ms = (unsigned)atoi(argv[4]);
	setup.last_ms = (unsigned)atoi(argv[5]);
	return helper_run(&setup) < 0 ? 1 : 0;
}
