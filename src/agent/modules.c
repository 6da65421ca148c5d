/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /banger/modules: a path per line; "-" ends a wave, whose modules need nothing of each other and are loaded at
 * once; "--" separates what the first command needs from the rest. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/boot.h"
#include "shared/base/cleanup.h"
#include "shared/base/log.h"

#define PLAN "/banger/modules"

static int
load(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)) {
		bn_log_error("%s: %s", path, strerror(errno));
		return 1;
	}
	return 0;
}

/* Linking and initialising a module takes milliseconds under emulation, and processors are idle now. */
static void
load_in_child(const char *path, unsigned *running)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(load(path));
	if (pid < 0)
		(void)load(path);
	else
		(*running)++;
}

static void
wait_wave(unsigned *running)
{
	for (; *running > 0; (*running)--)
		(void)wait(NULL);
}

void
agent_modules_load(bool later)
{
	_cleanup_fclose_ FILE *file = fopen(PLAN, "re");
	char line[256];
	unsigned running = 0;
	bool mine = !later;

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, "--") == 0)
			mine = later;
		if (!mine || !*line)
			continue;
		if (line[0] == '-')
			wait_wave(&running);
		else
			load_in_child(line, &running);
	}
	wait_wave(&running);
}
