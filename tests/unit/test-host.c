/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the doctor makes of files of the host. */
#include "test.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "service/adapters/host.h"
#include "service/base/remove-tree.h"

static void
test_file_when_somebody_but_root_may_write_it_or_above_then_not_roots(void)
{
	g_autofree char *directory = g_dir_make_tmp("banger-host-XXXXXX", NULL);
	g_autofree char *file = g_build_filename(directory, "program", NULL);

	check(banger_host_is_roots("/usr/bin/env"));
	check(!banger_host_is_roots("/usr/bin/no-such-program"));
	/* Everybody may write where temporary files are. */
	check(g_file_set_contents(file, "", 0, NULL));
	check(!banger_host_is_roots(file));
	/* A link may be to anywhere; the helper follows none. */
	check(!banger_host_is_roots("/proc/self/exe"));
	check(banger_remove_tree(directory, NULL));
}

static bool
has_entry(const char *format, const char *user)
{
	g_autofree char *directory = g_dir_make_tmp("banger-host-XXXXXX", NULL);
	g_autofree char *file = g_build_filename(directory, "subuid", NULL);
	g_autofree char *text = g_strdup_printf("other:1:2\n%s%s", user, format);
	bool found;

	check(g_file_set_contents(file, text, -1, NULL));
	found = banger_host_has_entry(file);
	check(banger_remove_tree(directory, NULL));
	return found;
}

static void
test_subids_when_there_is_an_entry_of_ours_then_found(void)
{
	g_autofree char *number = g_strdup_printf("%u", getuid());

	check(has_entry(":100000:65536\n", g_get_user_name()));
	check(has_entry(":100000:65536", number));
	check(!has_entry("x:100000:65536\n", g_get_user_name()));
	check(!has_entry("9:100000:65536\n", number));
	check(!has_entry("", ""));
	check(!banger_host_has_entry("/nonexistent/subuid"));
}

TEST_MAIN(TEST(test_file_when_somebody_but_root_may_write_it_or_above_then_not_roots),
	  TEST(test_subids_when_there_is_an_entry_of_ours_then_found))
