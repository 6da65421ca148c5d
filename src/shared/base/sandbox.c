/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/base/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/base/errno-util.h"
#include "shared/base/fd-util.h"
#include "shared/base/macro.h"

/* A tree of two million entries, a large xz dictionary and the threads' stacks. */
#define MEMORY_MAX ((rlim_t)3 << 30)

/* What older architectures call for the same things. */
#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#define OUR_POLL SYS_poll
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#define OUR_POLL SYS_ppoll
#endif

/* All that libarchive, libext2fs, threads and malloc ask of the kernel once descriptors are there. */
static const int allowed[] = {
	SYS_read,
	SYS_pread64,
	SYS_readv,
	SYS_write,
	SYS_pwrite64,
	SYS_writev,
	SYS_lseek,
	SYS_fstat,
	SYS_newfstatat,
	SYS_ppoll,
	OUR_POLL,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	SYS_brk,
	SYS_futex,
	SYS_fsync,
	SYS_fdatasync,
	SYS_ftruncate,
	SYS_fallocate,
	SYS_fadvise64,
	SYS_sync_file_range,
	SYS_close,
	SYS_fcntl,
	SYS_eventfd2,
	SYS_exit,
	SYS_exit_group,
	SYS_getrandom,
	SYS_gettid,
	SYS_getpid,
	SYS_tgkill,
	SYS_rt_sigreturn,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_clock_gettime,
	SYS_sched_yield,
	SYS_sched_getaffinity,
	SYS_set_robust_list,
	SYS_rseq,
	SYS_restart_syscall,
	SYS_prlimit64,
	SYS_getuid,
	SYS_geteuid,
};

#define LOAD(field)                                                                                \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define RETURN(value)      BPF_STMT(BPF_RET | BPF_K, (value))
#define IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), yes, no)

/* What is not allowed fails with EPERM rather than kills: a library that asks for a comfort it can do
 * without goes on. clone3() hides its flags from a filter, so it "does not exist", and libc falls back
 * to clone(), which may make threads only. */
static int
filter_syscalls(void)
{
	struct sock_filter code[2 * BN_ELEMENTSOF(allowed) + 16];
	struct sock_fprog program = { .filter = code };
	unsigned short n = 0;

	code[n++] = (struct sock_filter)LOAD(arch);
	code[n++] = (struct sock_filter)IF(OUR_ARCH, 1, 0);
	code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS);
	code[n++] = (struct sock_filter)LOAD(nr);
	for (size_t i = 0; i < BN_ELEMENTSOF(allowed); i++) {
		code[n++] = (struct sock_filter)IF(allowed[i], 0, 1);
		code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	}
	code[n++] = (struct sock_filter)IF(SYS_clone3, 0, 1);
	code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | ENOSYS);
	code[n++] = (struct sock_filter)IF(SYS_clone, 0, 3);
	code[n++] = (struct sock_filter)LOAD(args[0]);
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1);
	code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | EPERM);
	program.len = n;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return bn_errno();
	return 0;
}

static int
close_others(const int *fds, size_t n)
{
	int r = bn_fd_close_except(fds, n);

	for (size_t i = 0; i < n && r >= 0; i++)
		if (fds[i] > STDERR_FILENO)
			r = bn_fd_set_cloexec(fds[i], true);
	return r;
}

static int
set_limits(uint64_t max_file_bytes)
{
	const struct {
		int resource;
		rlim_t value;
	} limits[] = {
		{ RLIMIT_AS, MEMORY_MAX },
		{ RLIMIT_FSIZE, (rlim_t)max_file_bytes },
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_NOFILE, 64 },
	};

	for (size_t i = 0; i < BN_ELEMENTSOF(limits); i++) {
		struct rlimit now;

		if (getrlimit((__rlimit_resource_t)limits[i].resource, &now) < 0)
			return bn_errno();
		/* Never up: what our caller took from us stays taken. */
		now.rlim_cur = BN_MIN(now.rlim_cur, limits[i].value);
		now.rlim_max = BN_MIN(now.rlim_max, limits[i].value);
		if (setrlimit((__rlimit_resource_t)limits[i].resource, &now) < 0)
			return bn_errno();
	}
	return 0;
}

int
bn_sandbox_enter(const int *fds, size_t n, uint64_t max_file_bytes)
{
	int r = close_others(fds, n);

	if (r >= 0)
		r = set_limits(max_file_bytes);
	if (r < 0)
		return r;
	/* Not traceable by others of the same user: their bytes are not ours to show. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return bn_errno();
	return filter_syscalls();
}
