/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot/module-plan.h"

#include <string.h>

/* No chain of modules is longer; a longer one is a circle. */
#define DEPTH_MAX 16

typedef struct Plan {
	GHashTable *depends;
	GHashTable *builtin;
	GPtrArray *order;
	const char *missing;
} Plan;

char *
boot_module_name(const char *file)
{
	g_autofree char *name = g_path_get_basename(file);
	char *dot = strstr(name, ".ko");

	if (dot)
		*dot = '\0';
	return g_strdelimit(g_steal_pointer(&name), "-", '_');
}

/* `name` is a key of plan->depends. */
static bool
add_module(Plan *plan, const char *name, int level)
{
	g_auto(GStrv) needs = NULL;

	if (g_ptr_array_find(plan->order, name, NULL))
		return true;
	needs = g_strsplit(g_hash_table_lookup(plan->depends, name), ",", -1);
	for (char **n = needs; *n; n++) {
		g_autofree char *needed = boot_module_name(*n);
		gpointer key = NULL;

		if (!**n || g_hash_table_contains(plan->builtin, needed))
			continue;
		if (level >= DEPTH_MAX ||
		    !g_hash_table_lookup_extended(plan->depends, needed, &key, NULL)) {
			plan->missing = name;
			return false;
		}
		if (!add_module(plan, key, level + 1))
			return false;
	}
	g_ptr_array_add(plan->order, (gpointer)name);
	return true;
}

bool
boot_module_plan(GHashTable *depends, GHashTable *builtin, const char *const *wanted,
		 GPtrArray *ret, const char **ret_missing)
{
	Plan plan = { .depends = depends, .builtin = builtin, .order = ret };

	for (; *wanted; wanted++) {
		gpointer key = NULL;

		if (g_hash_table_lookup_extended(depends, *wanted, &key, NULL) &&
		    !add_module(&plan, key, 0)) {
			*ret_missing = plan.missing;
			return false;
		}
	}
	return true;
}
