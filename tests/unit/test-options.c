/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <stdint.h>

#include "service/base/error.h"
#include "service/base/options.h"
#include "service/base/vm-spec.h"

static bool
read_text(const char *text, GError **error)
{
	g_autoptr(GVariant) options =
		g_variant_parse(G_VARIANT_TYPE_VARDICT, text, NULL, NULL, NULL);
	const char *name = NULL;
	uint32_t vcpus = 7;
	bool start = false;
	const BangerOption table[] = {
		{ "name", "s", &name },
		{ "vcpus", "u", &vcpus },
		{ "start", "b", &start },
		{},
	};
	bool ok = banger_options_read(options, table, error);

	if (ok && name) {
		check_str(name, "web");
		check_int(vcpus, 7);
		check(start);
	}
	return ok;
}

static void
test_read_when_key_unknown_or_type_wrong_then_key_is_named(void)
{
	g_autoptr(GError) error = NULL;

	check(read_text("{'name': <'web'>, 'start': <true>}", NULL));
	check(read_text("{}", NULL));
	check(!read_text("{'nmae': <'web'>}", &error));
	check(g_error_matches(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT));
	check(strstr(error->message, "'nmae'"));
	g_clear_error(&error);
	check(!read_text("{'vcpus': <int32 2>}", &error));
	check(strstr(error->message, "'vcpus'"));
	g_clear_error(&error);
	check(!read_text("{'name': <'one'>, 'vcpus': <uint32 1>, 'name': <'two'>}", &error));
	check_str(error->message, "option 'name' is given twice");
}

/* As they come by the bus: in pieces, which GLib puts together when it feels like it. */
static void
test_strings_when_the_options_are_looked_into_later_then_still_there(void)
{
	g_autoptr(GVariant) options =
		g_variant_ref_sink(g_variant_new_parsed("{'name': <%s>}", "web"));
	const char *name = NULL, *data;
	const BangerOption table[] = { { "name", "s", &name }, {} };

	check(banger_options_read(options, table, NULL));
	data = g_variant_get_data(options);
	check(name > data && name < data + g_variant_get_size(options));
	check_str(name, "web");
}

static void
test_errors_when_listed_then_each_has_one_name_of_ours(void)
{
	(void)banger_error_quark();
	for (int i = 0; i < _BANGER_ERROR_MAX; i++) {
		const char *name = banger_error_get_name((BangerError)i);

		check(g_str_has_prefix(name, "org.banger.Error."));
		for (int j = 0; j < i; j++)
			check(strcmp(name, banger_error_get_name((BangerError)j)) != 0);
	}
}

/* What is promised for a disk is what can be made. */
static void
test_disk_when_at_its_bounds_and_beyond_then_taken_and_refused(void)
{
	static const struct {
		uint64_t bytes;
		bool fits;
	} cases[] = { { 63 * BN_MIB, false },
		      { 64 * BN_MIB, true },
		      { 16 * 1024 * BN_GIB - BN_MIB, true },
		      { 16 * 1024 * BN_GIB, false } };
	g_autoptr(BangerVmSpec) spec = banger_vm_spec_new();

	spec->name = g_strdup("web");
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;

		spec->disk_bytes = cases[i].bytes;
		check_int(banger_vm_spec_check(spec, &error), cases[i].fits);
		check(cases[i].fits || strstr(error->message, "'disk'"));
	}
}

TEST_MAIN(TEST(test_read_when_key_unknown_or_type_wrong_then_key_is_named),
	  TEST(test_strings_when_the_options_are_looked_into_later_then_still_there),
	  TEST(test_errors_when_listed_then_each_has_one_name_of_ours),
	  TEST(test_disk_when_at_its_bounds_and_beyond_then_taken_and_refused))
