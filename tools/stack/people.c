/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Users and their groups, homes and environment, in the world that was entered. */
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"
#include "shared/base/str-util.h"
#include "stack.h"

#define GROUP        "banger"
#define GROUP_ID     41000
#define SUBIDS_FIRST 700000000U
#define SUBIDS_COUNT 65536U
#define ETC_FILE_MAX (1024 * 1024)

const StackUser stack_users[] = {
	{ "dev", 41001, true },
	{ "dev2", 41002, true },
	{ "outsider", 41003, false },
	{},
};

const StackUser *
stack_user_find(const char *name)
{
	for (const StackUser *u = stack_users; u->name; u++)
		if (bn_str_equal(u->name, name))
			return u;
	return NULL;
}

/* True for a line of passwd, group, … that begins with one of our names. */
static bool
is_ours(const char *line, size_t length)
{
	const char *colon = memchr(line, ':', length);
	size_t n = colon ? (size_t)(colon - line) : 0;

	if (n == strlen(GROUP) && memcmp(line, GROUP, n) == 0)
		return true;
	for (const StackUser *u = stack_users; u->name; u++)
		if (n == strlen(u->name) && memcmp(line, u->name, n) == 0)
			return true;
	return false;
}

/* Our entries come first, so that an entry of the host with the same number is not found before them. */
static int
write_entries(const char *path, const char *ours, mode_t mode)
{
	_cleanup_free_ char *old = NULL;
	_cleanup_close_ int fd = -1;
	int r = bn_io_read_file(AT_FDCWD, path, ETC_FILE_MAX, &old, NULL);

	if (r < 0 && r != -ENOENT)
		return stack_fail(r, "%s", path);
	/* Written in place: owner and mode stay the host's. */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return stack_fail(bn_errno(), "%s", path);
	r = bn_io_write_all(fd, ours, strlen(ours));
	for (const char *p = old; r >= 0 && p && *p;) {
		size_t n = strcspn(p, "\n");

		n += p[n] == '\n';
		if (!is_ours(p, n))
			r = bn_io_write_all(fd, p, n);
		p += n;
	}
	return r < 0 ? stack_fail(r, "%s", path) : 0;
}

static int
write_user_files(void)
{
	char passwd[1024] = "", group[1024], shadow[1024] = "", subids[1024] = "",
	     members[256] = "";
	size_t p = 0, g, s = 0, i = 0, m = 0;
	int r;

	for (const StackUser *u = stack_users; u->name; u++)
		if (u->member)
			m += (size_t)snprintf(members + m, sizeof(members) - m, "%s%s",
					      m > 0 ? "," : "", u->name);
	g = (size_t)snprintf(group, sizeof(group), GROUP ":x:%d:%s\n", GROUP_ID, members);
	for (const StackUser *u = stack_users; u->name; u++) {
		p += (size_t)snprintf(passwd + p, sizeof(passwd) - p,
				      "%s:x:%u:%u::/home/%s:/bin/bash\n", u->name, u->uid, u->uid,
				      u->name);
		g += (size_t)snprintf(group + g, sizeof(group) - g, "%s:x:%u:\n", u->name, u->uid);
		s += (size_t)snprintf(shadow + s, sizeof(shadow) - s, "%s:*:19000::::::\n",
				      u->name);
		i += (size_t)snprintf(subids + i, sizeof(subids) - i, "%s:%u:%u\n", u->name,
				      SUBIDS_FIRST + (unsigned)(u - stack_users) * SUBIDS_COUNT,
				      SUBIDS_COUNT);
	}
	r = write_entries("/etc/passwd", passwd, 0644);
	if (r >= 0)
		r = write_entries("/etc/group", group, 0644);
	if (r >= 0)
		r = write_entries("/etc/shadow", shadow, 0640);
	if (r >= 0)
		r = write_entries("/etc/subuid", subids, 0644);
	if (r >= 0)
		r = write_entries("/etc/subgid", subids, 0644);
	return r;
}

static int
make_directory(const char *path, uid_t owner, mode_t mode)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return stack_fail(bn_errno(), "mkdir %s", path);
	if (chown(path, owner, owner) < 0 || chmod(path, mode) < 0)
		return stack_fail(bn_errno(), "%s", path);
	return 0;
}

static int
make_user_directories(const StackUser *user)
{
	char home[64], run[64];
	int r;

	(void)snprintf(home, sizeof(home), "/home/%s", user->name);
	(void)snprintf(run, sizeof(run), "/run/user/%u", user->uid);
	r = make_directory(home, user->uid, 0700);
	return r < 0 ? r : make_directory(run, user->uid, 0700);
}

/* A file of ours in the place of whatever the host has there, often a link into the /run we do not have. */
static int
write_new(const char *path, const char *text)
{
	int r;

	if (unlink(path) < 0 && errno != ENOENT)
		return stack_fail(bn_errno(), "%s", path);
	r = bn_io_replace_file(AT_FDCWD, path, text, strlen(text), 0644);
	return r < 0 ? stack_fail(r, "%s", path) : 0;
}

static int
write_machine_id(void)
{
	uint8_t id[16];
	char text[sizeof(id) * 2 + 2];

	if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return stack_fail(bn_errno(), "getrandom");
	bn_str_hex(id, sizeof(id), text);
	text[sizeof(id) * 2] = '\n';
	text[sizeof(id) * 2 + 1] = '\0';
	return write_new("/etc/machine-id", text);
}

/* So that "su - dev" finds what a login would have told it. */
static int
write_profile(void)
{
	return write_new("/etc/profile.d/banger-stack.sh",
			 "run=/run/user/$(id -u)\n"
			 "if [ -S \"$run/bus\" ]; then\n"
			 "	export XDG_RUNTIME_DIR=\"$run\"\n"
			 "	export DBUS_SESSION_BUS_ADDRESS=\"unix:path=$run/bus\"\n"
			 "fi\n"
			 "unset run\n");
}

/* One fixed place for what the helper and dev's daemon log, whoever the session belongs to. */
static int
write_log_links(void)
{
	if (symlink("banger-stack/dev.log", "/run/banger-log") < 0 ||
	    symlink("banger-stack/system.log", "/run/banger-helper-log") < 0)
		return stack_fail(bn_errno(), "/run/banger-log");
	return 0;
}

int
stack_people_make(const Stack *stack)
{
	static const char *const directories[] = { "/run/dbus", "/run/user", "/run/lock",
						   "/run/banger-stack", NULL };
	int r = write_user_files();

	for (const char *const *d = directories; r >= 0 && *d; d++)
		r = make_directory(*d, 0, 0755);
	for (const StackUser *u = stack_users; r >= 0 && u->name; u++)
		r = make_user_directories(u);
	if (r >= 0)
		r = write_machine_id();
	if (r >= 0)
		r = write_profile();
	if (r >= 0)
		r = write_log_links();
	if (r >= 0 && stack->resolv_conf)
		r = write_new("/etc/resolv.conf", stack->resolv_conf);
	return r;
}

int
stack_become(const char *name)
{
	const StackUser *user = stack_user_find(name);

	if (!user)
		return setgroups(0, NULL) < 0 ? bn_errno() : 0;
	if (initgroups(user->name, user->uid) < 0 ||
	    setresgid(user->uid, user->uid, user->uid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return bn_errno();
	return 0;
}

static char *
make_entry(const char *name, const char *value)
{
	char *entry;

	return asprintf(&entry, "%s=%s", name, value) < 0 ? NULL : entry;
}

static size_t
add_identity(char **environment, const char *name)
{
	const StackUser *user = stack_user_find(name);
	char home[64] = "/root", run[64] = "/run", bus[96];
	size_t n = 0;

	if (user) {
		(void)snprintf(home, sizeof(home), "/home/%s", name);
		(void)snprintf(run, sizeof(run), "/run/user/%u", user->uid);
		(void)snprintf(bus, sizeof(bus), "unix:path=%s/bus", run);
		environment[n++] = make_entry("XDG_RUNTIME_DIR", run);
		environment[n++] = make_entry("DBUS_SESSION_BUS_ADDRESS", bus);
	}
	environment[n++] = make_entry("HOME", home);
	environment[n++] = make_entry("USER", name);
	environment[n++] = make_entry("LOGNAME", name);
	environment[n++] = make_entry("SHELL", "/bin/bash");
	environment[n++] = make_entry("PATH", user ? "/usr/local/bin:/usr/bin:/bin"
						   : "/usr/local/sbin:/usr/local/bin:/usr/sbin:"
						     "/usr/bin:/sbin:/bin");
	return n;
}

char **
stack_environment(const Stack *stack, const char *name)
{
	char **environment = calloc(STACK_LIST_MAX * 2, sizeof(char *));
	size_t n;

	if (!environment)
		return NULL;
	n = add_identity(environment, name);
	environment[n++] = make_entry("LANG", stack->lang);
	if (stack->term)
		environment[n++] = make_entry("TERM", stack->term);
	for (size_t i = 0; i < stack->n_environment; i++)
		environment[n++] = (char *)stack->environment[i];
	for (size_t i = 0; i < n; i++)
		if (!environment
			    [i]) /* memory ran out: a shorter environment would be another one */
			return NULL;
	return environment;
}
