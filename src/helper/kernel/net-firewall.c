/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Firewalls of others. That we accept a packet does not help against one that drops it: who has a place for rules of
 * other programs gets ours there, firewalld is told of the bridge, who is open by an administrator's rule is left
 * alone, and any other is told of. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "helper/kernel/kernel-real.h"
#include "helper/kernel/net-door.h"
#include "shared/base/io-util.h"
#include "shared/base/str-util.h"

/* Guests of a bridge that have need of a way; one for each user who ever had any. */
typedef struct Bridge Bridge;
struct Bridge {
	char name[BN_LINK_NAME_SIZE];
	pthread_mutex_t lock; /* of what follows, and of all that is done about the bridge */
	uint32_t *guests;
	size_t n_guests;
	Bridge *next;
};

static struct {
	pthread_mutex_t lock; /* of the list, never held for long */
	Bridge *first;
} bridges = { .lock = PTHREAD_MUTEX_INITIALIZER };

static Bridge *
find_bridge(const char *name)
{
	Bridge *bridge;

	(void)pthread_mutex_lock(&bridges.lock);
	for (bridge = bridges.first; bridge; bridge = bridge->next)
		if (bn_str_equal(bridge->name, name))
			break;
	if (!bridge)
		bridge = calloc(1, sizeof(*bridge));
	if (bridge && !bridge->name[0]) {
		(void)bn_str_copy(bridge->name, sizeof(bridge->name), name);
		(void)pthread_mutex_init(&bridge->lock, NULL);
		bridge->next = bridges.first;
		bridges.first = bridge;
	}
	(void)pthread_mutex_unlock(&bridges.lock);
	return bridge;
}

/* Locked; NULL where memory ran out. */
static Bridge *
take_bridge(const char *name)
{
	Bridge *bridge = find_bridge(name);

	if (bridge)
		(void)pthread_mutex_lock(&bridge->lock);
	return bridge;
}

static void
leave_bridge(Bridge *bridge)
{
	(void)pthread_mutex_unlock(&bridge->lock);
}

static bool
has_guest(const Bridge *bridge, uint32_t guest)
{
	for (size_t i = 0; i < bridge->n_guests; i++)
		if (bridge->guests[i] == guest)
			return true;
	return false;
}

static int
add_guest(Bridge *bridge, uint32_t guest)
{
	uint32_t *guests;

	if (has_guest(bridge, guest))
		return 0;
	guests = reallocarray(bridge->guests, bridge->n_guests + 1, sizeof(*guests));
	if (!guests)
		return -ENOMEM;
	bridge->guests = guests;
	guests[bridge->n_guests++] = guest;
	return 0;
}

static void
remove_guest(Bridge *bridge, uint32_t guest)
{
	for (size_t i = 0; i < bridge->n_guests; i++)
		if (bridge->guests[i] == guest)
			bridge->guests[i] = bridge->guests[--bridge->n_guests];
}

/* That it was us who told firewalld of the bridge: a successor takes it back, and nobody what is an administrator's. */
static void
get_note(const KernelRealSetup *setup, const Bridge *bridge, char ret[static PATH_MAX])
{
	(void)snprintf(ret, PATH_MAX, "%s/zone-%s", setup->run_dir, bridge->name);
}

/* A firewalld that does not answer keeps no VM from being released: the note stays for the next time, and what it may
 * have kept lets nothing pass that our own chains do not. */
static void
leave_zone(const KernelRealSetup *setup, const Bridge *bridge)
{
	char note[PATH_MAX];

	get_note(setup, bridge, note);
	if (access(note, F_OK) == 0 && setup->zone_leave(setup->bus_address, bridge->name) >= 0)
		(void)unlink(note);
}

static int
enter_zone(const KernelRealSetup *setup, const Bridge *bridge)
{
	char note[PATH_MAX];
	int r;

	get_note(setup, bridge, note);
	r = bn_io_replace_file(AT_FDCWD, note, "", 0, 0600);
	return r < 0 ? r : setup->zone_enter(setup->bus_address, bridge->name);
}

/* Once firewalld has answered, its rules tell of the bridge; or it is as much in the way as before. */
static int
open_ways(const KernelRealSetup *setup, const Bridge *bridge, KernelBlock *ret_block)
{
	int r = door_open(bridge->name, ret_block);

	if (r != -EHOSTUNREACH || !ret_block->firewalld || enter_zone(setup, bridge) < 0)
		return r;
	return door_open(bridge->name, ret_block);
}

int
firewall_open(void *ctx, const char *name, uint32_t guest, KernelBlock *ret_block)
{
	Bridge *bridge = take_bridge(name);
	bool had;
	int r;

	if (!bridge)
		return -ENOMEM;
	had = has_guest(bridge, guest);
	r = add_guest(bridge, guest);
	if (r >= 0)
		r = open_ways(ctx, bridge, ret_block);
	if (r < 0 && !had)
		remove_guest(bridge, guest);
	/* Doors are all or none. */
	if (r < 0 && bridge->n_guests == 0)
		leave_zone(ctx, bridge);
	leave_bridge(bridge);
	return r;
}

int
firewall_close(void *ctx, const char *name, uint32_t guest)
{
	Bridge *bridge = take_bridge(name);
	int r = 0;

	if (!bridge)
		return -ENOMEM;
	if (bridge->n_guests == 0 || (bridge->n_guests == 1 && has_guest(bridge, guest))) {
		r = door_close(name);
		if (r >= 0)
			leave_zone(ctx, bridge);
	}
	if (r >= 0)
		remove_guest(bridge, guest);
	leave_bridge(bridge);
	return r;
}

int
firewall_recover(void *ctx, const char *name, uint32_t guest)
{
	Bridge *bridge = take_bridge(name);
	int r;

	if (!bridge)
		return -ENOMEM;
	r = add_guest(bridge, guest);
	leave_bridge(bridge);
	return r;
}
