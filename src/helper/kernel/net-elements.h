/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Elements of the filter's sets into the kernel, by libnftnl: libnftables looks at the whole ruleset of the host before
 * each transaction, which takes several times as long. */
#pragma once

#include "helper/kernel/net-filter.h"

/* All or nothing; adding what is there and removing what is not are no errors. None is NET_CHANGE_NEAR: what overlaps
 * has to be put together, as libnftables does. 0, -ENOENT where the tables are not there, or another negative errno. */
int net_elements_apply(const NetChange *changes, size_t n);
