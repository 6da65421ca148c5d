/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "jail/probe.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "jail/filter.h"
#include "shared/base/cleanup.h"
#include "shared/base/clock.h"
#include "shared/base/errno-util.h"
#include "shared/base/macro.h"

/* Hardware, nested or not, needs one or two nanoseconds; an emulator behind /dev/kvm hundreds. */
#define USABLE_NS_MAX 20.0
/* Rounds of the loop, two instructions each. What an entry into the guest costs (up to
 * milliseconds where KVM is nested) is in both runs and falls out of their difference. */
#define ROUNDS_WARM  1000
#define ROUNDS_SHORT 5000
#define ROUNDS_LONG  25000
#define TRIES        3
#define BOUND_MS     100

/* The guest's memory: page tables that map its first 2 MiB onto themselves, and the loop. */
enum { PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, CODE = 0x4000, MEMORY = 0x10000 };

typedef struct Probe {
	int kvm, vm, vcpu;
	uint8_t *memory;
	struct kvm_run *run;
	size_t run_size;
	const char *step; /* the last one begun */
} Probe;

/* Only there to end KVM_RUN. */
static void
on_alarm(int signo)
{
}

static int
open_vm(Probe *p)
{
	int r;

	p->step = "/dev/kvm";
	p->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (p->kvm < 0)
		return bn_errno();
	p->step = "KVM_GET_API_VERSION";
	r = ioctl(p->kvm, KVM_GET_API_VERSION, 0);
	if (r != KVM_API_VERSION)
		return r < 0 ? bn_errno() : -EPROTONOSUPPORT;
	p->step = "KVM_CREATE_VM";
	p->vm = ioctl(p->kvm, KVM_CREATE_VM, 0);
	if (p->vm < 0)
		return bn_errno();
	p->step = "KVM_CREATE_VCPU";
	p->vcpu = ioctl(p->vm, KVM_CREATE_VCPU, 0);
	return p->vcpu < 0 ? bn_errno() : 0;
}

static int
map_memory(Probe *p)
{
	/* loop: dec %rcx; jnz loop; hlt */
	static const uint8_t code[] = { 0x48, 0xff, 0xc9, 0x75, 0xfb, 0xf4 };
	static const struct {
		size_t at;
		uint64_t entry;
	} tables[] = { { PML4, PDPT | 3 }, { PDPT, PD | 3 }, { PD, 0x83 } };
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY };
	int size;

	p->step = "memory";
	p->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->memory == MAP_FAILED)
		return bn_errno();
	for (size_t i = 0; i < BN_ELEMENTSOF(tables); i++)
		memcpy(p->memory + tables[i].at, &tables[i].entry, sizeof(uint64_t));
	memcpy(p->memory + CODE, code, sizeof(code));
	region.userspace_addr = (uint64_t)(uintptr_t)p->memory;
	p->step = "KVM_SET_USER_MEMORY_REGION";
	if (ioctl(p->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return bn_errno();
	p->step = "KVM_GET_VCPU_MMAP_SIZE";
	size = ioctl(p->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(*p->run))
		return size < 0 ? bn_errno() : -EINVAL;
	p->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, p->vcpu, 0);
	return p->run == MAP_FAILED ? bn_errno() : 0;
}

/* A kernel's mode: 64 bits, ring 0, paging. Other modes may well run where this one does not. */
static int
enter_long_mode(Probe *p)
{
	struct kvm_segment data = { .limit = UINT32_MAX,
				    .selector = 0x10,
				    .type = 3,
				    .present = 1,
				    .db = 1,
				    .s = 1,
				    .g = 1 };
	struct kvm_segment code = { .limit = UINT32_MAX,
				    .selector = 0x8,
				    .type = 11,
				    .present = 1,
				    .l = 1,
				    .s = 1,
				    .g = 1 };
	struct kvm_sregs s;

	p->step = "KVM_SET_SREGS";
	if (ioctl(p->vcpu, KVM_GET_SREGS, &s) < 0)
		return bn_errno();
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.cr0 = 0x80000001; /* PG PE */
	s.cr3 = PML4;
	s.cr4 = 0x20;   /* PAE */
	s.efer = 0x500; /* LMA LME */
	return bn_ret_errno(ioctl(p->vcpu, KVM_SET_SREGS, &s));
}

/* Runs the loop; the time per instruction where it was cut short by the alarm, with -EINTR. */
static int
run_rounds(Probe *p, uint64_t rounds, double *ret_ns, double *ret_each)
{
	struct kvm_regs regs = { .rip = CODE, .rcx = rounds, .rflags = 2 };
	uint64_t start = bn_clock_ns();
	int r;

	p->step = "KVM_RUN";
	if (ioctl(p->vcpu, KVM_SET_REGS, &regs) < 0)
		return bn_errno();
	r = bn_ret_errno(ioctl(p->vcpu, KVM_RUN, 0));
	*ret_ns = (double)(bn_clock_ns() - start);
	if (r == -EINTR && ioctl(p->vcpu, KVM_GET_REGS, &regs) >= 0)
		*ret_each = *ret_ns / (double)(2 * (rounds - regs.rcx) + 1);
	if (r < 0)
		return r;
	p->step = "guest";
	return p->run->exit_reason == KVM_EXIT_HLT ? 0 : -ENOEXEC;
}

static int
measure(Probe *p, double *ret_each)
{
	double shorter = 0, longer = 0, each;
	int r = run_rounds(p, ROUNDS_WARM, &shorter, ret_each);

	/* The best of a few: another process may have had the processor. */
	for (int i = 0; i < TRIES && r >= 0; i++) {
		r = run_rounds(p, ROUNDS_SHORT, &shorter, ret_each);
		if (r >= 0)
			r = run_rounds(p, ROUNDS_LONG, &longer, ret_each);
		if (r < 0)
			break;
		each = (longer - shorter) / (2 * (ROUNDS_LONG - ROUNDS_SHORT));
		*ret_each = i == 0 ? each : BN_MIN(each, *ret_each);
		if (*ret_each <= USABLE_NS_MAX)
			break;
	}
	return r;
}

static int
probe(Probe *p, double *ret_each)
{
	/* Again and again: one that comes before KVM_RUN ends nothing. */
	const struct timeval after = { .tv_usec = BOUND_MS * 1000 };
	struct itimerval bound = { .it_interval = after, .it_value = after };
	struct sigaction action = { .sa_handler = on_alarm }; /* no SA_RESTART */
	int r;

	/* Before the filter, which has no timers. Only KVM_RUN waits for a guest. */
	p->step = "timer";
	if (sigaction(SIGALRM, &action, NULL) < 0 || setitimer(ITIMER_REAL, &bound, NULL) < 0)
		return bn_errno();
	p->step = "filter";
	r = filter_install_vmm(BN_VMM_QEMU_MICROVM, /* kvm= */ true, /* network= */ false);
	if (r >= 0)
		r = open_vm(p);
	if (r >= 0)
		r = map_memory(p);
	if (r >= 0)
		r = enter_long_mode(p);
	return r < 0 ? r : measure(p, ret_each);
}

/* The process ends after this: nothing is closed or unmapped. */
void
probe_kvm(BnJailReply *ret)
{
	Probe p = { .kvm = -1, .vm = -1, .vcpu = -1 };
	double each = 0;
	int r = probe(&p, &each);

	if (r < 0 && each <= 0)
		(void)snprintf(ret->text, sizeof(ret->text), "%s: %s", p.step, strerror(-r));
	else if (r < 0 || each > USABLE_NS_MAX)
		(void)snprintf(ret->text, sizeof(ret->text), "emulated: %.0f ns per instruction",
			       each);
	else
		(void)snprintf(ret->text, sizeof(ret->text), "%.1f ns per instruction", each);
	ret->usable = r >= 0 && each <= USABLE_NS_MAX;
	/* Another hypervisor may go, a module come, a busy host have let the alarm be first. */
	ret->proven = r >= 0;
}
