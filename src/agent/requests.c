/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/requests.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "shared/base/cleanup.h"
#include "shared/rules/frame.h"

/* The only place where the kernel says what could be had for new programs. */
static uint64_t
get_memory_available(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			return kib * 1024;
	return 0;
}

void
agent_get_status(uint8_t ret[static AGENT_STATUS_SIZE])
{
	BnPack pack = { .data = ret, .size = AGENT_STATUS_SIZE };
	struct statvfs fs = {};
	struct sysinfo info = {};

	(void)statvfs("/", &fs);
	(void)sysinfo(&info);
	bn_pack_put_uint(&pack, (uint64_t)info.totalram * info.mem_unit, 8);
	bn_pack_put_uint(&pack, get_memory_available(), 8);
	bn_pack_put_uint(&pack, (uint64_t)fs.f_blocks * fs.f_frsize, 8);
	bn_pack_put_uint(&pack, (uint64_t)fs.f_bavail * fs.f_frsize, 8);
	bn_pack_put_uint(&pack, (uint64_t)info.uptime * 1000000, 8);
	bn_pack_put_uint(&pack, info.procs, 4);
	/* sysinfo(2): fixed point with 16 bits behind it */
	bn_pack_put_uint(&pack, (uint64_t)info.loads[0] * 1000 >> SI_LOAD_SHIFT, 4);
}

void
agent_set_clock(uint64_t realtime_ns)
{
	struct timespec t = { .tv_sec = (time_t)(realtime_ns / 1000000000),
			      .tv_nsec = (long)(realtime_ns % 1000000000) };

	(void)clock_settime(CLOCK_REALTIME, &t);
}
