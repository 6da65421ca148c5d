/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What waits in a main loop. */
#pragma once

#include <glib.h>

/* It fires no more, and *source is NULL; where it is that already there is nothing to do. */
static inline void
banger_source_clear(GSource **source)
{
	if (*source)
		g_source_destroy(*source);
	g_clear_pointer(source, g_source_unref);
}
