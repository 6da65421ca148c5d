/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/user.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/cleanup.h"
#include "shared/base/str-util.h"

/* Splits a line of colon-separated fields in place; returns how many there are. */
static size_t
split(char *line, char **fields, size_t max)
{
	size_t n = 0;

	line[strcspn(line, "\n")] = '\0';
	for (char *p = line; p && n < max; n++)
		fields[n] = strsep(&p, ":");
	return n;
}

static bool
parse_id(const char *s, uid_t *ret)
{
	uint64_t value;

	if (bn_str_parse_u64(s, UINT32_MAX - 1, &value) < 0)
		return false;
	*ret = (uid_t)value;
	return true;
}

/* passwd(5): name:password:uid:gid:gecos:directory:shell */
static bool
read_passwd_line(char *line, const char *name, AgentUser *ret)
{
	char *f[7];

	if (split(line, f, 7) != 7 || strcmp(f[0], name) != 0 || !parse_id(f[2], &ret->uid) ||
	    !parse_id(f[3], &ret->gid))
		return false;
	(void)snprintf(ret->home, sizeof(ret->home), "%s", *f[5] ? f[5] : "/");
	(void)snprintf(ret->shell, sizeof(ret->shell), "%s", *f[6] ? f[6] : "/bin/sh");
	return true;
}

static bool
find_passwd(const char *name, AgentUser *ret)
{
	_cleanup_fclose_ FILE *file = fopen("/etc/passwd", "re");
	char line[4096];

	while (file && fgets(line, sizeof(line), file))
		if (read_passwd_line(line, name, ret))
			return true;
	return false;
}

static bool
is_member(char *members, const char *name)
{
	for (char *p = members, *member; (member = strsep(&p, ","));)
		if (strcmp(member, name) == 0)
			return true;
	return false;
}

/* group(5): name:password:gid:members */
static void
find_groups(AgentUser *user)
{
	_cleanup_fclose_ FILE *file = fopen("/etc/group", "re");
	char line[4096], *f[4];
	gid_t gid;

	user->groups[0] = user->gid;
	user->n_groups = 1;
	while (file && user->n_groups < AGENT_GROUPS_MAX && fgets(line, sizeof(line), file))
		if (split(line, f, 4) == 4 && parse_id(f[2], &gid) && gid != user->gid &&
		    is_member(f[3], user->name))
			user->groups[user->n_groups++] = gid;
}

int
agent_user_find(const char *name, AgentUser *ret)
{
	AgentUser user = { .home = "/root", .shell = "/bin/sh" };

	(void)snprintf(user.name, sizeof(user.name), "%s", *name ? name : "root");
	if (!find_passwd(user.name, &user) && strcmp(user.name, "root") != 0)
		return -ESRCH;
	find_groups(&user);
	*ret = user;
	return 0;
}
