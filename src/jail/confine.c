/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "jail/confine.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/base/errno-util.h"
#include "shared/base/macro.h"

/* Threads of QEMU beside one per vcpu: its pool for disks grows to 64. */
#define THREADS 96
/* What a VMM maps beside the guest's memory: translated code (1 GiB under emulation),
 * libraries, and a stack and an arena for each thread. A bound for a VMM gone wild; the scope's
 * is the tight one. */
#define OVERHEAD_BYTES      (4 * BN_GIB)
#define OVERHEAD_VCPU_BYTES (128 * BN_MIB)

static int
limit_resources(const Jail *jail)
{
	const BnVmmSpec *spec = &jail->request.spec;
	const struct {
		int resource;
		rlim_t value;
	} limits[] = {
		/* Guest memory belongs in no file on the host, and in none of the host's programs: a handler in
		 * core_pattern is root's and gets a dump of any limit, but of 1 (fs/coredump.c). */
		{ RLIMIT_CORE, 1 },
		{ RLIMIT_AS,
		  spec->memory_bytes + OVERHEAD_BYTES + spec->vcpus * OVERHEAD_VCPU_BYTES },
		/* Counted per uid, and the uid is this VM's alone. */
		{ RLIMIT_NPROC, THREADS + spec->vcpus },
		{ RLIMIT_NOFILE, 1024 },
		{ RLIMIT_MEMLOCK, 64 * BN_KIB },
		{ RLIMIT_MSGQUEUE, 0 },
		{ RLIMIT_NICE, 0 },
		{ RLIMIT_RTPRIO, 0 },
		{ RLIMIT_SIGPENDING, 256 },
	};

	for (size_t i = 0; i < BN_ELEMENTSOF(limits); i++) {
		struct rlimit limit = { limits[i].value, limits[i].value };

		if (setrlimit(limits[i].resource, &limit) < 0)
			return bn_errno();
	}
	return 0;
}

/* Until the kernel says there is no such capability: it may know more than our headers. */
static int
drop_bounding_set(const Jail *jail)
{
	for (unsigned long i = 0;; i++)
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
			return errno == EINVAL && i > CAP_CHECKPOINT_RESTORE ? 0 : bn_errno();
}

static int
change_ids(const Jail *jail)
{
	uid_t uid = jail->request.jail_uid;

	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		return bn_errno();
	return 0;
}

/* Leaving uid 0 has cleared them already; said once more where nobody has to know that rule. */
static int
drop_capabilities(const Jail *jail)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return bn_errno();
	return bn_ret_errno((int)syscall(SYS_capset, &header, none));
}

static int
set_no_new_privs(const Jail *jail)
{
	return bn_ret_errno(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static int
start_session(const Jail *jail)
{
	return setsid() < 0 ? bn_errno() : 0;
}

/* The keys of root's session must not be possessed in here. */
static int
join_keyring(const Jail *jail)
{
	long r = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);

	/* A kernel without keys has none to leak. */
	return r < 0 && errno != ENOSYS ? bn_errno() : 0;
}

/* The VMM has the same uid: it must be able neither to trace this process nor to open its
 * descriptors. */
static int
set_not_dumpable(const Jail *jail)
{
	return bn_ret_errno(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

int
confine_process(const Jail *jail, const char **reterr_step)
{
	static const Step steps[] = {
		{ "limit resources", limit_resources },
		{ "drop bounding set", drop_bounding_set },
		{ "change ids", change_ids },
		{ "drop capabilities", drop_capabilities },
		{ "set no_new_privs", set_no_new_privs },
		{ "start session", start_session },
		{ "join keyring", join_keyring },
		{ "set not dumpable", set_not_dumpable },
	};

	return jail_run_steps(jail, steps, BN_ELEMENTSOF(steps), reterr_step);
}
