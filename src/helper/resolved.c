/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/resolved.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>

#include "helper/own-bus.h"
#include "shared/base/cleanup.h"
#include "shared/base/clock.h"
#include "shared/base/errno-util.h"
#include "shared/base/macro.h"
#include "shared/base/str-util.h"

/* Of all calls together: they take some milliseconds, a resolver that has to be started first some tens. */
#define LIMIT_US (5 * 1000000ULL)

#define NAME "org.freedesktop.resolve1"

typedef struct Link {
	sd_bus *bus;
	int ifindex;
	uint64_t end_us;
	sd_bus_error error; /* of the last call */
} Link;

static int
open_link(Link *link, const char *bus_address, const char *bridge)
{
	*link = (Link){ .ifindex = (int)if_nametoindex(bridge),
			.end_us = bn_clock_us() + LIMIT_US };
	return link->ifindex == 0 ? bn_errno() : own_bus_open(bus_address, &link->bus);
}

static void
close_link(Link *link)
{
	sd_bus_error_free(&link->error);
	link->bus = sd_bus_flush_close_unref(link->bus);
}

/* A call about the link, whose index is its first argument. */
static int
make_call(const Link *link, const char *method, sd_bus_message **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(link->bus, &m, "org.freedesktop.resolve1",
					       "/org/freedesktop/resolve1",
					       "org.freedesktop.resolve1.Manager", method);

	if (r >= 0)
		r = sd_bus_message_append_basic(m, 'i', &link->ifindex);
	if (r >= 0)
		*ret = BN_TAKE_PTR(m);
	return r;
}

static int
send_call(Link *link, sd_bus_message *m)
{
	uint64_t now = bn_clock_us();

	sd_bus_error_free(&link->error);
	return now >= link->end_us
		       ? -ETIMEDOUT
		       : sd_bus_call(link->bus, m, link->end_us - now, &link->error, NULL);
}

static int
set_basic(Link *link, const char *method, char type, const void *value)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = make_call(link, method, &m);

	if (r >= 0 && type)
		r = sd_bus_message_append_basic(m, type, value);
	return r < 0 ? r : send_call(link, m);
}

/* Routing-only: the names that end in it are asked for there, and it is no ending that is tried behind short names,
 * which would tell the user of them. */
static int
set_zone(Link *link, const char *zone)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int only = true, r = make_call(link, "SetLinkDomains", &m);

	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sb)");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'r', "sb");
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', zone);
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 'b', &only);
	for (int i = 0; i < 2 && r >= 0; i++)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : send_call(link, m);
}

static int
set_server(Link *link, uint32_t address)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	uint32_t bytes = htonl(address);
	int family = AF_INET, r = make_call(link, "SetLinkDNS", &m);

	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(iay)");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'r', "iay");
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 'i', &family);
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'y', &bytes, sizeof(bytes));
	for (int i = 0; i < 2 && r >= 0; i++)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : send_call(link, m);
}

/* After a call that failed. The bus starts it where it can; why it could not has many names, which are no matter. */
static bool
is_absent(const Link *link)
{
	int r = link->bus ? sd_bus_get_name_creds(link->bus, NAME, 0, NULL) : 0;

	return r == -ESRCH || r == -ENXIO;
}

/* In the order in which nothing of it counts before the last: without a server a link is asked nothing. */
static int
set_all(Link *link, const KernelNames *names)
{
	static const char *const features[] = { "SetLinkLLMNR", "SetLinkMulticastDNS",
						"SetLinkDNSOverTLS", "SetLinkDNSSEC" };
	int is_default = false;
	int r = set_basic(link, "SetLinkDefaultRoute", 'b', &is_default);

	for (size_t i = 0; i < BN_ELEMENTSOF(features) && r >= 0; i++)
		r = set_basic(link, features[i], 's', "no");
	if (r >= 0)
		r = set_zone(link, names->zone);
	return r < 0 ? r : set_server(link, names->address);
}

static void
copy_message(const char *message, KernelText *ret)
{
	_cleanup_free_ char *text = bn_str_escape(message, strlen(message), sizeof(ret->text) - 4);

	if (text)
		(void)bn_str_copy(ret->text, sizeof(ret->text), text);
}

int
resolved_begin(const char *bus_address, const KernelNames *names, KernelText *reterr)
{
	_cleanup_(close_link) Link link = {};
	int r = open_link(&link, bus_address, names->bridge);

	if (r >= 0)
		r = set_all(&link, names);
	if (r >= 0)
		return 0;
	if (is_absent(&link))
		return -ENOPKG;
	if (link.error.message)
		copy_message(link.error.message, reterr);
	return r;
}

int
resolved_end(const char *bus_address, const char *bridge)
{
	_cleanup_(close_link) Link link = {};
	int r = open_link(&link, bus_address, bridge);

	if (r >= 0)
		r = set_basic(&link, "RevertLink", 0, NULL);
	/* It forgets links that are gone by itself. */
	if (r >= 0 || r == -ENODEV || sd_bus_error_has_name(&link.error, NAME ".NoSuchLink"))
		return 0;
	return is_absent(&link) ? 0 : r;
}
