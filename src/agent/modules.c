/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /banger/plan/NAME: modules in the order in which they need each other; per line a path and, behind a space, what
 * the module is told. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/boot.h"
#include "shared/base/cleanup.h"
#include "shared/base/log.h"

static void
load(const char *path, const char *parameters)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || (syscall(SYS_finit_module, fd, parameters, 0) < 0 && errno != EEXIST))
		bn_log_error("banger: %s: %s", path, strerror(errno));
}

void
agent_modules_load(const char *plan)
{
	_cleanup_fclose_ FILE *file = NULL;
	char line[256];

	(void)snprintf(line, sizeof(line), "/banger/plan/%s", plan);
	file = fopen(line, "re");
	while (file && fgets(line, sizeof(line), file)) {
		char *parameters = line;
		const char *path;

		line[strcspn(line, "\n")] = '\0';
		path = strsep(&parameters, " ");
		if (*path)
			load(path, parameters ? parameters : "");
	}
}
