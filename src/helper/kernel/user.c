/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who a uid is: what the host's databases of users say, which may lie on another host. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>

#include "helper/kernel/kernel-real.h"
#include "shared/base/str-util.h"

/* A record has a name, a home and more: some answer with long ones. */
#define RECORD_FIRST 1024
#define RECORD_MAX   (64 * 1024)

static int
find_with_room(uid_t uid, size_t size, char ret[static KERNEL_USER_SIZE])
{
	_cleanup_free_ char *buffer = malloc(size);
	struct passwd record, *found = NULL;
	int r;

	if (!buffer)
		return -ENOMEM;
	r = getpwuid_r(uid, &record, buffer, size, &found);
	if (r != 0)
		return -r;
	return found ? bn_str_copy(ret, KERNEL_USER_SIZE, found->pw_name) : -ENOENT;
}

int
user_find(void *ctx, uid_t uid, char ret[static KERNEL_USER_SIZE])
{
	int r = -ERANGE;

	for (size_t size = RECORD_FIRST; r == -ERANGE && size <= RECORD_MAX; size *= 2)
		r = find_with_room(uid, size, ret);
	return r;
}
