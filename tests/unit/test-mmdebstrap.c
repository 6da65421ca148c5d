/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <glib.h>

#include "boot/mmdebstrap.h"

static void
check_golden(const BootMmdebstrap *spec, const char *path)
{
	g_autofree char *golden = NULL, *text = NULL;
	BootArgv argv = {};

	check(!boot_mmdebstrap_check(spec));
	check_int(boot_mmdebstrap_make(spec, &argv), 0);
	text = g_strjoinv("\n", argv.args);
	check(g_file_get_contents(path, &golden, NULL, NULL));
	check_str(text, g_strchomp(golden));
	boot_argv_clear(&argv);
}

static void
test_make_when_default_then_golden_arguments(void)
{
	check_golden(&(BootMmdebstrap){ .suite = "bookworm" },
		     GOLDEN_DIR "/mmdebstrap-default.txt");
}

static void
test_make_when_all_is_given_then_golden_arguments(void)
{
	const char *const packages[] = { "busybox", "linux-image-6.1.0-31-cloud-amd64", NULL };

	check_golden(&(BootMmdebstrap){ .suite = "trixie",
					.packages = packages,
					.mirror = "https://mirror.example.org/debian" },
		     GOLDEN_DIR "/mmdebstrap-chosen.txt");
}

static void
test_check_when_an_option_in_disguise_then_named(void)
{
	const struct {
		const char *suite, *package, *mirror, *wrong;
	} cases[] = {
		{ "", "bash", NULL, "suite" },
		{ "-x", "bash", NULL, "suite" },
		{ "book worm", "bash", NULL, "suite" },
		{ "../sid", "bash", NULL, "suite" },
		{ "sid", "-oDir::Etc=x", NULL, "packages" },
		{ "sid", "bash,evil", NULL, "packages" },
		{ "sid", "Bash", NULL, "packages" },
		{ "sid", "", NULL, "packages" },
		{ "sid", "bash", "--aptopt=x", "mirror" },
		{ "sid", "bash", "file:///etc", "mirror" },
		{ "sid", "bash", "http://a b", "mirror" },
		{ "sid", "bash", "http://a'b", "mirror" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const packages[] = { cases[i].package, NULL };

		check_str(boot_mmdebstrap_check(&(BootMmdebstrap){ .suite = cases[i].suite,
								   .packages = packages,
								   .mirror = cases[i].mirror }),
			  cases[i].wrong);
	}
}

TEST_MAIN(TEST(test_make_when_default_then_golden_arguments),
	  TEST(test_make_when_all_is_given_then_golden_arguments),
	  TEST(test_check_when_an_option_in_disguise_then_named))
