/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jail/launcher.h"
#include "shared/base/errno-util.h"
#include "shared/base/fd-util.h"
#include "shared/base/log.h"
#include "shared/base/str-util.h"

/* sd_listen_fds(3): the first descriptor that is passed on, and here the only one. */
#define LISTEN_FD 3

static int
get_option(int fd, int option)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -1 : value;
}

/* The socket that whoever started us listens on; negative errno where there is none such. */
static int
take_listener(const char *pid, const char *count)
{
	uint64_t value;
	int r;

	if (!pid || bn_str_parse_u64(pid, INT_MAX, &value) < 0 || (pid_t)value != getpid())
		return -ENOENT;
	if (!bn_str_equal(count, "1"))
		return -EINVAL;
	if (get_option(LISTEN_FD, SO_DOMAIN) != AF_UNIX ||
	    get_option(LISTEN_FD, SO_TYPE) != SOCK_SEQPACKET ||
	    get_option(LISTEN_FD, SO_ACCEPTCONN) != 1)
		return -ENOTSOCK;
	r = bn_fd_set_cloexec(LISTEN_FD, true);
	if (r >= 0) /* two that poll it must not both wait in accept */
		r = bn_fd_set_nonblock(LISTEN_FD, true);
	return r < 0 ? r : LISTEN_FD;
}

/* -1 for "never"; -EINVAL for what is no number of seconds. */
static int
parse_options(int argc, char **argv, int *ret_idle_ms)
{
	static const struct option options[] = { { "idle-exit", required_argument, NULL, 'i' },
						 { "version", no_argument, NULL, 'V' },
						 {} };
	uint64_t seconds;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'V') {
			(void)puts("banger-jail " BANGER_VERSION);
			exit(0);
		}
		if (c != 'i' || bn_str_parse_u64(optarg, 3600, &seconds) < 0)
			return -EINVAL;
		*ret_idle_ms = (int)seconds * 1000;
	}
	return optind == argc ? 0 : -EINVAL;
}

int
main(int argc, char **argv)
{
	int idle_ms = -1, listener, r;

	if (parse_options(argc, argv, &idle_ms) < 0) {
		(void)fputs("usage: banger-jail [--idle-exit=SECONDS] [--version]\n", stderr);
		return 2;
	}
	listener = take_listener(getenv("LISTEN_PID"), getenv("LISTEN_FDS"));
	if (listener < 0) {
		bn_log_error("no listening socket was passed: %s", strerror(-listener));
		return 1;
	}
	/* Nothing of where we were started from reaches a jail. */
	(void)clearenv();
	(void)umask(0077);
	r = chdir("/") < 0 ? bn_errno() : launcher_run(listener, idle_ms);
	if (r < 0)
		bn_log_error("cannot serve: %s", strerror(-r));
	return r < 0;
}
