/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A world for the jail's tests, and the helper's side of its sockets. */
#pragma once

#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/types.h>

#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/fd-util.h"
#include "shared/base/io-util.h"
#include "shared/rules/jail-wire.h"
#include "test.h"

#define JAIL_UID BN_JAIL_UID_FIRST
#define JAIL_KEY "1000-0123456789abcdef0123456789abcdef"

typedef struct Launched {
	BnJailReply reply;
	int pidfd, control;
} Launched;

/* Begins a test program: mount, pid and network namespaces and a /run of its own, whose first process the caller goes
 * on as. argv[1] is the launcher, argv[2] the fake VMM, which lies over the VMM's program. */
void world_begin(int argc, char **argv);
extern const char *launcher_program;

/* Starts banger-jail the way systemd does; its pid. */
pid_t launcher_start(const char *program, const char *const *options);
void launcher_stop(pid_t pid);
/* Called in the launcher's process before it is executed; NULL for nothing. */
extern void (*launcher_before_exec)(void);

/* A launch request with `n_disks` disks (all but the first writable) and its descriptors. */
BnJailRequest request_make(unsigned n_disks, int fds[static BN_FD_MESSAGE_MAX]);

/* A tap of the world's own network, which goes with its descriptor. `flags`: of a VMM's, or others. */
#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
int tap_open(const char *name, int flags);
/* Puts a network into the request, with a tap of its address behind its `n_fds` descriptors: another one each time,
 * since the launcher may not have closed the last one yet. */
#define TAP_ADDRESS_FIRST 0x0a000002U
void request_add_tap(BnJailRequest *request, int *fds, size_t n_fds);

/* Sends anything; returns the connection. */
int request_connect(void);
int request_send(const void *data, size_t size, const int *fds, size_t n_fds);
Launched reply_receive(int connection);
Launched launch(unsigned n_disks);

/* One command on a control connection; `ret_fds` may be NULL where none are expected. */
BnJailAnswer command(int control, unsigned verb, int signo, int *ret_fds);
int control_connect(const char *key);

/* Waits for the end of the first process. */
void wait_end(int pidfd);
/* The content of the exit file; static. */
const char *exit_text(void);
/* Stops the launcher; then no process, no mount and no file of a jail may be left. */
void check_nothing_left(pid_t launcher);
/* Reads until `text` was seen; aborts at the end of the stream. Returns all that was read;
 * static. */
const char *read_until(int fd, const char *text);
/* Says one line to the fake VMM, and what it answers up to an empty line. */
const char *ask(int fd, const char *line);
