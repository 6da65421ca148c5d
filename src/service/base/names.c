/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/base/names.h"

#include <glib.h>

char *
banger_path_new(const char *kind, const char *id)
{
	return g_strdup_printf(BANGER_OBJECT_PATH "/%s/%s", kind, id);
}
