/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "jail/filter.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/falloc.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/base/errno-util.h"
#include "shared/base/macro.h"

#define CONDITIONS_MAX 3

/* (half & mask) == value, of one half of an argument; a mask of 0: no condition. */
typedef struct Condition {
	uint8_t half; /* 2 * argument, and 1 more for the upper 32 bits */
	uint32_t mask;
	uint32_t value;
} Condition;

/* A call that is allowed, if all of its conditions hold. A call may stand more than once. */
typedef struct Rule {
	uint16_t nr;
	Condition conditions[CONDITIONS_MAX];
} Rule;

#define ALLOW(name)                                                                                \
	{                                                                                          \
		SYS_##name,                                                                        \
		{                                                                                  \
		}                                                                                  \
	}
/* An argument that is 32 bits wide for the kernel too, or whose lower half says it all. */
#define ALLOW_IF(name, argument, bits, wanted)                                                     \
	{                                                                                          \
		SYS_##name,                                                                        \
		{                                                                                  \
			{                                                                          \
				2 * (argument), bits, wanted                                       \
			}                                                                          \
		}                                                                                  \
	}

/* prlimit64 of the process itself, and only to read: lowering the limit on cores would have the host's
 * handler called. A pointer has two halves. */
#define ALLOW_OWN_LIMITS                                                                           \
	{                                                                                          \
		SYS_prlimit64,                                                                     \
		{                                                                                  \
			{ 0, UINT32_MAX, 0 }, { 4, UINT32_MAX, 0 },                                \
			{                                                                          \
				5, UINT32_MAX, 0                                                   \
			}                                                                          \
		}                                                                                  \
	}

typedef struct Table {
	const Rule *rules;
	size_t n;
} Table;

#define TABLE(rules)                                                                               \
	{                                                                                          \
		rules, BN_ELEMENTSOF(rules)                                                        \
	}

/* What any process of the C library needs. Threads are made, processes never: clone only with
 * CLONE_THREAD, and clone3, whose flags no filter can see, does not exist. */
static const Rule base_rules[] = {
	ALLOW(read), ALLOW(write), ALLOW(readv), ALLOW(writev), ALLOW(pread64), ALLOW(pwrite64),
	ALLOW(preadv), ALLOW(pwritev), ALLOW(close), ALLOW(lseek), ALLOW(dup), ALLOW(dup2),
	ALLOW(dup3), ALLOW(fcntl), ALLOW(pipe2), ALLOW(openat), ALLOW(open), ALLOW(access),
	ALLOW(faccessat), ALLOW(faccessat2), ALLOW(stat), ALLOW(fstat), ALLOW(lstat),
	ALLOW(newfstatat), ALLOW(statx), ALLOW(readlink), ALLOW(readlinkat), ALLOW(getdents64),
	ALLOW(getcwd), ALLOW(statfs), ALLOW(fstatfs), ALLOW(umask), ALLOW(munmap), ALLOW(mprotect),
	ALLOW(mremap), ALLOW(madvise), ALLOW(brk), ALLOW(mincore), ALLOW(membarrier), ALLOW(poll),
	ALLOW(ppoll), ALLOW(select), ALLOW(pselect6), ALLOW(epoll_create1), ALLOW(epoll_ctl),
	ALLOW(epoll_wait), ALLOW(epoll_pwait), ALLOW(eventfd2), ALLOW(signalfd4),
	ALLOW(rt_sigaction), ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn), ALLOW(rt_sigtimedwait),
	ALLOW(rt_sigpending), ALLOW(rt_sigsuspend), ALLOW(sigaltstack), ALLOW(tgkill), ALLOW(futex),
	ALLOW(set_robust_list), ALLOW(get_robust_list), ALLOW(rseq), ALLOW(set_tid_address),
	ALLOW(gettid), ALLOW(getpid), ALLOW(getppid), ALLOW(getuid), ALLOW(geteuid), ALLOW(getgid),
	ALLOW(getegid), ALLOW(sched_yield), ALLOW(sched_getaffinity), ALLOW(clock_gettime),
	ALLOW(clock_getres), ALLOW(clock_nanosleep), ALLOW(nanosleep), ALLOW(gettimeofday),
	ALLOW(time), ALLOW(getrandom), ALLOW(uname), ALLOW(sysinfo), ALLOW(getrusage),
	ALLOW(arch_prctl), ALLOW(restart_syscall), ALLOW(exit), ALLOW(exit_group), ALLOW(getcpu),
	ALLOW_IF(clone, 0, CLONE_THREAD, CLONE_THREAD),
	/* Huge pages are the host's, counted and few. */
	ALLOW_IF(mmap, 3, MAP_HUGETLB, 0), ALLOW_OWN_LIMITS, ALLOW(getrlimit)
};

/* execve is what starts it, from this very program; QEMU's own sandbox takes it away (spawn=deny).
 * There is no socket, bind and connect: the listening sockets are given. */
static const Rule qemu_rules[] = { ALLOW(execve),
				   ALLOW(seccomp),
				   ALLOW_IF(prctl, 0, UINT32_MAX, PR_SET_NAME),
				   ALLOW_IF(prctl, 0, UINT32_MAX, PR_SET_TIMERSLACK),
				   ALLOW_IF(prctl, 0, UINT32_MAX, PR_SET_NO_NEW_PRIVS),
				   ALLOW_IF(prctl, 0, UINT32_MAX, PR_GET_SECCOMP),
				   ALLOW(accept4),
				   ALLOW(accept),
				   ALLOW(listen),
				   ALLOW(recvmsg),
				   ALLOW(sendmsg),
				   ALLOW(recvfrom),
				   ALLOW(sendto),
				   ALLOW(shutdown),
				   ALLOW(getsockname),
				   ALLOW(getpeername),
				   ALLOW(getsockopt),
				   ALLOW(setsockopt),
				   ALLOW_IF(ioctl, 1, UINT32_MAX, FIONBIO),
				   ALLOW_IF(ioctl, 1, UINT32_MAX, FIONREAD),
				   ALLOW_IF(ioctl, 1, UINT32_MAX, TCGETS),
				   ALLOW(timerfd_create),
				   ALLOW(timerfd_settime),
				   ALLOW(timer_create),
				   ALLOW(timer_settime),
				   ALLOW(timer_gettime),
				   ALLOW(timer_delete) };

/* What is done to disks beside reading and writing. Of fallocate's ways those that RLIMIT_FSIZE
 * bounds: reserving behind the end of a file and inserting into it are not among them. */
static const Rule disk_rules[] = {
	ALLOW(fdatasync),
	ALLOW(fsync),
	ALLOW(ftruncate),
	ALLOW(sync_file_range),
	ALLOW_IF(fallocate, 1, UINT32_MAX, 0),
	ALLOW_IF(fallocate, 1, UINT32_MAX, FALLOC_FL_ZERO_RANGE),
	ALLOW_IF(fallocate, 1, UINT32_MAX, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),
};

/* Every request of type 0xae (KVMIO, linux/kvm.h), whatever its direction, number and size. */
static const Rule kvm_rules[] = { ALLOW_IF(ioctl, 1, 0xff00, 0xae00) };

/* What QEMU asks of the tap that it was given. Not what makes, names, keeps or hands over an interface, nor what has a
 * program of the kernel's run on every frame. It asks for a larger queue too (TUNSETSNDBUF), and does without. */
static const Rule tap_rules[] = {
	ALLOW_IF(ioctl, 1, UINT32_MAX, TUNGETIFF),
	ALLOW_IF(ioctl, 1, UINT32_MAX, TUNSETOFFLOAD),
	ALLOW_IF(ioctl, 1, UINT32_MAX, TUNGETVNETHDRSZ),
	ALLOW_IF(ioctl, 1, UINT32_MAX, TUNSETVNETHDRSZ),
};

/* The first process beside a running VMM: it relays, waits, answers, kills and goes. */
static const Rule warden_rules[] = { ALLOW(poll),
				     ALLOW(ppoll),
				     ALLOW(read),
				     ALLOW(write),
				     ALLOW(sendto),
				     ALLOW(recvfrom),
				     ALLOW(pwrite64),
				     ALLOW(ftruncate),
				     ALLOW(recvmsg),
				     ALLOW(sendmsg),
				     ALLOW(accept4),
				     ALLOW_IF(socket, 0, UINT32_MAX, 1 /* AF_UNIX */),
				     ALLOW(connect),
				     ALLOW(socketpair),
				     ALLOW(getsockopt),
				     ALLOW(shutdown),
				     ALLOW(fcntl),
				     ALLOW(close),
				     ALLOW(kill),
				     ALLOW(wait4),
				     ALLOW(rt_sigreturn),
				     ALLOW(rt_sigprocmask),
				     ALLOW(restart_syscall),
				     ALLOW(exit_group) };

#define PROGRAM_MAX 512

typedef struct Program {
	struct sock_filter code[PROGRAM_MAX];
	size_t n;
} Program;

static void
emit(Program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	/* The tables are constants and far from filling it. */
	assert(p->n < PROGRAM_MAX);
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(code, k, yes, no);
}

static void
emit_load(Program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void
emit_return(Program *p, uint32_t action)
{
	emit(p, BPF_RET | BPF_K, action, 0, 0);
}

/* Each condition is three instructions; behind them one that allows, and one that loads the number
 * again for the next rule. */
static void
emit_rule(Program *p, const Rule *rule)
{
	unsigned n = 0;

	while (n < CONDITIONS_MAX && rule->conditions[n].mask != 0)
		n++;
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, rule->nr, 0, (uint8_t)(n > 0 ? 3 * n + 2 : 1));
	for (unsigned i = 0; i < n; i++) {
		const Condition *c = &rule->conditions[i];

		emit_load(p, offsetof(struct seccomp_data, args) + 4 * c->half); /* little endian */
		emit(p, BPF_ALU | BPF_AND | BPF_K, c->mask, 0, 0);
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, c->value, 0, (uint8_t)(3 * (n - 1 - i) + 1));
	}
	emit_return(p, SECCOMP_RET_ALLOW);
	if (n > 0)
		emit_load(p, offsetof(struct seccomp_data, nr));
}

static int
install(const Table *tables, size_t n)
{
	Program p = { .n = 0 };
	struct sock_fprog program = { .filter = p.code };

	emit_load(&p, offsetof(struct seccomp_data, arch));
	emit(&p, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	emit_return(&p, SECCOMP_RET_KILL_PROCESS);
	emit_load(&p, offsetof(struct seccomp_data, nr));
	/* x32: the same architecture to the filter, other numbers. */
	emit(&p, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
	emit_return(&p, SECCOMP_RET_KILL_PROCESS);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < tables[i].n; j++)
			emit_rule(&p, &tables[i].rules[j]);
	/* The C library falls back to clone, whose flags are seen, only where the call is
	 * unknown. */
	emit(&p, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1);
	emit_return(&p, SECCOMP_RET_ERRNO | ENOSYS);
	emit_return(&p, SECCOMP_RET_ERRNO | EPERM);
	program.len = (unsigned short)p.n;
	return bn_ret_errno((int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0UL, &program));
}

int
filter_install_vmm(BnVmmKind kind, bool kvm, bool network)
{
	static const Table kinds[_BN_VMM_MAX] = {
		[BN_VMM_QEMU_MICROVM] = TABLE(qemu_rules), [BN_VMM_QEMU_Q35] = TABLE(qemu_rules)
	};
	Table tables[5] = { TABLE(base_rules), kinds[kind], TABLE(disk_rules) };
	size_t n = 3;

	if (kvm)
		tables[n++] = (Table)TABLE(kvm_rules);
	if (network)
		tables[n++] = (Table)TABLE(tap_rules);
	return install(tables, n);
}

int
filter_install_warden(void)
{
	static const Table tables[] = { TABLE(warden_rules) };

	return install(tables, BN_ELEMENTSOF(tables));
}
