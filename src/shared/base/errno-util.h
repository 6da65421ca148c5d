/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Negative errno as the one error currency of plain C code. */
#pragma once

#include <errno.h>

/* The current errno, negated; -EIO where a call failed without saying why, so that a failure never
 * turns into success by an errno of 0. */
static inline int
bn_errno(void)
{
	return errno > 0 ? -errno : -EIO;
}

/* Result of a call in the style of open(2): the value, or negative errno. */
static inline int
bn_ret_errno(int r)
{
	return r < 0 ? bn_errno() : r;
}
