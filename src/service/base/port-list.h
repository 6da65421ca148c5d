/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ports that a VM publishes, as BnPort; none of the host's twice. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "shared/rules/port.h"

/* More than anybody has a use for, and fewer than the descriptors of a user. */
#define BANGER_PORTS_MAX 64

GArray *banger_port_list_new(void);

/* Each of `texts`, up to NULL, as bn_port_parse() takes it; NULL is no texts. False with BANGER_ERROR_INVALID_ARGUMENT
 * naming the one that is wrong, and those before it are in the list. */
bool banger_port_list_add(GArray *list, const char *const *texts, GError **error);
/* Likewise; BANGER_ERROR_NOT_FOUND where one is not there. */
bool banger_port_list_remove(GArray *list, const char *const *texts, GError **error);

bool banger_port_list_has(const GArray *list, const BnPort *port);
/* Whether that of the host is there, wherever it leads. */
bool banger_port_list_has_host(const GArray *list, const BnPort *port);

/* In the form that bn_port_render() gives them; the caller's. */
char **banger_port_list_render(const GArray *list);
