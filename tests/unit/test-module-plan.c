/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include "boot/module-plan.h"

typedef struct Row {
	const char *name, *depends;
} Row;

/* The order, as words; the one whose need is missing behind a "!". */
static char *
plan(const Row *rows, const char *const *builtin, const char *const *wanted)
{
	g_autoptr(GHashTable) depends = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) there = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GPtrArray) order = g_ptr_array_new();
	const char *missing = NULL;

	for (; rows->name; rows++)
		g_hash_table_insert(depends, (gpointer)rows->name, (gpointer)rows->depends);
	for (; *builtin; builtin++)
		g_hash_table_add(there, (gpointer)*builtin);
	if (!boot_module_plan(depends, there, wanted, order, &missing))
		return g_strconcat("!", missing, NULL);
	g_ptr_array_add(order, NULL);
	return g_strjoinv(" ", (char **)order->pdata);
}

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NOTHING    ((const char *const[]){ NULL })

static void
check_plan(const Row *rows, const char *const *builtin, const char *const *wanted,
	   const char *expected)
{
	g_autofree char *words = plan(rows, builtin, wanted);

	check_str(words, expected);
}

static void
test_plan_when_modules_need_others_then_those_come_first_and_once(void)
{
	static const Row rows[] = { { "a", "b,c" }, { "b", "c" }, { "c", "" },
				    { "d", "c,a" }, { "e", "" },  {} };

	check_plan(rows, NOTHING, NAMES("a"), "c b a");
	check_plan(rows, NOTHING, NAMES("d", "a", "d"), "c b a d");
	check_plan(rows, NOTHING, NAMES("e", "b"), "e c b");
	check_plan(rows, NOTHING, NOTHING, "");
}

static void
test_plan_when_something_is_not_there_then_left_out_or_named(void)
{
	static const Row rows[] = { { "a", "b" }, { "c", "a" }, {} };

	check_plan(rows, NOTHING, NAMES("x"), "");
	check_plan(rows, NAMES("b"), NAMES("a", "b"), "a");
	check_plan(rows, NOTHING, NAMES("a"), "!a");
	check_plan(rows, NOTHING, NAMES("c"), "!a");
}

static void
test_plan_when_needs_are_a_circle_then_an_end(void)
{
	static const Row rows[] = { { "a", "b" }, { "b", "a" }, { "self", "self" }, {} };
	g_autofree char *circle = plan(rows, NOTHING, NAMES("a"));

	check(circle[0] == '!');
	check_plan(rows, NOTHING, NAMES("self"), "!self");
}

static void
test_plan_when_spelled_otherwise_then_the_same_module(void)
{
	static const Row rows[] = { { "a", "virtio-ring,,crc32c-intel" },
				    { "virtio_ring", "" },
				    {} };

	check_plan(rows, NAMES("crc32c_intel"), NAMES("a"), "virtio_ring a");
}

static void
test_name_when_from_a_path_then_without_what_is_around_it(void)
{
	static const Row rows[] = {
		{ "kernel/arch/x86/crypto/crc32c-intel.ko", "crc32c_intel" },
		{ "virtio.ko.xz", "virtio" },
		{ "ext4", "ext4" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *name = boot_module_name(rows[i].name);

		check_str(name, rows[i].depends);
	}
}

TEST_MAIN(TEST(test_plan_when_modules_need_others_then_those_come_first_and_once),
	  TEST(test_plan_when_something_is_not_there_then_left_out_or_named),
	  TEST(test_plan_when_needs_are_a_circle_then_an_end),
	  TEST(test_plan_when_spelled_otherwise_then_the_same_module),
	  TEST(test_name_when_from_a_path_then_without_what_is_around_it))
