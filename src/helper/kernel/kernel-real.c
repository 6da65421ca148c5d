/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/kernel/kernel-real.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/io-util.h"
#include "shared/base/str-util.h"

/* What the VMM may use beside the guest's memory before the scope's limit meets it: its own, its
 * threads' stacks, page tables, and under emulation 1 GiB of translated code. */
#define OVERHEAD_BYTES           (512 * BN_MIB)
#define OVERHEAD_EMULATION_BYTES (1536 * BN_MIB)

/* The process behind a pidfd, 0 where it is gone. */
static pid_t
find_pid(int pidfd)
{
	_cleanup_free_ char *text = NULL;
	char path[64], *line;
	int pid = 0;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	if (bn_io_read_file(AT_FDCWD, path, 4096, &text, NULL) < 0)
		return 0;
	line = strstr(text, "\nPid:");
	if (!line || sscanf(line, "\nPid: %d", &pid) != 1 || pid < 0)
		pid = 0;
	return pid;
}

static bool
has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

static int
start_scope(void *ctx, const KernelLaunch *launch, const KernelJail *jail)
{
	const KernelRealSetup *setup = ctx;
	uint64_t overhead = launch->spec->kvm ? OVERHEAD_BYTES : OVERHEAD_EMULATION_BYTES;
	char name[BN_DERIVE_SCOPE_SIZE], user_unit[BN_DERIVE_USER_UNIT_SIZE];
	KernelScope scope = { .name = name,
			      .user_unit = user_unit,
			      .memory_bytes = launch->spec->memory_bytes + overhead };
	int r;

	if (!setup->scope_start)
		return 0;
	scope.pid = find_pid(jail->process);
	if (scope.pid <= 0)
		return -ESRCH;
	bn_derive_scope(launch->key, name);
	bn_derive_user_unit(launch->key, user_unit);
	r = setup->scope_start(setup->bus_address, &scope);
	/* systemd took a number, which is this process's for as long as it lives, and nobody keeps it
	 * alive for us: where it ended meanwhile, a stranger may be in the scope. */
	if (r >= 0 && has_ended(jail->process))
		return -ESRCH;
	return r;
}

static int
begin_names(void *ctx, const KernelNames *names, KernelText *reterr)
{
	const KernelRealSetup *setup = ctx;

	return setup->names_begin(setup->bus_address, names, reterr);
}

static int
end_names(void *ctx, const char *bridge)
{
	const KernelRealSetup *setup = ctx;

	return setup->names_end(setup->bus_address, bridge);
}

void
kernel_real_init(const KernelRealSetup *setup, Kernel *ret)
{
	*ret = (Kernel){
		.ctx = (void *)setup,
		.verdict_load = verdict_load,
		.verdict_save = verdict_save,
		.kvm_probe = launcher_probe,
		.jail_launch = launcher_launch,
		.scope_start = start_scope,
		.jail_go = jail_go,
		.jail_find = jail_find,
		.jail_open = jail_open,
		.jail_process = jail_process,
		.jail_signal = jail_signal,
		.jail_end = jail_end,
		.jail_ended = jail_files_ended,
		.jail_remove = jail_files_remove,
		.jail_list = jail_files_list,
		.net_look = net_look,
		.bridge_make = bridge_make,
		.dns_open = dns_open,
		.tap_make = tap_make,
		.tap_join = tap_join,
		.link_remove = link_remove,
		.link_list = link_list,
		.filter_apply = filter_apply,
		.filter_end = filter_end,
		.user_find = user_find,
		.names_begin = begin_names,
		.names_end = end_names,
		.firewall_open = firewall_open,
		.firewall_close = firewall_close,
		.firewall_recover = firewall_recover,
		.forwarding_hold = forwarding_hold,
		.forwarding_drop = forwarding_drop,
		.forwarding_get = forwarding_get,
		.forwarding_recover = forwarding_recover,
	};
}
