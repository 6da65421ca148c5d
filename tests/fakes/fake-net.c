/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The networks of the recording kernel. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "fakes/fake-kernel.h"
#include "shared/base/str-util.h"

static FakeLink *
find_link(FakeKernel *f, const char *name)
{
	for (size_t i = 0; i < f->net.n_links; i++)
		if (bn_str_equal(f->net.links[i].name, name))
			return &f->net.links[i];
	return NULL;
}

static int
add_link(FakeKernel *f, const char *name, uint32_t address)
{
	FakeLink *link = find_link(f, name);

	if (!link && f->net.n_links == FAKE_LINKS_MAX)
		return -ENOSPC;
	if (!link)
		link = &f->net.links[f->net.n_links++];
	link->address = address;
	return bn_str_copy(link->name, BN_LINK_NAME_SIZE, name);
}

static int
fake_net_look(void *ctx, const BnPrefix *pool, KernelNet *ret)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "", "look\n");

	if (r == 0)
		*ret = f->net.look;
	return fake_kernel_end_call(f, r);
}

static int
fake_bridge_make(void *ctx, const KernelBridge *bridge)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, bridge->name, "bridge %s %08x/%u\n", bridge->name,
				  bridge->address, bridge->length);

	if (r == 0)
		r = add_link(f, bridge->name, bridge->address);
	return fake_kernel_end_call(f, r);
}

static int
fake_dns_open(void *ctx, const KernelBridge *bridge, int ret_fds[static 2])
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, bridge->name, "dns %08x\n", bridge->address);

	if (r == 0 && f->net.dns_taken)
		r = -EADDRINUSE;
	for (size_t i = 0; r == 0 && i < 2; i++)
		ret_fds[i] = eventfd(0, EFD_CLOEXEC);
	return fake_kernel_end_call(f, r);
}

static int
fake_tap_make(void *ctx, const KernelTap *tap, int *ret_fd)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, tap->name, "tap %s bridge=%s isolated=%d mtu=%u\n", tap->name,
				  tap->bridge, tap->isolated, tap->mtu);

	if (r == 0 && find_link(f, tap->name))
		r = -EEXIST;
	if (r == 0 && !find_link(f, tap->bridge))
		r = -ENODEV;
	if (r == 0)
		r = add_link(f, tap->name, 0);
	if (r == 0)
		find_link(f, tap->name)->isolated = tap->isolated;
	if (r == 0)
		*ret_fd = eventfd(0, EFD_CLOEXEC);
	return fake_kernel_end_call(f, r);
}

static int
fake_tap_join(void *ctx, const KernelTap *tap)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, tap->name, "join %s bridge=%s isolated=%d\n", tap->name,
				  tap->bridge, tap->isolated);

	if (r == 0 && !find_link(f, tap->name))
		r = -ENODEV;
	if (r == 0)
		find_link(f, tap->name)->isolated = tap->isolated;
	return fake_kernel_end_call(f, r);
}

static int
fake_link_remove(void *ctx, const char *name)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, name, "unlink %s\n", name);
	FakeLink *link = find_link(f, name);

	/* The host's resolver forgets what it was told of it. */
	if (r == 0 && link && link->address)
		f->net.zone[0] = '\0';
	if (r == 0 && link)
		*link = f->net.links[--f->net.n_links];
	return fake_kernel_end_call(f, r);
}

static int
fake_link_list(void *ctx, void (*on_name)(void *data, const char *name), void *data)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "", "links\n");

	for (size_t i = 0; r == 0 && i < f->net.n_links; i++)
		on_name(data, f->net.links[i].name);
	return fake_kernel_end_call(f, r);
}

static bool
is_same(const NetChange *a, const NetChange *b)
{
	return a->kind == b->kind && bn_str_equal(a->name, b->name) && a->uid == b->uid &&
	       a->address == b->address && a->prefix.address == b->prefix.address &&
	       a->prefix.length == b->prefix.length;
}

static void
change_element(FakeNet *net, const NetChange *change)
{
	for (size_t i = 0; i < net->n_elements; i++) {
		if (!is_same(&net->elements[i], change))
			continue;
		if (change->remove)
			net->elements[i] = net->elements[--net->n_elements];
		return;
	}
	if (!change->remove && net->n_elements < FAKE_ELEMENTS_MAX)
		net->elements[net->n_elements++] = *change;
}

static int
fake_filter_apply(void *ctx, bool base, const NetChange *changes, size_t n, KernelText *reterr)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "filter", "filter base=%d changes=%zu\n", base, n);

	if (r == 0 && !base && !f->net.tables)
		r = -ENOENT;
	if (r == 0 && base) {
		f->net.tables = true;
		f->net.n_elements = 0;
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		change_element(&f->net, &changes[i]);
	return fake_kernel_end_call(f, r);
}

static int
fake_filter_end(void *ctx)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "filter", "filter end\n");

	if (r == 0) {
		f->net.tables = false;
		f->net.n_elements = 0;
	}
	return fake_kernel_end_call(f, r);
}

static FakeDoor *
find_door(FakeNet *net, uint32_t guest)
{
	for (size_t i = 0; i < net->n_doors; i++)
		if (net->doors[i].guest == guest)
			return &net->doors[i];
	return NULL;
}

static void
open_door(FakeNet *net, const char *bridge, uint32_t guest)
{
	if (find_door(net, guest) || net->n_doors == FAKE_LINKS_MAX)
		return;
	net->doors[net->n_doors].guest = guest;
	(void)bn_str_copy(net->doors[net->n_doors++].bridge, BN_LINK_NAME_SIZE, bridge);
}

static int
fake_firewall_open(void *ctx, const char *bridge, uint32_t guest, KernelBlock *ret_block)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, bridge, "firewall open %s %08x\n", bridge, guest);

	if (r == 0 && f->net.block) {
		*ret_block = *f->net.block;
		r = -EHOSTUNREACH;
	}
	if (r == 0)
		open_door(&f->net, bridge, guest);
	return fake_kernel_end_call(f, r);
}

static int
fake_firewall_close(void *ctx, const char *bridge, uint32_t guest)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, bridge, "firewall close %s %08x\n", bridge, guest);
	FakeDoor *door = find_door(&f->net, guest);

	if (r == 0 && door)
		*door = f->net.doors[--f->net.n_doors];
	return fake_kernel_end_call(f, r);
}

/* Where it was not opened yet it is held all the same. */
static int
fake_firewall_recover(void *ctx, const char *bridge, uint32_t guest)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, bridge, "firewall recover %s %08x\n", bridge, guest);

	if (r == 0)
		open_door(&f->net, bridge, guest);
	return fake_kernel_end_call(f, r);
}

static size_t
find_holder(const FakeNet *net, uint32_t guest)
{
	size_t i = 0;

	while (i < net->holders && net->guests[i] != guest)
		i++;
	return i;
}

/* As the real one has it: the filter knows of an uplink as long as it forwards. */
static void
tell_uplinks(FakeNet *net, bool remove)
{
	for (size_t i = 0; i < net->forwarding.n; i++) {
		NetChange change = { .kind = NET_CHANGE_UPLINK, .remove = remove };

		memcpy(change.name, net->forwarding.links[i], BN_LINK_NAME_SIZE);
		change_element(net, &change);
	}
	if (remove)
		net->forwarding.n = 0;
}

static int
fake_forwarding_hold(void *ctx, const KernelNet *net, const char *bridge, uint32_t guest)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, bridge, "forwarding hold %s uplinks=%zu\n", bridge,
				  net->n_uplinks);

	if (r == 0 && !f->net.tables)
		r = -ENOENT;
	if (r == 0) {
		if (find_holder(&f->net, guest) == f->net.holders)
			f->net.guests[f->net.holders++] = guest;
		f->net.forwarding.n = net->n_uplinks;
		memcpy(f->net.forwarding.links, net->uplinks, sizeof(net->uplinks));
		tell_uplinks(&f->net, /* remove= */ false);
	}
	return fake_kernel_end_call(f, r);
}

static int
fake_forwarding_drop(void *ctx, uint32_t guest)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "", "forwarding drop %08x\n", guest);
	size_t i = find_holder(&f->net, guest);

	if (r == 0 && i < f->net.holders) {
		f->net.guests[i] = f->net.guests[--f->net.holders];
		if (f->net.holders == 0)
			tell_uplinks(&f->net, /* remove= */ true);
	}
	return fake_kernel_end_call(f, r);
}

static int
fake_forwarding_get(void *ctx, KernelForwarding *ret)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "", "forwarding get\n");

	if (r == 0)
		*ret = f->net.forwarding;
	return fake_kernel_end_call(f, r);
}

static int
fake_forwarding_recover(void *ctx, const uint32_t *guests, size_t n)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "", "forwarding recover %zu\n", n);

	if (r == 0) {
		f->net.holders = (unsigned)n;
		memcpy(f->net.guests, guests, n * sizeof(*guests));
		if (n == 0)
			tell_uplinks(&f->net, /* remove= */ true);
	}
	return fake_kernel_end_call(f, r);
}

static int
fake_user_find(void *ctx, uid_t uid, char ret[static KERNEL_USER_SIZE])
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "", "user %u\n", uid);

	if (r == 0)
		r = f->net.user ? bn_str_copy(ret, KERNEL_USER_SIZE, f->net.user) : -ENOENT;
	return fake_kernel_end_call(f, r);
}

/* One that fails is half done. */
static int
fake_names_begin(void *ctx, const KernelNames *names, KernelText *reterr)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, names->bridge, "names %s %s\n", names->bridge, names->zone);

	if (r == 0 && f->net.no_resolver)
		r = -ENOPKG;
	if (r != -ENOPKG) {
		(void)bn_str_copy(f->net.zone, sizeof(f->net.zone), names->zone);
		f->net.resolver = r == 0 ? names->address : 0;
	}
	return fake_kernel_end_call(f, r);
}

static int
fake_names_end(void *ctx, const char *bridge)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, bridge, "names end %s\n", bridge);

	if (r == 0) {
		f->net.zone[0] = '\0';
		f->net.resolver = 0;
	}
	return fake_kernel_end_call(f, r);
}

void
fake_net_init(FakeKernel *f)
{
	Kernel *kernel = &f->kernel;

	f->net.look = (KernelNet){ .mtu = 1500, .uplinks = { "eth0" }, .n_uplinks = 1 };
	kernel->net_look = fake_net_look;
	kernel->bridge_make = fake_bridge_make;
	kernel->dns_open = fake_dns_open;
	kernel->tap_make = fake_tap_make;
	kernel->tap_join = fake_tap_join;
	kernel->link_remove = fake_link_remove;
	kernel->link_list = fake_link_list;
	kernel->filter_apply = fake_filter_apply;
	kernel->filter_end = fake_filter_end;
	f->net.user = "dev";
	kernel->user_find = fake_user_find;
	kernel->names_begin = fake_names_begin;
	kernel->names_end = fake_names_end;
	kernel->firewall_open = fake_firewall_open;
	kernel->firewall_close = fake_firewall_close;
	kernel->firewall_recover = fake_firewall_recover;
	kernel->forwarding_hold = fake_forwarding_hold;
	kernel->forwarding_drop = fake_forwarding_drop;
	kernel->forwarding_get = fake_forwarding_get;
	kernel->forwarding_recover = fake_forwarding_recover;
}

size_t
fake_net_count(FakeKernel *f)
{
	size_t n;

	(void)pthread_mutex_lock(&f->lock);
	n = f->net.n_links + f->net.n_elements + f->net.tables + f->net.holders +
	    f->net.forwarding.n + f->net.n_doors + (f->net.zone[0] != '\0');
	(void)pthread_mutex_unlock(&f->lock);
	return n;
}
