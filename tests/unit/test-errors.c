/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The helper's errors as bangerd knows them: another name would arrive as Failed. */
#include "test.h"

#include "helper/op.h"
#include "service/base/error.h"

static bool
is_known(const char *name)
{
	for (int i = 0; i < _BANGER_ERROR_MAX; i++)
		if (strcmp(banger_error_get_name((BangerError)i), name) == 0)
			return true;
	return false;
}

static void
test_errors_when_of_the_helper_then_the_daemon_has_each(void)
{
	for (int i = OP_ERROR_NONE + 1; i < _OP_ERROR_MAX; i++) {
		const char *name = op_error_name((OpError)i);

		check(name);
		if (!is_known(name))
			printf("# %s\n", name);
		check(is_known(name));
	}
}

TEST_MAIN(TEST(test_errors_when_of_the_helper_then_the_daemon_has_each))
