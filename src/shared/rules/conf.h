/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A strict reader of "[group]" and "key=value" lines, for programs without GLib. Pure. */
#pragma once

#include <stddef.h>

/* Longest key or value that is read. */
#define BN_CONF_VALUE_MAX 1024

/* Called once per key, in order. NULL, or what is wrong with it, for people ("unknown key"). */
typedef const char *BnConfKey(void *data, const char *group, const char *key, const char *value);

typedef struct BnConfError {
	unsigned line;
	char text[160]; /* names group and key */
} BnConfError;

/* Reads `size` bytes of text: blank lines, lines beginning with '#', groups, keys. Space around a
 * key, a value and a line is dropped; there is no quoting, no continuation. A key that stands twice
 * in its group is an error: the second would win unseen. 0, or -EINVAL and *reterr. */
int bn_conf_parse(const char *text, size_t size, BnConfKey *on_key, void *data,
		  BnConfError *reterr);
