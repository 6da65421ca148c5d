/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/scope.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "helper/own-bus.h"
#include "shared/base/cleanup.h"
#include "shared/base/clock.h"

#define SCOPE_LIMIT_US (10 * 1000000ULL)
/* Threads of a VMM: one per vcpu, its I/O threads, and room; a fork bomb in a jail ends here. */
#define TASKS_MAX 512

/* One job, waited for. */
typedef struct Wait {
	const char *job; /* object path */
	int result;      /* 1: not yet */
} Wait;

static int
on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *path = NULL, *unit = NULL, *result = NULL;
	Wait *wait = userdata;
	uint32_t id = 0;

	if (sd_bus_message_read_basic(m, 'u', &id) <= 0 ||
	    sd_bus_message_read_basic(m, 'o', &path) <= 0 ||
	    sd_bus_message_read_basic(m, 's', &unit) <= 0 ||
	    sd_bus_message_read_basic(m, 's', &result) <= 0)
		return 0;
	if (strcmp(wait->job, path) == 0)
		wait->result = strcmp(result, "done") == 0 ? 0 : -EIO;
	return 0;
}

static int
append_property(sd_bus_message *m, const char *name, const char *type, const void *value)
{
	int r = sd_bus_message_open_container(m, 'r', "sv");

	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', name);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', type);
	if (r >= 0 && strcmp(type, "au") == 0)
		r = sd_bus_message_append_array(m, 'u', value, sizeof(uint32_t));
	else if (r >= 0 && strcmp(type, "as") == 0)
		r = sd_bus_message_append_strv(m, (char **)value);
	else if (r >= 0)
		r = sd_bus_message_append_basic(m, type[0], value);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int
append_properties(sd_bus_message *m, const KernelScope *scope)
{
	uint32_t pids[] = { (uint32_t)scope->pid };
	const char *const before[] = { scope->user_unit, NULL };
	uint64_t tasks = TASKS_MAX;
	int r = sd_bus_message_open_container(m, 'a', "(sv)");

	if (r >= 0)
		r = append_property(m, "PIDs", "au", pids);
	if (r >= 0)
		r = append_property(m, "Slice", "s", "banger.slice");
	if (r >= 0)
		r = append_property(m, "Description", "s", "Virtual machine of banger");
	/* The unit's own bookkeeping must not keep a dead VM's name. */
	if (r >= 0)
		r = append_property(m, "CollectMode", "s", "inactive-or-failed");
	if (r >= 0)
		r = append_property(m, "MemoryMax", "t", &scope->memory_bytes);
	if (r >= 0)
		r = append_property(m, "TasksMax", "t", &tasks);
	/* Units end in the reverse order: the owner's daemon, which shuts the guest down, goes first. */
	if (r >= 0)
		r = append_property(m, "Before", "as", before);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int
make_call(sd_bus *bus, const KernelScope *scope, sd_bus_message **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(
		bus, &m, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
		"org.freedesktop.systemd1.Manager", "StartTransientUnit");

	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', scope->name);
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', "fail");
	if (r >= 0)
		r = append_properties(m, scope);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sa(sv))");
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		*ret = BN_TAKE_PTR(m);
	return r;
}

static int
wait_for_job(sd_bus *bus, const Wait *wait)
{
	uint64_t end = bn_clock_us() + SCOPE_LIMIT_US;

	while (wait->result > 0) {
		uint64_t now = bn_clock_us();
		int r = sd_bus_process(bus, NULL);

		if (r < 0)
			return r;
		if (r > 0)
			continue;
		if (now >= end)
			return -ETIMEDOUT;
		r = sd_bus_wait(bus, end - now);
		if (r < 0 && r != -EINTR)
			return r;
	}
	return wait->result;
}

int
scope_start(const char *bus_address, const KernelScope *scope)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	Wait wait = { .result = 1 };
	int r;

	r = own_bus_open(bus_address, &bus);
	if (r >= 0)
		r = sd_bus_match_signal(
			bus, NULL, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
			"org.freedesktop.systemd1.Manager", "JobRemoved", on_job_removed, &wait);
	if (r >= 0)
		r = make_call(bus, scope, &m);
	/* What comes before the reply waits in the connection's queue: no job's end is missed. */
	if (r >= 0)
		r = sd_bus_call(bus, m, SCOPE_LIMIT_US, NULL, &reply);
	if (r >= 0)
		r = sd_bus_message_read_basic(reply, 'o', &wait.job);
	return r < 0 ? r : wait_for_job(bus, &wait);
}
