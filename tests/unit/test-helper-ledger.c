/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/helper-conf.h"
#include "helper/ledger.h"
#include "shared/base/io-util.h"
#include "shared/rules/limits.h"
#include "test.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static char directory[64];
static Ledger *ledger;

static unsigned
open_again(void)
{
	unsigned damaged = 99;

	ledger_free(ledger);
	check_int(ledger_open(directory, &ledger, &damaged), 0);
	return damaged;
}

static void
set_up(void)
{
	strcpy(directory, "/tmp/banger-test-XXXXXX");
	check(mkdtemp(directory));
	ledger = NULL;
	check_int(open_again(), 0);
}

static void
tear_down(void)
{
	char command[128];

	ledger = ledger_free(ledger);
	(void)snprintf(command, sizeof(command), "%s", directory);
	for (const char *const *name = (const char *const[]){ "1000-" A, "1000-" B, "1001-" A,
							      "kvm", "1000-" A ".new", NULL };
	     *name; name++) {
		(void)snprintf(command, sizeof(command), "%s/%s", directory, *name);
		(void)unlink(command);
	}
	check_int(rmdir(directory), 0);
}

static void
put_file(const char *name, const char *text)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY);

	check_int(bn_io_replace_file(fd, name, text, strlen(text), 0600), 0);
	(void)close(fd);
}

static void
test_entry_when_written_then_a_successor_reads_the_same(void)
{
	uid_t a, b, c;

	set_up();
	check_int(ledger_add(ledger, 1000, A, &a), 0);
	check_int(ledger_add(ledger, 1000, B, &b), 0);
	check_int(ledger_add(ledger, 1001, A, &c), 0);
	check(a != b && b != c && a != c);
	check(a >= BN_JAIL_UID_FIRST && a <= BN_JAIL_UID_LAST);
	check_int(ledger_add(ledger, 1000, A, &a), -EEXIST);
	check_int(ledger_set_state(ledger, 1000, B, LEDGER_ENDED), 0);
	check_int(open_again(), 0);
	check_int(ledger_count(ledger, 1000), 2);
	check_int(ledger_count(ledger, LEDGER_ALL), 3);
	check_int(ledger_find(ledger, 1000, A)->jail_uid, a);
	check_int(ledger_find(ledger, 1000, A)->state, LEDGER_LAUNCHING);
	check_int(ledger_find(ledger, 1000, B)->state, LEDGER_ENDED);
	check(!ledger_find(ledger, 1001, B));
	check_int(ledger_remove(ledger, 1000, A), 0);
	check_int(ledger_remove(ledger, 1000, A), 0);
	check_int(ledger_set_state(ledger, 1000, A, LEDGER_RUNNING), -ENOENT);
	check_int(open_again(), 0);
	check_int(ledger_count(ledger, LEDGER_ALL), 2);
	tear_down();
}

static void
test_uid_when_it_is_the_probes_then_given_to_no_vm(void)
{
	uid_t a, b, probe, again;

	set_up();
	check_int(ledger_add(ledger, 1000, A, &a), 0);
	check_int(ledger_get_probe_uid(ledger, &probe), 0);
	check_int(ledger_add(ledger, 1001, A, &b), 0);
	check_int(ledger_get_probe_uid(ledger, &again), 0);
	check_int(again, probe);
	check(a != probe && b != probe && a != b);
	tear_down();
}

static void
test_file_when_damaged_then_removed_and_counted(void)
{
	static const char *const damaged[] = {
		"",
		"[vm]\n",
		"[vm]\njail-uid=0\nstate=running\n",
		"[vm]\njail-uid=1000\nstate=running\n",
		"[vm]\njail-uid=2013265920\n",
		"[vm]\njail-uid=2013265920\nstate=flying\n",
		"[vm]\njail-uid=2013265920\nstate=running\nextra=1\n",
		"\xff\xfe garbage",
	};

	set_up();
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		put_file("1000-" A, damaged[i]);
		check_int(open_again(), 1);
		check_int(ledger_count(ledger, LEDGER_ALL), 0);
		check_int(open_again(), 0);
	}
	put_file("1000-" A, "[vm]\njail-uid=2013265920\nstate=running\n");
	check_int(open_again(), 0);
	/* Two VMs of one uid would reach into each other. */
	put_file("1000-" B, "[vm]\njail-uid=2013265920\nstate=running\n");
	check_int(open_again(), 1);
	check_int(ledger_count(ledger, LEDGER_ALL), 1);
	/* Not the ledger's: left alone. */
	put_file("kvm", "[kvm]\n");
	check_int(open_again(), 0);
	tear_down();
}

static void
test_t24_directory_when_others_may_enter_then_refused(void)
{
	unsigned damaged;

	set_up();
	ledger = ledger_free(ledger);
	check_int(chmod(directory, 0750), 0);
	check_int(ledger_open(directory, &ledger, &damaged), -EPERM);
	check_int(chmod(directory, 0700), 0);
	tear_down();
}

static void
test_states_when_named_then_read_back(void)
{
	for (int state = 0; state < _LEDGER_STATE_MAX; state++)
		check_int(ledger_state_from_string(ledger_state_to_string(state)), state);
	check_int(ledger_state_from_string("Running"), _LEDGER_STATE_INVALID);
}

static void
test_limits_when_read_then_bounded_and_unknown_keys_named(void)
{
	static const struct {
		const char *pool;
		int result;
	} pools[] = { { "172.20.0.0/14", 0 },     { "100.64.0.0/10", 0 },
		      { "127.0.0.0/8", -EINVAL }, { "224.0.0.0/4", -EINVAL },
		      { "0.0.0.0/0", -EINVAL },   { "8.0.0.0/8", -EINVAL },
		      { "10.0.0.0/7", -EINVAL } };
	OpLimits limits;
	char wrong[256];

	helper_conf_init(&limits);
	check_int(limits.vms_per_user, BN_VMS_PER_USER);
	check_int(helper_conf_load("/nonexistent", &limits, wrong, sizeof(wrong)), 0);
	check_int(
		helper_conf_parse("[limits]\nvms-per-user=0\n", 24, &limits, wrong, sizeof(wrong)),
		0);
	check_int(limits.vms_per_user, 0);
	check_int(
		helper_conf_parse("[limits]\nvms-per-user=4096", 26, &limits, wrong, sizeof(wrong)),
		0);
	check_int(limits.vms_per_user, 4096);
	check_int(
		helper_conf_parse("[limits]\nvms-per-user=4097", 26, &limits, wrong, sizeof(wrong)),
		-EINVAL);
	check(strstr(wrong, "vms-per-user"));
	check_int(helper_conf_parse("[limits]\nvms=1\n", 15, &limits, wrong, sizeof(wrong)),
		  -EINVAL);
	check_str(wrong, "line 2: [limits] vms: unknown key");
	check_int(helper_conf_parse("[limit]\nvms-per-user=1\n", 23, &limits, wrong, sizeof(wrong)),
		  -EINVAL);
	check_str(wrong, "line 2: [limit] vms-per-user: unknown group");
	check_int(limits.vms_per_user, 4096);
	/* A network of the world's would be hidden by VMs. */
	for (size_t j = 0; j < BN_ELEMENTSOF(pools); j++) {
		char text[64];
		int n = snprintf(text, sizeof(text), "[network]\npool=%s\n", pools[j].pool);

		check_int(helper_conf_parse(text, (size_t)n, &limits, wrong, sizeof(wrong)),
			  pools[j].result);
		check(pools[j].result == 0 || strstr(wrong, "192.168.0.0/16"));
	}
}

TEST_MAIN(TEST(test_entry_when_written_then_a_successor_reads_the_same),
	  TEST(test_uid_when_it_is_the_probes_then_given_to_no_vm),
	  TEST(test_file_when_damaged_then_removed_and_counted),
	  TEST(test_t24_directory_when_others_may_enter_then_refused),
	  TEST(test_states_when_named_then_read_back),
	  TEST(test_limits_when_read_then_bounded_and_unknown_keys_named))
