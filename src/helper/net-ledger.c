/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/net-ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "helper/ledger.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"
#include "shared/base/str-util.h"
#include "shared/rules/conf.h"
#include "shared/rules/names.h"

#define FILE_SIZE_MAX 512
/* Of a subnet its own address, the host's and that of everybody are no VM's. */
#define FIRST_HOST 2

typedef struct Lease {
	uid_t uid;
	BnPrefix subnet;
} Lease;

struct NetLedger {
	int run_dir, lease_dir;
	NetBridge *bridges;
	NetTap *taps;
	Lease *leases;
	size_t n_bridges, n_taps, n_leases;
};

/* All that a file can say; which of it it must is its kind's. */
typedef struct Fields {
	BnPrefix subnet;
	uint32_t address;
	bool has_subnet, has_address, ready, dns, peer;
	NetReach reach;
	NetNames names;
} Fields;

static const char *const reach_table[_NET_REACH_MAX] = {
	[NET_REACH_NONE] = "none",
	[NET_REACH_NAT] = "nat",
	[NET_REACH_LAN] = "lan",
};

BN_DEFINE_ENUM_TABLE(net_reach, NetReach, reach_table);

static const char *const names_table[_NET_NAMES_MAX] = {
	[NET_NAMES_OFF] = "off",
	[NET_NAMES_MAKING] = "making",
	[NET_NAMES_ON] = "on",
};

BN_DEFINE_ENUM_TABLE(net_names, NetNames, names_table);

static bool
read_bool(const char *value, bool *ret)
{
	*ret = bn_str_equal(value, "yes");
	return *ret || bn_str_equal(value, "no");
}

static const char *
read_field(void *data, const char *group, const char *key, const char *value)
{
	Fields *fields = data;
	bool good;

	if (!bn_str_equal(group, "network"))
		return "unknown group";
	if (bn_str_equal(key, "subnet")) {
		good = fields->has_subnet = bn_prefix_parse(value, &fields->subnet) >= 0;
	} else if (bn_str_equal(key, "address")) {
		good = fields->has_address = bn_ipv4_parse(value, &fields->address) >= 0;
	} else if (bn_str_equal(key, "ready")) {
		good = read_bool(value, &fields->ready);
	} else if (bn_str_equal(key, "dns")) {
		good = read_bool(value, &fields->dns);
	} else if (bn_str_equal(key, "peer")) {
		good = read_bool(value, &fields->peer);
	} else if (bn_str_equal(key, "reach")) {
		fields->reach = net_reach_from_string(value);
		good = fields->reach >= 0;
	} else if (bn_str_equal(key, "names")) {
		fields->names = net_names_from_string(value);
		good = fields->names >= 0;
	} else {
		return "unknown key";
	}
	return good ? NULL : "no such value";
}

static int
read_fields(int directory, const char *name, Fields *ret)
{
	_cleanup_free_ char *text = NULL;
	BnConfError error;
	size_t size = 0;
	int r = bn_io_read_file(directory, name, FILE_SIZE_MAX, &text, &size);

	*ret = (Fields){};
	return r < 0 ? r : bn_conf_parse(text, size, read_field, ret, &error);
}

/* "<uid>", in no other spelling. */
static int
parse_uid(const char *name, uid_t *ret)
{
	uint64_t uid = 0;

	if (bn_str_parse_u64(name, UINT32_MAX - 1, &uid) < 0)
		return -EINVAL;
	*ret = (uid_t)uid;
	return 0;
}

static void
name_of_user(uid_t uid, char ret[static 11])
{
	(void)snprintf(ret, 11, "%u", uid);
}

static int
grow(void *list, size_t n, size_t size)
{
	void **items = list, *larger;

	/* At every power of two. */
	if (n & (n - 1))
		return 0;
	larger = reallocarray(*items, n ? 2 * n : 1, size);
	if (!larger)
		return -ENOMEM;
	*items = larger;
	return 0;
}

static NetBridge *
find_bridge(const NetLedger *ledger, uid_t uid)
{
	for (size_t i = 0; i < ledger->n_bridges; i++)
		if (ledger->bridges[i].uid == uid)
			return &ledger->bridges[i];
	return NULL;
}

static NetTap *
find_tap(const NetLedger *ledger, uid_t uid, const char *vm)
{
	for (size_t i = 0; i < ledger->n_taps; i++)
		if (ledger->taps[i].uid == uid && bn_str_equal(ledger->taps[i].vm, vm))
			return &ledger->taps[i];
	return NULL;
}

static Lease *
find_lease(const NetLedger *ledger, uid_t uid)
{
	for (size_t i = 0; i < ledger->n_leases; i++)
		if (ledger->leases[i].uid == uid)
			return &ledger->leases[i];
	return NULL;
}

/* In memory; the file has it already. */
static int
keep_bridge(NetLedger *ledger, const NetBridge *bridge)
{
	NetBridge *old = find_bridge(ledger, bridge->uid);
	int r = old ? 0 : grow(&ledger->bridges, ledger->n_bridges, sizeof(*ledger->bridges));

	if (r < 0)
		return r;
	*(old ? old : &ledger->bridges[ledger->n_bridges++]) = *bridge;
	return 0;
}

static int
keep_tap(NetLedger *ledger, const NetTap *tap)
{
	NetTap *old = find_tap(ledger, tap->uid, tap->vm);
	int r = old ? 0 : grow(&ledger->taps, ledger->n_taps, sizeof(*ledger->taps));

	if (r < 0)
		return r;
	*(old ? old : &ledger->taps[ledger->n_taps++]) = *tap;
	return 0;
}

static int
keep_lease(NetLedger *ledger, const Lease *lease)
{
	Lease *old = find_lease(ledger, lease->uid);
	int r = old ? 0 : grow(&ledger->leases, ledger->n_leases, sizeof(*ledger->leases));

	if (r < 0)
		return r;
	*(old ? old : &ledger->leases[ledger->n_leases++]) = *lease;
	return 0;
}

bool
net_ledger_is_taken(const NetLedger *ledger, uint32_t address)
{
	for (size_t i = 0; i < ledger->n_taps; i++)
		if (ledger->taps[i].address == address)
			return true;
	return false;
}

/* -EINVAL where the file is none that we wrote. */
static int
load_tap(NetLedger *ledger, const char *name)
{
	NetTap tap = {};
	Fields fields;
	int r = bn_derive_parse_key(name, &tap.uid, tap.vm);

	if (r >= 0)
		r = read_fields(ledger->run_dir, name, &fields);
	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	if (!fields.has_address || net_ledger_is_taken(ledger, fields.address))
		return -EINVAL;
	tap.address = fields.address;
	tap.peer = fields.peer;
	tap.ready = fields.ready;
	tap.reach = fields.reach;
	return keep_tap(ledger, &tap);
}

static int
load_run_file(NetLedger *ledger, const char *name)
{
	NetBridge bridge = {};
	Fields fields;

	if (strchr(name, '-'))
		return load_tap(ledger, name);
	if (parse_uid(name, &bridge.uid) < 0 || read_fields(ledger->run_dir, name, &fields) < 0 ||
	    !fields.has_subnet)
		return -EINVAL;
	bridge.subnet = fields.subnet;
	bridge.ready = fields.ready;
	bridge.dns = fields.dns;
	bridge.names = fields.names;
	return keep_bridge(ledger, &bridge);
}

static int
load_lease(NetLedger *ledger, const char *name)
{
	Lease lease = {};
	Fields fields;

	if (parse_uid(name, &lease.uid) < 0 || read_fields(ledger->lease_dir, name, &fields) < 0 ||
	    !fields.has_subnet)
		return -EINVAL;
	lease.subnet = fields.subnet;
	return keep_lease(ledger, &lease);
}

static int
load_directory(NetLedger *ledger, int directory, int (*load)(NetLedger *, const char *),
	       unsigned *damaged)
{
	_cleanup_closedir_ DIR *d = NULL;
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		r = bn_errno();
		bn_closep(&fd);
		return r;
	}
	while (r >= 0) {
		struct dirent *e;

		errno = 0;
		e = readdir(d);
		if (!e)
			return -errno;
		if (e->d_name[0] == '.')
			continue;
		r = load(ledger, e->d_name);
		if (r != -EINVAL)
			continue;
		(*damaged)++;
		r = unlinkat(fd, e->d_name, 0) < 0 ? bn_errno() : 0;
	}
	return r;
}

static int
open_directory(const char *parent, const char *name, int *ret)
{
	_cleanup_close_ int above = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (above < 0 || (mkdirat(above, name, 0700) < 0 && errno != EEXIST))
		return bn_errno();
	fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return bn_errno();
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return -EPERM;
	*ret = BN_TAKE_FD(fd);
	return 0;
}

static void
net_ledger_freep(NetLedger **ledger)
{
	*ledger = net_ledger_free(*ledger);
}

int
net_ledger_open(const char *run_dir, const char *lib_dir, NetLedger **ret, unsigned *ret_damaged)
{
	_cleanup_(net_ledger_freep) NetLedger *ledger = calloc(1, sizeof(*ledger));
	unsigned damaged = 0;
	int r;

	if (!ledger)
		return -ENOMEM;
	ledger->run_dir = ledger->lease_dir = -1;
	r = open_directory(run_dir, "net", &ledger->run_dir);
	if (r >= 0)
		r = open_directory(lib_dir, "leases", &ledger->lease_dir);
	if (r >= 0)
		r = load_directory(ledger, ledger->run_dir, load_run_file, &damaged);
	if (r >= 0)
		r = load_directory(ledger, ledger->lease_dir, load_lease, &damaged);
	if (r < 0)
		return r;
	*ret = BN_TAKE_PTR(ledger);
	*ret_damaged = damaged;
	return 0;
}

NetLedger *
net_ledger_free(NetLedger *ledger)
{
	if (!ledger)
		return NULL;
	bn_closep(&ledger->run_dir);
	bn_closep(&ledger->lease_dir);
	free(ledger->bridges);
	free(ledger->taps);
	free(ledger->leases);
	free(ledger);
	return NULL;
}

/* One that failed may have its name already, and only not be safe on the disk. What was there before is then as if it
 * were; what was not is to be removed, since nobody else knows of it. */
static int
write_file(int directory, const char *name, const char *text)
{
	return bn_io_replace_file(directory, name, text, strlen(text), 0600);
}

static int
remove_file(int directory, const char *name)
{
	return unlinkat(directory, name, 0) < 0 && errno != ENOENT ? bn_errno() : 0;
}

/* Whose it is in truth, as far as leases tell. */
static bool
is_leased_to_another(const NetLedger *ledger, uid_t uid, const BnPrefix *subnet)
{
	for (size_t i = 0; i < ledger->n_leases; i++)
		if (ledger->leases[i].uid != uid &&
		    bn_prefix_overlaps(&ledger->leases[i].subnet, subnet))
			return true;
	return false;
}

static bool
is_good_lease(const NetLedger *ledger, const Lease *lease, const BnPrefix *pool, uint8_t length,
	      const BnPrefix *busy, size_t n_busy)
{
	if (lease->subnet.length != length || !bn_prefix_contains(pool, lease->subnet.address) ||
	    is_leased_to_another(ledger, lease->uid, &lease->subnet))
		return false;
	for (size_t i = 0; i < n_busy; i++)
		if (bn_prefix_overlaps(&lease->subnet, &busy[i]))
			return false;
	return true;
}

/* None that is busy and none that is somebody's, by a lease or, where that was lost, by a bridge that is there. */
static int
pick_subnet(const NetLedger *ledger, uid_t uid, const BnPrefix *pool, uint8_t length,
	    const BnPrefix *busy, size_t n_busy, BnPrefix *ret)
{
	_cleanup_free_ BnPrefix *taken =
		calloc(n_busy + ledger->n_leases + ledger->n_bridges + 1, sizeof(*taken));
	size_t n = 0;

	if (!taken)
		return -ENOMEM;
	for (size_t i = 0; i < n_busy; i++)
		taken[n++] = busy[i];
	for (size_t i = 0; i < ledger->n_leases; i++)
		if (ledger->leases[i].uid != uid)
			taken[n++] = ledger->leases[i].subnet;
	for (size_t i = 0; i < ledger->n_bridges; i++)
		if (ledger->bridges[i].uid != uid)
			taken[n++] = ledger->bridges[i].subnet;
	return bn_prefix_pick(pool, length, uid, taken, n, ret);
}

int
net_ledger_lease(NetLedger *ledger, uid_t uid, const BnPrefix *pool, uint8_t length,
		 const BnPrefix *busy, size_t n_busy, BnPrefix *ret)
{
	const Lease *old = find_lease(ledger, uid);
	char name[11], subnet[BN_PREFIX_SIZE], text[FILE_SIZE_MAX];
	Lease lease = { .uid = uid };
	int r;

	if (old && is_good_lease(ledger, old, pool, length, busy, n_busy)) {
		*ret = old->subnet;
		return 0;
	}
	r = pick_subnet(ledger, uid, pool, length, busy, n_busy, &lease.subnet);
	if (r < 0)
		return r;
	name_of_user(uid, name);
	bn_prefix_render(&lease.subnet, subnet);
	(void)snprintf(text, sizeof(text), "[network]\nsubnet=%s\n", subnet);
	r = write_file(ledger->lease_dir, name, text);
	if (r >= 0)
		r = keep_lease(ledger, &lease);
	if (r >= 0)
		*ret = lease.subnet;
	return r;
}

int
net_ledger_remove_lease(NetLedger *ledger, uid_t uid)
{
	Lease *lease = find_lease(ledger, uid);
	char name[11];
	int r;

	if (!lease)
		return 0;
	name_of_user(uid, name);
	r = remove_file(ledger->lease_dir, name);
	if (r >= 0)
		*lease = ledger->leases[--ledger->n_leases];
	return r;
}

bool
net_ledger_find_lease(const NetLedger *ledger, uid_t uid, BnPrefix *ret)
{
	const Lease *lease = find_lease(ledger, uid);

	if (lease)
		*ret = lease->subnet;
	return lease;
}

const NetBridge *
net_ledger_find_bridge(const NetLedger *ledger, uid_t uid)
{
	return find_bridge(ledger, uid);
}

const NetTap *
net_ledger_find_tap(const NetLedger *ledger, uid_t uid, const char *vm)
{
	return find_tap(ledger, uid, vm);
}

size_t
net_ledger_count_bridges(const NetLedger *ledger)
{
	return ledger->n_bridges;
}

size_t
net_ledger_count_taps(const NetLedger *ledger, uid_t uid)
{
	size_t n = 0;

	for (size_t i = 0; i < ledger->n_taps; i++)
		n += uid == LEDGER_ALL || ledger->taps[i].uid == uid;
	return n;
}

unsigned
net_ledger_count_reaching(const NetLedger *ledger)
{
	unsigned n = 0;

	for (size_t i = 0; i < ledger->n_taps; i++)
		n += ledger->taps[i].reach != NET_REACH_NONE;
	return n;
}

const NetBridge *
net_ledger_get_bridge(const NetLedger *ledger, size_t i)
{
	return &ledger->bridges[i];
}

const NetTap *
net_ledger_get_tap(const NetLedger *ledger, size_t i)
{
	return &ledger->taps[i];
}

int
net_ledger_dup_taps(const NetLedger *ledger, uid_t uid, NetTap **ret, size_t *ret_n)
{
	NetTap *taps = calloc(net_ledger_count_taps(ledger, uid) + 1, sizeof(*taps));
	size_t n = 0;

	if (!taps)
		return -ENOMEM;
	for (size_t i = 0; i < ledger->n_taps; i++)
		if (uid == LEDGER_ALL || ledger->taps[i].uid == uid)
			taps[n++] = ledger->taps[i];
	*ret = taps;
	*ret_n = n;
	return 0;
}

bool
net_ledger_is_last_bridge(const NetLedger *ledger, uid_t uid)
{
	for (size_t i = 0; i < ledger->n_bridges; i++) {
		const NetBridge *other = &ledger->bridges[i];

		if (other->uid != uid &&
		    (other->ready || net_ledger_count_taps(ledger, other->uid) > 0))
			return false;
	}
	return true;
}

static int
write_bridge(NetLedger *ledger, const NetBridge *bridge)
{
	char name[11], subnet[BN_PREFIX_SIZE], text[FILE_SIZE_MAX];
	int r;

	name_of_user(bridge->uid, name);
	bn_prefix_render(&bridge->subnet, subnet);
	(void)snprintf(text, sizeof(text), "[network]\nsubnet=%s\nready=%s\ndns=%s\nnames=%s\n",
		       subnet, bridge->ready ? "yes" : "no", bridge->dns ? "yes" : "no",
		       net_names_to_string(bridge->names));
	r = write_file(ledger->run_dir, name, text);
	if (r < 0 && !find_bridge(ledger, bridge->uid))
		(void)remove_file(ledger->run_dir, name);
	return r < 0 ? r : keep_bridge(ledger, bridge);
}

int
net_ledger_put_bridge(NetLedger *ledger, const NetBridge *bridge)
{
	const NetBridge *old = find_bridge(ledger, bridge->uid);
	NetBridge written = *bridge;

	written.names = old ? old->names : NET_NAMES_OFF;
	return write_bridge(ledger, &written);
}

int
net_ledger_set_names(NetLedger *ledger, uid_t uid, NetNames names)
{
	const NetBridge *bridge = find_bridge(ledger, uid);
	NetBridge written;

	if (!bridge || bridge->names == names)
		return 0;
	written = *bridge;
	written.names = names;
	return write_bridge(ledger, &written);
}

int
net_ledger_remove_bridge(NetLedger *ledger, uid_t uid)
{
	NetBridge *bridge = find_bridge(ledger, uid);
	char name[11];
	int r;

	if (!bridge)
		return 0;
	name_of_user(uid, name);
	r = remove_file(ledger->run_dir, name);
	if (r >= 0)
		*bridge = ledger->bridges[--ledger->n_bridges];
	return r;
}

int
net_ledger_pick_address(const NetLedger *ledger, uid_t uid, uint32_t *ret)
{
	const NetBridge *bridge = find_bridge(ledger, uid);
	uint32_t n;

	if (!bridge)
		return -ENOENT;
	n = ~bn_prefix_mask(bridge->subnet.length);
	for (uint32_t host = FIRST_HOST; host < n; host++) {
		if (net_ledger_is_taken(ledger, bridge->subnet.address + host))
			continue;
		*ret = bridge->subnet.address + host;
		return 0;
	}
	return -ENOSPC;
}

int
net_ledger_put_tap(NetLedger *ledger, const NetTap *tap)
{
	char key[BN_DERIVE_KEY_SIZE], address[BN_IPV4_SIZE], text[FILE_SIZE_MAX];
	int r;

	bn_derive_key(tap->uid, tap->vm, key);
	bn_ipv4_render(tap->address, address);
	(void)snprintf(text, sizeof(text), "[network]\naddress=%s\npeer=%s\nready=%s\nreach=%s\n",
		       address, tap->peer ? "yes" : "no", tap->ready ? "yes" : "no",
		       net_reach_to_string(tap->reach));
	r = write_file(ledger->run_dir, key, text);
	if (r < 0 && !find_tap(ledger, tap->uid, tap->vm))
		(void)remove_file(ledger->run_dir, key);
	return r < 0 ? r : keep_tap(ledger, tap);
}

int
net_ledger_remove_tap(NetLedger *ledger, uid_t uid, const char *vm)
{
	NetTap *tap = find_tap(ledger, uid, vm);
	char key[BN_DERIVE_KEY_SIZE];
	int r;

	if (!tap)
		return 0;
	bn_derive_key(uid, vm, key);
	r = remove_file(ledger->run_dir, key);
	if (r >= 0)
		*tap = ledger->taps[--ledger->n_taps];
	return r;
}
