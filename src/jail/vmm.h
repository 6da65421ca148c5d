/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The VMM from inside its jail: its sockets, its start. */
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include "jail/jail.h"

/* One listening socket of the VMM's. Its address is an abstract one that the kernel chose, in
 * the jail's own network namespace: there is no path that anybody could put something else in
 * the place of. */
typedef struct VmmSocket {
	int fd; /* -1 once the VMM alone holds it */
	socklen_t size;
	struct sockaddr_un address;
} VmmSocket;

typedef struct Vmm {
	pid_t pid; /* 0: not running */
	VmmSocket sockets[_BN_JAIL_OUT_MAX];
} Vmm;

int vmm_listen(Vmm *vmm);

/* A blocking connection, which waits in the queue until the VMM takes it. -EAGAIN where the
 * queue is full. A descriptor or negative errno. */
int vmm_connect(const Vmm *vmm, unsigned which);

/* Forks and executes; `output` becomes its standard output and error. Returns when exec has
 * succeeded, or with what failed and the step in `reterr_step`. Closes our copies of the
 * listening sockets. */
int vmm_start(Vmm *vmm, const Jail *jail, int output, char reterr_step[static 32]);
