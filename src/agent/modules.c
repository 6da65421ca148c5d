/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /banger/plan/NAME: modules in the order in which they need each other; per line a path and, behind a space, what
 * the module is told. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
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

static FILE *
open_plan(const char *plan)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "/banger/plan/%s", plan);
	return fopen(path, "re");
}

/* Cuts the next line in two: the path, and what the module is told. False at the end. */
static bool
read_line(FILE *file, char line[static 256], const char **ret_path, const char **ret_parameters)
{
	char *parameters = line;

	if (!fgets(line, 256, file))
		return false;
	line[strcspn(line, "\n")] = '\0';
	*ret_path = strsep(&parameters, " ");
	*ret_parameters = parameters ? parameters : "";
	return true;
}

static bool
is_module(const char *path, const char *name)
{
	const char *file = strrchr(path, '/');
	size_t n = strlen(name);

	return file && strncmp(file + 1, name, n) == 0 && strcmp(file + 1 + n, ".ko") == 0;
}

void
agent_modules_load(const char *plan)
{
	_cleanup_fclose_ FILE *file = open_plan(plan);
	const char *path, *parameters;
	char line[256];

	while (file && read_line(file, line, &path, &parameters))
		if (*path)
			load(path, parameters);
}

void
agent_modules_load_until(const char *plan, const char *module)
{
	_cleanup_fclose_ FILE *file = open_plan(plan);
	const char *path, *parameters;
	bool is_listed = false;
	char line[256];

	while (file && !is_listed && read_line(file, line, &path, &parameters))
		is_listed = is_module(path, module);
	if (!is_listed)
		return;
	rewind(file);
	do
		if (read_line(file, line, &path, &parameters))
			load(path, parameters);
	while (!is_module(path, module));
}
