/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger-helper: options, what must be true of the process, and the real kernel under the
 * operations. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "helper/budget.h"
#include "helper/firewalld.h"
#include "helper/helper.h"
#include "helper/kernel/kernel-real.h"
#include "helper/op.h"
#include "helper/resolved.h"
#include "helper/scope.h"
#include "shared/base/errno-util.h"
#include "shared/base/log.h"
#include "shared/base/macro.h"

/* IDLE_MS is meson's. Half of TimeoutStopSec: the other half is for what runs. */
#define LAST_MS 60000
/* Fixed: an address from the environment would let whoever starts us choose who may call. */
#define BUS_ADDRESS "unix:path=/run/dbus/system_bus_socket"

static void
print_help(void)
{
	printf("Usage: banger-helper [OPTION]\n"
	       "Carries out banger's privileged steps, each authorized by polkit.\n"
	       "Started by the system bus.\n\n"
	       "  --list-ops  print every method and its polkit action\n"
	       "  --version   print the version\n"
	       "  --help      print this\n");
}

static void
print_ops(void)
{
	for (int id = 0; id < _OP_MAX; id++)
		printf("%s %s\n", op_names[id].method, op_names[id].action);
}

/* 1: go on; 0: done; negative: a wrong option. */
static int
parse_options(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' },
						 { "version", no_argument, NULL, 'v' },
						 { "list-ops", no_argument, NULL, 'l' },
						 {} };
	int c = getopt_long(argc, argv, "", options, NULL);

	switch (c) {
	case 'h':
		print_help();
		return 0;
	case 'v':
		printf("banger-helper %s\n", BANGER_VERSION);
		return 0;
	case 'l':
		print_ops();
		return 0;
	case -1:
		if (optind == argc)
			return 1;
		fprintf(stderr, "banger-helper: unexpected argument: %s\n", argv[optind]);
		return -EINVAL;
	default:
		return -EINVAL;
	}
}

/* Where systemd is, the unit has said so. What cannot be had bounds what callers get (budget.h). */
static void
raise_descriptors(void)
{
	struct rlimit limit = {}, wanted;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= BUDGET_DESCRIPTORS)
		return;
	wanted = (struct rlimit){ BUDGET_DESCRIPTORS,
				  BN_MAX(limit.rlim_max, (rlim_t)BUDGET_DESCRIPTORS) };
	if (setrlimit(RLIMIT_NOFILE, &wanted) >= 0)
		return;
	limit.rlim_cur = BN_MIN(limit.rlim_max, (rlim_t)BUDGET_DESCRIPTORS);
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* What the code below relies on; whoever starts us may have left any of it otherwise. */
static int
secure_process(void)
{
	if (geteuid() != 0 || getuid() != 0 || getauxval(AT_SECURE)) {
		bn_log_error("must be started as root, by the system bus");
		return -EPERM;
	}
	(void)umask(077);
	if (chdir("/") < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return bn_errno();
	/* Inherited descriptors would live in every jail's launcher too. */
	if (close_range(3, ~0U, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return bn_errno();
	raise_descriptors();
	if (sd_booted() > 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0)
		bn_log_warning("runs without the sandbox of banger-helper.service");
	return 0;
}

int
main(int argc, char **argv)
{
	static KernelRealSetup real = { .run_dir = BN_HELPER_RUN_DIR,
					.jail_dir = BN_JAIL_RUN_DIR,
					.jail_program = BANGER_LIBEXECDIR "/banger-jail",
					.bus_address = BUS_ADDRESS,
					.names_begin = resolved_begin,
					.names_end = resolved_end,
					.zone_enter = firewalld_enter,
					.zone_leave = firewalld_leave };
	Kernel kernel;
	HelperSetup setup = { .bus_address = BUS_ADDRESS,
			      .run_dir = BN_HELPER_RUN_DIR,
			      .lib_dir = BN_HELPER_LIB_DIR,
			      .conf_path = BANGER_SYSCONFDIR "/banger/helper.conf",
			      .kernel = &kernel,
			      .idle_ms = IDLE_MS,
			      .last_ms = LAST_MS };
	int r = parse_options(argc, argv);

	if (r <= 0)
		return r < 0 ? 2 : 0;
	if (secure_process() < 0)
		return 1;
	if (sd_booted() > 0)
		real.scope_start = scope_start;
	kernel_real_init(&real, &kernel);
	return helper_run(&setup) < 0 ? 1 : 0;
}
