/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/rules/names.h"

#include <string.h>

#include "shared/rules/limits.h"

static bool
is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Length where every character is of `set`, else 0. */
static size_t
span_all(const char *s, const char *set)
{
	size_t n = s ? strspn(s, set) : 0;

	return n > 0 && s[n] == '\0' ? n : 0;
}

bool
bn_names_is_id(const char *s)
{
	return span_all(s, "0123456789abcdef") == BN_ID_LENGTH;
}

bool
bn_names_is_id_prefix(const char *s)
{
	size_t n = span_all(s, "0123456789abcdef");

	return n >= 1 && n <= BN_ID_LENGTH;
}

bool
bn_names_is_operation(const char *s)
{
	return s && (s[0] == '\0' || bn_names_is_id(s));
}

bool
bn_names_is_vm(const char *s)
{
	size_t n = span_all(s, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n >= 1 && n <= BN_VM_NAME_MAX && s[0] != '-' && s[n - 1] != '-';
}

bool
bn_names_is_object(const char *s)
{
	size_t n = span_all(s, "abcdefghijklmnopqrstuvwxyz0123456789-._:");

	return n >= 1 && n <= BN_OBJECT_NAME_MAX && is_lower_alnum(s[0]) &&
	       is_lower_alnum(s[n - 1]) && !strstr(s, "..");
}

bool
bn_names_is_release(const char *s)
{
	size_t n =
		span_all(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._+~");

	return n >= 1 && n <= BN_RELEASE_MAX && s[0] != '.';
}

static char
make_object_char(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return is_lower_alnum(c) || (c != '\0' && strchr("-._:", c)) ? c : '-';
}

bool
bn_names_make_object(const char *s, char ret[static BN_OBJECT_NAME_MAX + 1])
{
	size_t n = 0;

	for (; *s && n < BN_OBJECT_NAME_MAX; s++) {
		char c = make_object_char(*s);

		if ((n == 0 && !is_lower_alnum(c)) || (c == '.' && ret[n - 1] == '.'))
			continue;
		ret[n++] = c;
	}
	while (n > 0 && !is_lower_alnum(ret[n - 1]))
		n--;
	ret[n] = '\0';
	return n > 0;
}

bool
bn_names_is_user(const char *s)
{
	size_t n = span_all(s, "abcdefghijklmnopqrstuvwxyz0123456789_-.");

	return n >= 1 && n <= 32 && (s[0] == '_' || (s[0] >= 'a' && s[0] <= 'z'));
}

bool
bn_names_is_variable(const char *s)
{
	return s && *s != '=' && strchr(s, '=');
}

bool
bn_names_is_workdir(const char *s)
{
	return s && *s == '/' && strlen(s) <= BN_WORKDIR_MAX;
}
