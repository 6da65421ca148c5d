/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"
#include "shared/base/str-util.h"
#include "shared/rules/conf.h"
#include "shared/rules/limits.h"

#define ENTRY_SIZE_MAX 512

struct Ledger {
	int directory;
	LedgerEntry *entries;
	size_t n, allocated;
	uid_t next_uid;  /* in turn: a late message to a dead jail meets nobody */
	uid_t probe_uid; /* 0: nobody asked for it yet */
};

static const char *const state_table[_LEDGER_STATE_MAX] = {
	[LEDGER_LAUNCHING] = "launching",
	[LEDGER_RUNNING] = "running",
	[LEDGER_ENDED] = "ended",
};

BN_DEFINE_ENUM_TABLE(ledger_state, LedgerState, state_table);

static bool
is_jail_uid(uint64_t uid)
{
	return uid >= BN_JAIL_UID_FIRST && uid <= BN_JAIL_UID_LAST;
}

static const char *
read_field(void *data, const char *group, const char *key, const char *value)
{
	LedgerEntry *entry = data;
	uint64_t number = 0;

	if (!bn_str_equal(group, "vm"))
		return "unknown group";
	if (bn_str_equal(key, "jail-uid")) {
		if (bn_str_parse_u64(value, UINT32_MAX, &number) < 0 || !is_jail_uid(number))
			return "not a jail's uid";
		entry->jail_uid = (uid_t)number;
		return NULL;
	}
	if (bn_str_equal(key, "state")) {
		entry->state = ledger_state_from_string(value);
		return entry->state < 0 ? "not a state" : NULL;
	}
	return "unknown key";
}

static int
load_entry(int directory, const char *key, LedgerEntry *ret)
{
	LedgerEntry entry = { .state = _LEDGER_STATE_INVALID };
	_cleanup_free_ char *text = NULL;
	BnConfError error;
	size_t size = 0;
	int r;

	r = bn_derive_parse_key(key, &entry.uid, entry.vm);
	if (r >= 0)
		r = bn_io_read_file(directory, key, ENTRY_SIZE_MAX, &text, &size);
	if (r >= 0)
		r = bn_conf_parse(text, size, read_field, &entry, &error);
	if (r < 0)
		return r;
	if (entry.jail_uid == 0 || entry.state < 0)
		return -EINVAL;
	*ret = entry;
	return 0;
}

static int
save_entry(const Ledger *ledger, const LedgerEntry *entry)
{
	char key[BN_DERIVE_KEY_SIZE], text[ENTRY_SIZE_MAX];
	int n;

	bn_derive_key(entry->uid, entry->vm, key);
	n = snprintf(text, sizeof(text), "[vm]\njail-uid=%u\nstate=%s\n", entry->jail_uid,
		     ledger_state_to_string(entry->state));
	return bn_io_replace_file(ledger->directory, key, text, (size_t)n, 0600);
}

static int
remove_file(const Ledger *ledger, uid_t uid, const char *vm)
{
	char key[BN_DERIVE_KEY_SIZE];

	bn_derive_key(uid, vm, key);
	return unlinkat(ledger->directory, key, 0) < 0 && errno != ENOENT ? bn_errno() : 0;
}

static LedgerEntry *
find_entry(const Ledger *ledger, uid_t uid, const char *vm)
{
	for (size_t i = 0; i < ledger->n; i++)
		if (ledger->entries[i].uid == uid && bn_str_equal(ledger->entries[i].vm, vm))
			return &ledger->entries[i];
	return NULL;
}

static int
reserve_room(Ledger *ledger)
{
	size_t wanted = ledger->allocated ? 2 * ledger->allocated : 16;
	LedgerEntry *entries;

	if (ledger->n < ledger->allocated)
		return 0;
	entries = reallocarray(ledger->entries, wanted, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	ledger->entries = entries;
	ledger->allocated = wanted;
	return 0;
}

static bool
is_uid_taken(const Ledger *ledger, uid_t jail_uid)
{
	for (size_t i = 0; i < ledger->n; i++)
		if (ledger->entries[i].jail_uid == jail_uid)
			return true;
	return ledger->probe_uid == jail_uid;
}

static int
pick_uid(Ledger *ledger, uid_t *ret)
{
	const uid_t range = BN_JAIL_UID_LAST - BN_JAIL_UID_FIRST + 1;

	for (uid_t i = 0; i < range; i++) {
		uid_t uid = BN_JAIL_UID_FIRST + (ledger->next_uid - BN_JAIL_UID_FIRST + i) % range;

		if (is_uid_taken(ledger, uid))
			continue;
		ledger->next_uid = BN_JAIL_UID_FIRST + (uid - BN_JAIL_UID_FIRST + 1) % range;
		*ret = uid;
		return 0;
	}
	return -ENOSPC;
}

/* Two entries with one jail uid would let one VM reach into the other: the later read is
 * damaged. */
static int
load_file(Ledger *ledger, const char *name, unsigned *damaged)
{
	LedgerEntry entry;
	int r;

	if (load_entry(ledger->directory, name, &entry) < 0 ||
	    is_uid_taken(ledger, entry.jail_uid)) {
		(*damaged)++;
		return unlinkat(ledger->directory, name, 0) < 0 ? bn_errno() : 0;
	}
	r = reserve_room(ledger);
	if (r < 0)
		return r;
	ledger->entries[ledger->n++] = entry;
	if (entry.jail_uid >= ledger->next_uid && entry.jail_uid < BN_JAIL_UID_LAST)
		ledger->next_uid = entry.jail_uid + 1;
	return 0;
}

/* Of a file that a predecessor was just writing. The directory is locked: nobody writes it now. */
static bool
is_unfinished(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && strcmp(name + n - 4, ".new") == 0;
}

static int
load_directory(Ledger *ledger, unsigned *damaged)
{
	_cleanup_closedir_ DIR *d = NULL;
	int fd = openat(ledger->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return bn_errno();
	d = fdopendir(fd);
	if (!d) {
		bn_closep(&fd);
		return -ENOMEM;
	}
	while (r >= 0) {
		struct dirent *e;

		errno = 0;
		e = readdir(d);
		if (!e)
			return -errno;
		/* Entries begin with a digit; whatever else lives here is not the ledger's. */
		if (is_unfinished(e->d_name))
			r = unlinkat(fd, e->d_name, 0) < 0 ? bn_errno() : 0;
		else if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
			r = load_file(ledger, e->d_name, damaged);
	}
	return r;
}

static void
ledger_freep(Ledger **ledger)
{
	*ledger = ledger_free(*ledger);
}

int
ledger_open(const char *path, Ledger **ret, unsigned *ret_damaged)
{
	_cleanup_(ledger_freep) Ledger *ledger = calloc(1, sizeof(*ledger));
	unsigned damaged = 0;
	struct stat st;
	int r;

	if (!ledger)
		return -ENOMEM;
	ledger->next_uid = BN_JAIL_UID_FIRST;
	ledger->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (ledger->directory < 0 || fstat(ledger->directory, &st) < 0)
		return bn_errno();
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return -EPERM;
	r = load_directory(ledger, &damaged);
	if (r < 0)
		return r;
	*ret = BN_TAKE_PTR(ledger);
	*ret_damaged = damaged;
	return 0;
}

Ledger *
ledger_free(Ledger *ledger)
{
	if (!ledger)
		return NULL;
	bn_closep(&ledger->directory);
	free(ledger->entries);
	free(ledger);
	return NULL;
}

const LedgerEntry *
ledger_find(const Ledger *ledger, uid_t uid, const char *vm)
{
	return find_entry(ledger, uid, vm);
}

size_t
ledger_count(const Ledger *ledger, uid_t uid)
{
	size_t n = 0;

	for (size_t i = 0; i < ledger->n; i++)
		n += uid == LEDGER_ALL || ledger->entries[i].uid == uid;
	return n;
}

int
ledger_dup(const Ledger *ledger, uid_t uid, LedgerEntry **ret, size_t *ret_n)
{
	size_t n = 0, wanted = ledger_count(ledger, uid);
	LedgerEntry *entries = calloc(wanted + 1, sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < ledger->n; i++)
		if (uid == LEDGER_ALL || ledger->entries[i].uid == uid)
			entries[n++] = ledger->entries[i];
	*ret = entries;
	*ret_n = n;
	return 0;
}

int
ledger_add(Ledger *ledger, uid_t uid, const char *vm, uid_t *ret_jail_uid)
{
	LedgerEntry entry = { .uid = uid, .state = LEDGER_LAUNCHING };
	int r;

	if (find_entry(ledger, uid, vm))
		return -EEXIST;
	(void)snprintf(entry.vm, sizeof(entry.vm), "%s", vm);
	r = reserve_room(ledger);
	if (r >= 0)
		r = pick_uid(ledger, &entry.jail_uid);
	if (r < 0)
		return r;
	r = save_entry(ledger, &entry);
	if (r < 0) {
		/* It may have its name already, and only not be safe on the disk. */
		(void)remove_file(ledger, uid, vm);
		return r;
	}
	ledger->entries[ledger->n++] = entry;
	*ret_jail_uid = entry.jail_uid;
	return 0;
}

int
ledger_set_state(Ledger *ledger, uid_t uid, const char *vm, LedgerState state)
{
	LedgerEntry *entry = find_entry(ledger, uid, vm), changed;
	int r;

	if (!entry)
		return -ENOENT;
	changed = *entry;
	changed.state = state;
	r = save_entry(ledger, &changed);
	if (r >= 0)
		*entry = changed;
	return r;
}

int
ledger_remove(Ledger *ledger, uid_t uid, const char *vm)
{
	LedgerEntry *entry = find_entry(ledger, uid, vm);
	int r = entry ? remove_file(ledger, uid, vm) : 0;

	if (entry && r >= 0)
		*entry = ledger->entries[--ledger->n];
	return r;
}

int
ledger_get_probe_uid(Ledger *ledger, uid_t *ret_jail_uid)
{
	int r = ledger->probe_uid > 0 ? 0 : pick_uid(ledger, &ledger->probe_uid);

	if (r >= 0)
		*ret_jail_uid = ledger->probe_uid;
	return r;
}
