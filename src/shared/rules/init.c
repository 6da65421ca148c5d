/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/rules/init.h"

const char *const bn_init_paths[BN_INIT_PATHS] = {
	"/sbin/init", "/usr/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd",
	"/etc/init",  "/bin/init",
};
