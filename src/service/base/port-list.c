/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/base/port-list.h"

#include "service/base/error.h"

GArray *
banger_port_list_new(void)
{
	return g_array_new(FALSE, FALSE, sizeof(BnPort));
}

static bool
refuse(const char *text, const char *why, GError **error)
{
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT, "port '%s': %s", text, why);
	return false;
}

static bool
parse(const char *text, BnPort *ret, GError **error)
{
	const char *why;

	return bn_port_parse(text, ret, &why) >= 0 || refuse(text, why, error);
}

/* -1 where nobody takes that of the host. */
static int
find(const GArray *list, const BnPort *port)
{
	for (guint i = 0; i < list->len; i++)
		if (bn_port_is_same_host(&g_array_index(list, BnPort, i), port))
			return (int)i;
	return -1;
}

bool
banger_port_list_has(const GArray *list, const BnPort *port)
{
	int i = find(list, port);

	return i >= 0 && g_array_index(list, BnPort, i).guest == port->guest;
}

bool
banger_port_list_has_host(const GArray *list, const BnPort *port)
{
	return find(list, port) >= 0;
}

static bool
add(GArray *list, const char *text, GError **error)
{
	BnPort port;

	if (!parse(text, &port, error))
		return false;
	if (banger_port_list_has(list, &port))
		return true;
	if (find(list, &port) >= 0)
		return refuse(text, "that of the host leads to another port of the guest already",
			      error);
	if (list->len >= BANGER_PORTS_MAX)
		return refuse(text, "a VM publishes at most 64", error);
	g_array_append_val(list, port);
	return true;
}

bool
banger_port_list_add(GArray *list, const char *const *texts, GError **error)
{
	for (; texts && *texts; texts++)
		if (!add(list, *texts, error))
			return false;
	return true;
}

static bool
take(GArray *list, const char *text, GError **error)
{
	BnPort port;

	if (!parse(text, &port, error))
		return false;
	if (!banger_port_list_has(list, &port)) {
		g_set_error(
			error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND,
			"port '%s': it is not published; 'banger vm ports' lists those that are",
			text);
		return false;
	}
	(void)g_array_remove_index(list, (guint)find(list, &port));
	return true;
}

bool
banger_port_list_remove(GArray *list, const char *const *texts, GError **error)
{
	for (; texts && *texts; texts++)
		if (!take(list, *texts, error))
			return false;
	return true;
}

char **
banger_port_list_render(const GArray *list)
{
	char **texts = g_new0(char *, list->len + 1);

	for (guint i = 0; i < list->len; i++) {
		texts[i] = g_malloc(BN_PORT_SIZE);
		bn_port_render(&g_array_index(list, BnPort, i), texts[i]);
	}
	return texts;
}
