/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /etc/banger/helper.conf: what an administrator limits. An unknown group or key is refused by
 * name. */
#pragma once

#include <stddef.h>

#include "helper/op.h"

void helper_conf_init(OpLimits *ret);
/* Pure. 0, or -EINVAL and what is wrong, with line, group and key, in reterr. */
int helper_conf_parse(const char *text, size_t size, OpLimits *ret, char *reterr,
		      size_t reterr_size);
/* A file that is not there means the defaults. */
int helper_conf_load(const char *path, OpLimits *ret, char *reterr, size_t reterr_size);
