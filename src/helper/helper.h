/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The helper, put together: from a ledger directory and a bus to the end of its life. */
#pragma once

typedef struct Kernel Kernel;

typedef struct HelperSetup {
	const char *bus_address;
	const char *run_dir; /* made, mode 0700, where it is missing */
	const char *lib_dir; /* likewise: what outlives the boot */
	const char *conf_path;
	const Kernel *kernel;
	unsigned idle_ms; /* see bus.h */
	unsigned last_ms;
} HelperSetup;

/* Runs until idle, SIGTERM or the end of the bus. 0, or negative errno after saying what failed. */
int helper_run(const HelperSetup *setup);
