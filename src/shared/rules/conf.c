/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/rules/conf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/macro.h"

/* More keys than any file of ours has; they are remembered to find a repeated one. */
#define KEYS_MAX      64
#define NAME_MAX_SIZE 64

typedef struct Parser {
	char group[NAME_MAX_SIZE];
	char keys[KEYS_MAX][2 * NAME_MAX_SIZE];
	size_t n_keys;
	BnConfKey *on_key;
	void *data;
	BnConfError error;
} Parser;

static int _printf_(2, 3) refuse(Parser *p, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(p->error.text, sizeof(p->error.text), format, args);
	va_end(args);
	return -EINVAL;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static char *
strip(char *s)
{
	size_t n;

	while (is_space(*s))
		s++;
	n = strlen(s);
	while (n > 0 && is_space(s[n - 1]))
		s[--n] = '\0';
	return s;
}

static bool
is_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n > 0 && n < NAME_MAX_SIZE && s[n] == '\0';
}

static int
read_group(Parser *p, char *line)
{
	size_t n = strlen(line);

	if (line[n - 1] != ']')
		return refuse(p, "a group without its \"]\"");
	line[n - 1] = '\0';
	if (!is_name(line + 1))
		return refuse(p, "not the name of a group");
	(void)snprintf(p->group, sizeof(p->group), "%s", line + 1);
	return 0;
}

static int
remember_key(Parser *p, const char *key)
{
	char full[2 * NAME_MAX_SIZE];

	(void)snprintf(full, sizeof(full), "%s.%s", p->group, key);
	for (size_t i = 0; i < p->n_keys; i++)
		if (strcmp(p->keys[i], full) == 0)
			return refuse(p, "[%s] %s: stands twice", p->group, key);
	if (p->n_keys == KEYS_MAX)
		return refuse(p, "more than %d keys", KEYS_MAX);
	memcpy(p->keys[p->n_keys++], full, sizeof(full));
	return 0;
}

static int
read_key(Parser *p, char *line)
{
	char *equals = strchr(line, '='), *key, *value;
	const char *wrong;
	int r;

	if (!equals)
		return refuse(p, "neither a group nor \"key=value\"");
	*equals = '\0';
	key = strip(line);
	value = strip(equals + 1);
	if (!is_name(key))
		return refuse(p, "not the name of a key");
	if (p->group[0] == '\0')
		return refuse(p, "%s: stands before the first group", key);
	r = remember_key(p, key);
	if (r < 0)
		return r;
	wrong = p->on_key(p->data, p->group, key, value);
	return wrong ? refuse(p, "[%s] %s: %s", p->group, key, wrong) : 0;
}

static int
read_line(Parser *p, const char *start, size_t size)
{
	char line[BN_CONF_VALUE_MAX + 1], *s;

	if (size >= sizeof(line))
		return refuse(p, "a line longer than %d bytes", BN_CONF_VALUE_MAX);
	if (memchr(start, '\0', size))
		return refuse(p, "a NUL byte");
	memcpy(line, start, size);
	line[size] = '\0';
	s = strip(line);
	if (*s == '\0' || *s == '#')
		return 0;
	return *s == '[' ? read_group(p, s) : read_key(p, s);
}

int
bn_conf_parse(const char *text, size_t size, BnConfKey *on_key, void *data, BnConfError *reterr)
{
	Parser p = { .on_key = on_key, .data = data };
	const char *end = text + size;
	int r = 0;

	while (r >= 0 && text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *stop = newline ? newline : end;

		p.error.line++;
		r = read_line(&p, text, (size_t)(stop - text));
		text = newline ? newline + 1 : end;
	}
	if (r < 0)
		*reterr = p.error;
	return r;
}
