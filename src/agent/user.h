/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who a command runs as: read from the guest's /etc/passwd and /etc/group, since a static program has no NSS. */
#pragma once

#include <sys/types.h>

#define AGENT_GROUPS_MAX 64

typedef struct AgentUser {
	char name[64];
	char home[512];
	char shell[512];
	uid_t uid;
	gid_t gid;
	gid_t groups[AGENT_GROUPS_MAX];
	size_t n_groups;
} AgentUser;

/* `name`: "" is root, who needs no entry. 0 or -ESRCH. */
int agent_user_find(const char *name, AgentUser *ret);
