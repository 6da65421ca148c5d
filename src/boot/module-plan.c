/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot/module-plan.h"

#include <string.h>

/* No chain of modules is longer; a longer one is a circle. */
#define DEPTH_MAX 16

typedef struct Plan {
	GHashTable *depends;
	GHashTable *builtin;
	GHashTable *depths; /* module → its wave, counted from 1 */
	GPtrArray *used;
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

/* The wave of a module: one behind the last of what it needs. 0 for a built-in one, negative on failure. */
static int
find_depth(Plan *plan, const char *name, int level)
{
	const char *depends = g_hash_table_lookup(plan->depends, name);
	g_auto(GStrv) names = NULL;
	int depth = GPOINTER_TO_INT(g_hash_table_lookup(plan->depths, name));

	if (depth > 0)
		return depth;
	if (!depends && g_hash_table_contains(plan->builtin, name))
		return 0;
	if (!depends || level > DEPTH_MAX) {
		plan->missing = name;
		return -1;
	}
	names = g_strsplit(depends, ",", -1);
	for (char **n = names; *n; n++) {
		g_autofree char *needed = boot_module_name(*n);
		gpointer key = NULL;
		int d;

		if (!*needed)
			continue;
		/* The table's own copy outlives this loop. */
		if (g_hash_table_lookup_extended(plan->depends, needed, &key, NULL))
			d = find_depth(plan, key, level + 1);
		else
			d = g_hash_table_contains(plan->builtin, needed) ? 0 : -1;
		if (d < 0) {
			if (!plan->missing)
				plan->missing = name;
			return -1;
		}
		depth = MAX(depth, d);
	}
	g_hash_table_insert(plan->depths, (gpointer)name, GINT_TO_POINTER(depth + 1));
	return depth + 1;
}

/* Adds what is wanted and what that needs, wave by wave; what an earlier call has loaded is not loaded twice. */
static bool
add_waves(Plan *plan, const char *const *wanted, GString *text)
{
	GHashTableIter iter;
	gpointer name, depth;
	int deepest = 0;

	for (; *wanted; wanted++) {
		gpointer key = NULL;
		int d;

		if (!g_hash_table_lookup_extended(plan->depends, *wanted, &key, NULL))
			continue;
		d = find_depth(plan, key, 0);
		if (d < 0)
			return false;
		deepest = MAX(deepest, d);
	}
	for (int wave = 1; wave <= deepest; wave++) {
		g_autoptr(GList) names = NULL;

		g_hash_table_iter_init(&iter, plan->depths);
		while (g_hash_table_iter_next(&iter, &name, &depth))
			if (GPOINTER_TO_INT(depth) == wave &&
			    !g_ptr_array_find_with_equal_func(plan->used, name, g_str_equal, NULL))
				names = g_list_prepend(names, name);
		names = g_list_sort(names, (GCompareFunc)strcmp);
		for (GList *l = names; l; l = l->next) {
			g_string_append_printf(text, "/banger/mod/%s.ko\n", (char *)l->data);
			g_ptr_array_add(plan->used, g_strdup(l->data));
		}
		if (names)
			g_string_append(text, "-\n");
	}
	return true;
}

char *
boot_module_plan(GHashTable *depends, GHashTable *builtin, const char *const *early,
		 const char *const *later, GPtrArray *used, const char **ret_missing)
{
	g_autoptr(GHashTable) depths = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GString) text = g_string_new(NULL);
	Plan plan = { .depends = depends, .builtin = builtin, .depths = depths, .used = used };

	if (add_waves(&plan, early, text)) {
		g_string_append(text, "--\n");
		if (add_waves(&plan, later, text))
			return g_string_free(g_steal_pointer(&text), FALSE);
	}
	*ret_missing = plan.missing;
	return NULL;
}
