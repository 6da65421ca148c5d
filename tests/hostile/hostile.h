/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lies in the VMM's place in the tests of hostile VMMs: it tries whatever a VMM could that was taken over. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Numbers that it was started with (shared/rules/vmm-argv.h): the test's first disk is read-only, the second not. */
enum { FD_KERNEL = 3, FD_INITRAMFS, FD_AGENT, FD_CONTROL, FD_CONSOLE, FD_READ_ONLY, FD_DISK };

/* Connections to whoever launched it; the console's stays. */
typedef struct Channels {
	int control, agent, console;
	FILE *out; /* answers, on the control connection */
} Channels;

extern Channels channels;

/* One line: what was tried, and the error that stopped it, or "yes". `r`: as of a system call, with errno. */
void say(const char *what, long r);
/* The same for things that are named by a number or a path. */
void say_of(const char *what, const char *which, long r);

/* Each answers a command of its name with a line for each attempt. */
void try_paths(char **argv);
void try_walk(char **argv);
void try_mountinfo(char **argv);
void try_files(char **argv);
void try_disks(char **argv);
void try_processes(char **argv);
void try_want(char **argv);
void try_handles(char **argv);
void try_rights(char **argv);
void try_calls(char **argv);
void try_conditions(char **argv);
void try_foreign(char **argv);
void try_sockets(char **argv);
void try_resources(char **argv);
void try_locks(char **argv);
void try_pass(char **argv);
void try_setuid(char **argv);

/* Instead of obeying: as bangerd's VMM and its guest would, in the way that the VM's name says. */
_Noreturn void behave(const char *name);
