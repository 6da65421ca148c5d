/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scope-bound ownership: who owns a thing is visible where it is declared. */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Take the value out of an owning variable and leave it empty. */
#define BN_TAKE(var, empty)                                                                        \
	({                                                                                         \
		typeof(var) *_bn_p = &(var);                                                       \
		typeof(var) _bn_v = *_bn_p;                                                        \
		*_bn_p = (empty);                                                                  \
		_bn_v;                                                                             \
	})
#define BN_TAKE_PTR(var) BN_TAKE(var, NULL)
#define BN_TAKE_FD(var)  BN_TAKE(var, -1)

/* close() is never retried: on Linux the descriptor is gone, whatever it returns. */
static inline void
bn_closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static inline void
bn_freep(void *p)
{
	free(*(void **)p);
	*(void **)p = NULL;
}

static inline void
bn_fclosep(FILE **f)
{
	if (*f)
		(void)fclose(*f);
	*f = NULL;
}

static inline void
bn_closedirp(DIR **d)
{
	if (*d)
		(void)closedir(*d);
	*d = NULL;
}

#define _cleanup_close_    _cleanup_(bn_closep)
#define _cleanup_free_     _cleanup_(bn_freep)
#define _cleanup_fclose_   _cleanup_(bn_fclosep)
#define _cleanup_closedir_ _cleanup_(bn_closedirp)
