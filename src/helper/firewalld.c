/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/firewalld.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "helper/own-bus.h"
#include "shared/base/cleanup.h"

/* It rewrites its rules before it answers: some tens of milliseconds. */
#define LIMIT_US (5 * 1000000ULL)

#define NAME      "org.fedoraproject.FirewallD1"
#define EXCEPTION NAME ".Exception"

/* Every firewalld has it, and lets everything pass: what may is ours to judge, before. */
#define ZONE "trusted"

typedef struct Talk {
	sd_bus *bus;
	sd_bus_error error;
} Talk;

static void
close_talk(Talk *talk)
{
	sd_bus_error_free(&talk->error);
	talk->bus = sd_bus_flush_close_unref(talk->bus);
}

static int
call_zone(Talk *talk, const char *bus_address, const char *method, const char *bridge)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = own_bus_open(bus_address, &talk->bus);

	if (r >= 0)
		r = sd_bus_message_new_method_call(
			talk->bus, &m, NAME, "/org/fedoraproject/FirewallD1", NAME ".zone", method);
	if (r >= 0)
		r = sd_bus_message_set_auto_start(m, /* b= */ false);
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', ZONE);
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', bridge);
	return r < 0 ? r : sd_bus_call(talk->bus, m, LIMIT_US, &talk->error, NULL);
}

/* All its errors have one name; which it is its text begins with. */
static bool
says(const Talk *talk, const char *code)
{
	return sd_bus_error_has_name(&talk->error, EXCEPTION) && talk->error.message &&
	       strncmp(talk->error.message, code, strlen(code)) == 0;
}

static bool
is_absent(const Talk *talk)
{
	return sd_bus_error_has_name(&talk->error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
	       sd_bus_error_has_name(&talk->error, SD_BUS_ERROR_NAME_HAS_NO_OWNER);
}

int
firewalld_enter(const char *bus_address, const char *bridge)
{
	_cleanup_(close_talk) Talk talk = {};
	int r = call_zone(&talk, bus_address, "addInterface", bridge);

	return r < 0 && !says(&talk, "ZONE_ALREADY_SET:") ? r : 0;
}

int
firewalld_leave(const char *bus_address, const char *bridge)
{
	_cleanup_(close_talk) Talk talk = {};
	int r = call_zone(&talk, bus_address, "removeInterface", bridge);

	/* It forgets when it ends, or loads its rules anew; and what an administrator has put elsewhere stays. */
	if (r >= 0 || is_absent(&talk) || says(&talk, "UNKNOWN_INTERFACE:") ||
	    says(&talk, "ZONE_CONFLICT:"))
		return 0;
	return r;
}
