/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <errno.h>

#include "shared/base/macro.h"
#include "shared/rules/derive.h"
#include "shared/rules/names.h"

#define ID "0123456789abcdef0123456789abcdef"

static void
test_id_when_not_32_hex_then_refused(void)
{
	check(bn_names_is_id(ID));
	check(!bn_names_is_id(ID "0"));
	check(!bn_names_is_id("0123456789abcdef0123456789abcde"));
	check(!bn_names_is_id("0123456789ABCDEF0123456789abcdef"));
	check(!bn_names_is_id("../3456789abcdef0123456789abcdef"));
	check(!bn_names_is_id(""));
	check(!bn_names_is_id(NULL));
	check(bn_names_is_operation(""));
	check(bn_names_is_operation(ID));
	check(!bn_names_is_operation("x"));
	check(bn_names_is_id_prefix("0"));
	check(!bn_names_is_id_prefix(""));
	check(!bn_names_is_id_prefix(ID "0"));
}

static void
test_vm_name_when_not_a_label_then_refused(void)
{
	char longest[65];

	memset(longest, 'a', sizeof(longest));
	longest[64] = '\0';
	check(!bn_names_is_vm(longest));
	longest[63] = '\0';
	check(bn_names_is_vm(longest));
	check(bn_names_is_vm("a"));
	check(bn_names_is_vm("web-1"));
	check(!bn_names_is_vm("-web"));
	check(!bn_names_is_vm("web-"));
	check(!bn_names_is_vm("Web"));
	check(!bn_names_is_vm("a.b"));
	check(!bn_names_is_vm("a\nb"));
	check(!bn_names_is_vm("%n%s"));
	check(!bn_names_is_vm("\xc3\xa4"));
	check(!bn_names_is_vm(""));
}

static void
test_object_name_when_it_could_be_a_path_then_refused(void)
{
	check(bn_names_is_object("debian:bookworm"));
	check(bn_names_is_object("linux-6.1.0-31-cloud-amd64"));
	check(!bn_names_is_object(".."));
	check(!bn_names_is_object("a..b"));
	check(!bn_names_is_object("a/b"));
	check(!bn_names_is_object(".a"));
	check(!bn_names_is_object("a:"));
	check(bn_names_is_user("root"));
	check(!bn_names_is_user("0root"));
	check(!bn_names_is_user("ro ot"));
}

static void
test_release_when_not_a_version_then_refused(void)
{
	char longest[BN_RELEASE_MAX + 2];

	memset(longest, '6', sizeof(longest));
	longest[BN_RELEASE_MAX + 1] = '\0';
	check(!bn_names_is_release(longest));
	longest[BN_RELEASE_MAX] = '\0';
	check(bn_names_is_release(longest));
	check(bn_names_is_release("6.1.0-31-cloud-amd64"));
	check(bn_names_is_release("6.9.0-RC1~me_1+"));
	check(!bn_names_is_release(""));
	check(!bn_names_is_release(".6"));
	check(!bn_names_is_release("6/1"));
	check(!bn_names_is_release("6 1"));
	check(!bn_names_is_release(NULL));
}

static void
check_made(const char *text, const char *expected)
{
	char name[BN_OBJECT_NAME_MAX + 1];
	bool made = bn_names_make_object(text, name);

	check_str(name, expected);
	check_int(made, *expected != '\0');
	check_int(made, bn_names_is_object(name));
}

static void
test_object_name_when_made_then_within_the_rule(void)
{
	char any[2] = "", longest[2 * BN_OBJECT_NAME_MAX], cut[BN_OBJECT_NAME_MAX + 1];

	check_made("6.1.0-31-cloud-amd64", "6.1.0-31-cloud-amd64");
	check_made("6.9.0-RC1~me_1+", "6.9.0-rc1-me_1");
	check_made("+6.9..0...x-+", "6.9.0.x");
	check_made("6.+.9", "6.-.9");
	check_made("+-~._", "");
	check_made("", "");
	for (int c = 1; c < 256; c++) {
		char name[BN_OBJECT_NAME_MAX + 1];

		any[0] = (char)c;
		check_int(bn_names_make_object(any, name), bn_names_is_object(name));
	}
	/* What is cut may end in what no name ends in. */
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	memset(cut, 'a', sizeof(cut));
	cut[BN_OBJECT_NAME_MAX] = '\0';
	check_made(longest, cut);
	longest[BN_OBJECT_NAME_MAX - 1] = '-';
	cut[BN_OBJECT_NAME_MAX - 1] = '\0';
	check_made(longest, cut);
}

static void
test_key_when_uids_differ_then_keys_differ(void)
{
	char key[BN_DERIVE_KEY_SIZE], scope[BN_DERIVE_SCOPE_SIZE];
	char unit[BN_DERIVE_USER_UNIT_SIZE];

	bn_derive_key(4294967295U, ID, key);
	check_str(key, "4294967295-" ID);
	bn_derive_scope(key, scope);
	check_str(scope, "banger-vm-4294967295-" ID ".scope");
	bn_derive_user_unit(key, unit);
	check_str(unit, "user@4294967295.service");
}

static void
test_key_when_parsed_then_only_in_the_one_spelling(void)
{
	static const char *const wrong[] = { "",
					     "-" ID,
					     "1000" ID,
					     "1000-",
					     "01000-" ID,
					     "+1-" ID,
					     " 1-" ID,
					     "4294967295-" ID,
					     "4294967296-" ID,
					     "99999999999-" ID,
					     "1000-" ID "0",
					     "1000-" ID "\n",
					     "1000--" ID,
					     "1000-0123456789ABCDEF0123456789abcdef" };
	static const uid_t uids[] = { 0, 1000, 4294967294U };
	char key[BN_DERIVE_KEY_SIZE], vm[BN_ID_LENGTH + 1] = "";
	uid_t uid = 7;

	for (size_t i = 0; i < BN_ELEMENTSOF(wrong); i++)
		check_int(bn_derive_parse_key(wrong[i], &uid, vm), -EINVAL);
	check_int(uid, 7);
	check_str(vm, "");
	for (size_t i = 0; i < BN_ELEMENTSOF(uids); i++) {
		bn_derive_key(uids[i], ID, key);
		check_int(bn_derive_parse_key(key, &uid, vm), 0);
		check_int(uid, uids[i]);
		check_str(vm, ID);
	}
}

static void
test_commands_surroundings_when_malformed_then_refused(void)
{
	char path[BN_WORKDIR_MAX + 2];

	check(bn_names_is_variable("A=") && bn_names_is_variable("a b=c=d"));
	check(!bn_names_is_variable("=x") && !bn_names_is_variable("A") &&
	      !bn_names_is_variable(""));
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[BN_WORKDIR_MAX] = '\0';
	check(bn_names_is_workdir("/") && bn_names_is_workdir(path));
	path[BN_WORKDIR_MAX] = 'x';
	path[BN_WORKDIR_MAX + 1] = '\0';
	check(!bn_names_is_workdir(path) && !bn_names_is_workdir("x") && !bn_names_is_workdir(""));
}

TEST_MAIN(TEST(test_id_when_not_32_hex_then_refused),
	  TEST(test_vm_name_when_not_a_label_then_refused),
	  TEST(test_object_name_when_it_could_be_a_path_then_refused),
	  TEST(test_release_when_not_a_version_then_refused),
	  TEST(test_object_name_when_made_then_within_the_rule),
	  TEST(test_key_when_uids_differ_then_keys_differ),
	  TEST(test_key_when_parsed_then_only_in_the_one_spelling),
	  TEST(test_commands_surroundings_when_malformed_then_refused))
