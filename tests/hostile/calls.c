/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every system call by its number, and every argument that decides about one. */
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hostile.h"

/* More than there are yet. */
#define CALLS 1024
/* uretprobe and uprobe. */
#define PROBES_FIRST 335
#define PROBES_LAST  336

/* These do what they do whatever they are given: one ends this process, one this thread, one returns from a signal that
 * never came. Two pass every filter in newer kernels, and end whoever makes them. */
static int
is_final(int nr)
{
	return nr == SYS_exit || nr == SYS_exit_group || nr == SYS_rt_sigreturn ||
	       (nr >= PROBES_FIRST && nr <= PROBES_LAST);
}

/* With arguments that nothing can be done with. */
void
try_calls(char **argv)
{
	char name[12];

	for (int nr = 0; nr < CALLS; nr++) {
		if (is_final(nr))
			continue;
		(void)snprintf(name, sizeof(name), "%d", nr);
		say_of("call", name, syscall(nr, -1L, -1L, -1L, -1L, -1L, -1L));
	}
}

static void
try_prctl(void)
{
	static const int more[] = { PR_SET_PTRACER, 0x41555856, 0x53564d41, -1 };

	for (int i = 0; i < 256 + (int)(sizeof(more) / sizeof(more[0])); i++) {
		int option = i < 256 ? i : more[i - 256];

		if (syscall(SYS_prctl, option, 0L, 0L, 0L, 0L) >= 0 || errno != EPERM)
			fprintf(channels.out, "allowed prctl %d\n", option);
	}
}

/* All numbers and types, in the forms that requests have: none, and both ways with the sizes that are usual. */
static void
try_ioctl(void)
{
	static const unsigned forms[] = { 0,          0x40040000, 0x80040000, 0xc0040000,
					  0x40080000, 0x80080000, 0xc0080000 };

	for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++)
		for (unsigned n = 0; n < 65536; n++)
			if (syscall(SYS_ioctl, STDIN_FILENO, forms[f] | n, 0L) >= 0 ||
			    errno != EPERM)
				fprintf(channels.out, "allowed ioctl %#x\n", forms[f] | n);
}

/* Without CLONE_THREAD nothing; with it no namespace. A success would be a second one of us on our stack. */
static void
try_clone(void)
{
	static const unsigned long thread = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	static const unsigned long spaces[] = { CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS,
						CLONE_NEWIPC, CLONE_NEWUSER,   CLONE_NEWPID,
						CLONE_NEWNET };
	unsigned n = 0;
	char name[24];

	for (int bit = 0; bit < 64; bit++)
		if (1UL << bit != CLONE_THREAD)
			n += syscall(SYS_clone, 1UL << bit, 0L, NULL, NULL, 0L) >= 0 ||
			     errno != EPERM;
	n += syscall(SYS_clone, ~(unsigned long)CLONE_THREAD, 0L, NULL, NULL, 0L) >= 0 ||
	     errno != EPERM;
	fprintf(channels.out, "allowed clones without a thread: %u\n", n);
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		(void)snprintf(name, sizeof(name), "%#lx", spaces[i]);
		say_of("thread in a namespace", name,
		       syscall(SYS_clone, thread | spaces[i], 0L, NULL, NULL, 0L));
	}
}

static void
try_limits(void)
{
	/* Its address has a lower half of zero. */
	void *low = mmap((void *)0x7f00000000UL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	struct rlimit limit, none = {};

	say("read a limit", syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit));
	say("set a limit", syscall(SYS_prlimit64, 0, RLIMIT_CORE, &none, NULL));
	say("set a limit from a round address",
	    low == MAP_FAILED ? 0 : syscall(SYS_prlimit64, 0, RLIMIT_CORE, low, NULL));
	say("set a limit of itself by number",
	    syscall(SYS_prlimit64, getpid(), RLIMIT_CORE, &none, NULL));
	say("setrlimit", syscall(SYS_setrlimit, RLIMIT_CORE, &none));
	say("map huge pages", mmap(NULL, 2 << 20, PROT_READ,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0) == MAP_FAILED
				      ? -1
				      : 0);
}

void
try_conditions(char **argv)
{
	try_prctl();
	try_ioctl();
	try_clone();
	try_limits();
}

/* argv[1]: "x32", "i386" or "native"; argv[2]: the number there. */
void
try_foreign(char **argv)
{
	long nr = atol(argv[2]), r;

	if (strcmp(argv[1], "x32") == 0)
		r = syscall(0x40000000 + nr, -1L, -1L, -1L, -1L, -1L, -1L);
	else if (strcmp(argv[1], "native") == 0)
		r = syscall(nr, -1L, -1L, -1L, -1L, -1L, -1L);
	else
		__asm__ volatile("int $0x80"
				 : "=a"(r)
				 : "a"(nr), "b"(-1L), "c"(-1L), "d"(-1L), "S"(-1L), "D"(-1L)
				 : "memory");
	fprintf(channels.out, "came back with %ld\n", r);
}
