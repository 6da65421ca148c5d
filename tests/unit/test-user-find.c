/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom the helper takes a uid for. */
#include <errno.h>

#include "helper/kernel/kernel-real.h"
#include "test.h"

static void
test_user_when_there_is_one_then_by_name_and_otherwise_told(void)
{
	char name[KERNEL_USER_SIZE] = "before";

	check_int(user_find(NULL, 0, name), 0);
	check_str(name, "root");
	check_int(user_find(NULL, 4294967000U, name), -ENOENT);
	check_str(name, "root");
}

TEST_MAIN(TEST(test_user_when_there_is_one_then_by_name_and_otherwise_told))
