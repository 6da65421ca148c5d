/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The filter of a jail's first process, and that of a VMM with KVM, which not every machine has: every system call by
 * its number, in a child that the filter holds. */
#include <asm/unistd.h>
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/filter.h"
#include "shared/base/macro.h"
#include "test.h"

#define CALLS    1024
#define REQUESTS 65536
/* uretprobe and uprobe pass every filter in newer kernels, and end whoever makes them. */
#define PROBES_FIRST 335
#define PROBES_LAST  336

/* What the child found out, in memory that it shares: it may not be able to tell. */
typedef struct Found {
	int calls[CALLS];        /* errno, 0 for success, or -1: not tried */
	uint8_t ioctl[REQUESTS]; /* let through */
} Found;

static Found *found;

/* Those of the list do what they do whatever they are given. */
static bool
is_final(int nr)
{
	return nr == SYS_exit || nr == SYS_exit_group || nr == SYS_rt_sigreturn ||
	       (nr >= PROBES_FIRST && nr <= PROBES_LAST);
}

static _noreturn_ void
try_all(bool warden)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    (warden ? filter_install_warden() : filter_install_vmm(BN_VMM_QEMU_Q35, true)) < 0)
		_exit(1);
	for (int nr = 0; nr < CALLS; nr++)
		if (!is_final(nr))
			found->calls[nr] =
				syscall(nr, -1L, -1L, -1L, -1L, -1L, -1L) < 0 ? errno : 0;
	for (unsigned n = 0; n < REQUESTS && !warden; n++)
		found->ioctl[n] = syscall(SYS_ioctl, -1, 0x40000000 | n, 0L) >= 0 || errno != EPERM;
	_exit(0);
}

static void
look(bool warden)
{
	int status;
	pid_t pid;

	if (!found)
		found = mmap(NULL, sizeof(*found), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(found != MAP_FAILED);
	memset(found, 0, sizeof(*found));
	memset(found->calls, -1, sizeof(found->calls));
	pid = fork();
	check(pid >= 0);
	if (pid == 0)
		try_all(warden);
	check_int(waitpid(pid, &status, 0), pid);
	check_int(status, 0);
}

/* It relays, waits, answers, kills and goes; its sockets are unix ones alone, which -1 is not. */
static void
test_first_process_when_every_call_is_tried_then_only_those_meant_are_let_through(void)
{
	static const int allowed[] = { SYS_poll,           SYS_ppoll,
				       SYS_read,           SYS_write,
				       SYS_sendto,         SYS_recvfrom,
				       SYS_pwrite64,       SYS_ftruncate,
				       SYS_recvmsg,        SYS_sendmsg,
				       SYS_accept4,        SYS_connect,
				       SYS_socketpair,     SYS_getsockopt,
				       SYS_shutdown,       SYS_fcntl,
				       SYS_close,          SYS_kill,
				       SYS_wait4,          SYS_rt_sigreturn,
				       SYS_rt_sigprocmask, SYS_restart_syscall,
				       SYS_exit_group };

	look(/* warden= */ true);
	for (int nr = 0; nr < CALLS; nr++) {
		bool is_allowed = false;

		for (size_t i = 0; i < BN_ELEMENTSOF(allowed); i++)
			is_allowed |= allowed[i] == nr;
		if (is_final(nr))
			continue;
		if (!is_allowed && nr == SYS_clone3)
			check_int(found->calls[nr], ENOSYS);
		else if ((found->calls[nr] == EPERM) == is_allowed)
			fprintf(stderr, "call %d: %s\n", nr, strerror(found->calls[nr]));
		check(nr == SYS_clone3 || (found->calls[nr] == EPERM) == !is_allowed);
	}
}

/* Of devices those three that any VMM has, and KVM's whole type; the sweep of its calls is jail.py's. */
static void
test_vmm_with_kvm_when_every_request_is_tried_then_kvms_beside_what_others_have(void)
{
	look(/* warden= */ false);
	for (unsigned n = 0; n < REQUESTS; n++)
		if (found->ioctl[n] != ((n & 0xff00) == 0xae00)) {
			fprintf(stderr, "ioctl %#x: %d\n", n, found->ioctl[n]);
			check(false);
		}
}

TEST_MAIN(TEST(test_first_process_when_every_call_is_tried_then_only_those_meant_are_let_through),
	  TEST(test_vmm_with_kvm_when_every_request_is_tried_then_kvms_beside_what_others_have))
