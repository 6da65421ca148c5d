/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The filter of a jail's first process, and that of a VMM with KVM, which not every machine has: every system call by
 * its number, in a child that the filter holds. */
#include <asm/unistd.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <stdint.h>
#include <sys/ioctl.h>
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
/* Directions and sizes that a request can say: none, and both ways with those of an int, a pointer, a program. */
static const uint32_t forms[] = { 0,          0x40040000, 0x80040000, 0xc0040000, 0x40080000,
				  0x80080000, 0xc0080000, 0x40100000, 0x80100000, 0xc0100000 };
#define FORMS (sizeof(forms) / sizeof(forms[0]))
/* uretprobe and uprobe pass every filter in newer kernels, and end whoever makes them. */
#define PROBES_FIRST 335
#define PROBES_LAST  336

/* What the child found out, in memory that it shares: it may not be able to tell. */
typedef struct Found {
	int calls[CALLS];               /* errno, 0 for success, or -1: not tried */
	uint8_t ioctl[FORMS][REQUESTS]; /* let through */
} Found;

typedef enum Whose {
	OF_WARDEN,
	OF_VMM,
	OF_VMM_WITH_KVM,
	OF_VMM_WITH_NETWORK,
	OF_VMM_WITH_ALL
} Whose;

static Found *found;

/* Those of the list do what they do whatever they are given. */
static bool
is_final(int nr)
{
	return nr == SYS_exit || nr == SYS_exit_group || nr == SYS_rt_sigreturn ||
	       (nr >= PROBES_FIRST && nr <= PROBES_LAST);
}

static int
install(Whose whose)
{
	if (whose == OF_WARDEN)
		return filter_install_warden();
	return filter_install_vmm(BN_VMM_QEMU_Q35,
				  whose == OF_VMM_WITH_KVM || whose == OF_VMM_WITH_ALL,
				  whose == OF_VMM_WITH_NETWORK || whose == OF_VMM_WITH_ALL);
}

static _noreturn_ void
try_all(Whose whose)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || install(whose) < 0)
		_exit(1);
	for (int nr = 0; nr < CALLS; nr++)
		if (!is_final(nr))
			found->calls[nr] =
				syscall(nr, -1L, -1L, -1L, -1L, -1L, -1L) < 0 ? errno : 0;
	for (size_t f = 0; f < FORMS && whose != OF_WARDEN; f++)
		for (unsigned n = 0; n < REQUESTS; n++)
			found->ioctl[f][n] =
				syscall(SYS_ioctl, -1, forms[f] | n, 0L) >= 0 || errno != EPERM;
	_exit(0);
}

static void
look(Whose whose)
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
		try_all(whose);
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

	look(OF_WARDEN);
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

/* What any VMM may ask of its descriptors. */
static bool
is_usual(uint32_t request)
{
	return request == TCGETS || request == FIONREAD || request == FIONBIO;
}

static bool
is_of_kvm(uint32_t request)
{
	return (request & 0xff00) == 0xae00;
}

static bool
is_of_tap(uint32_t request)
{
	return request == TUNGETIFF || request == TUNSETOFFLOAD || request == TUNGETVNETHDRSZ ||
	       request == TUNSETVNETHDRSZ;
}

static bool
is_of_all(uint32_t request)
{
	return is_of_kvm(request) || is_of_tap(request);
}

static void
check_requests(Whose whose, bool (*more)(uint32_t request))
{
	look(whose);
	for (size_t f = 0; f < FORMS; f++)
		for (unsigned n = 0; n < REQUESTS; n++) {
			uint32_t request = forms[f] | n;

			if (found->ioctl[f][n] == (is_usual(request) || (more && more(request))))
				continue;
			fprintf(stderr, "ioctl %#x: %d\n", request, found->ioctl[f][n]);
			check(false);
		}
}

/* Of devices those three that any VMM has; the sweep of its calls is jail.py's. */
static void
test_vmm_when_every_request_is_tried_then_those_that_all_have(void)
{
	check_requests(OF_VMM, NULL);
}

static void
test_vmm_with_kvm_when_every_request_is_tried_then_kvms_beside_what_others_have(void)
{
	check_requests(OF_VMM_WITH_KVM, is_of_kvm);
}

static void
test_t31_vmm_with_network_when_every_request_is_tried_then_four_of_its_tap(void)
{
	size_t n = 0;

	check_requests(OF_VMM_WITH_NETWORK, is_of_tap);
	for (size_t f = 0; f < FORMS; f++)
		for (unsigned i = 0; i < REQUESTS; i++)
			n += found->ioctl[f][i] && is_of_tap(forms[f] | i);
	check_int(n, 4);
	check_requests(OF_VMM_WITH_ALL, is_of_all);
}

TEST_MAIN(TEST(test_first_process_when_every_call_is_tried_then_only_those_meant_are_let_through),
	  TEST(test_vmm_when_every_request_is_tried_then_those_that_all_have),
	  TEST(test_vmm_with_kvm_when_every_request_is_tried_then_kvms_beside_what_others_have),
	  TEST(test_t31_vmm_with_network_when_every_request_is_tried_then_four_of_its_tap))
