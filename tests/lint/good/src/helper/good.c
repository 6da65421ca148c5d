/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/good.h"

#include <systemd/sd-bus.h>

#include "shared/base/good.h"

#define GOOD_LOG(...)                                                                              \
	do {                                                                                       \
		good_note(__VA_ARGS__);                                                            \
	} while (0)

static const char *const texts[] = { "goto sleep(1)", "/* no comment",
				     "strcpy(a, b) // TOD"
				     "O" };

/* A word with a similar name is no call: */
static int
closest(int system, int (*sleep_until)(int))
{
	return system + (*sleep_until)('\'');
}

static int
nested_as_far_as_may_be(int n)
{
	for (int i = 0; i < n; i++)
		while (n--)
			switch (n) {
			case 0:
				if (i)
					return texts[0] ? 1 : 0;
				else if (n)
					return 2;
				else if (n > 1)
					return 3;
				break;
			}
	return 0;
}

int
good_read(const char *path, int *ret_fd)
{
	int r;

	while (nested_as_far_as_may_be(1)) {
		if (close(closest(1, NULL)) < 0)
			GOOD_LOG(
				"a string may be as long as it must be, because people search for what a program prints\n");
	}
	do {
		r = read(0, NULL, 0);
	} while (r < 0 && errno == EINTR);
	(void)close(r);
	return r;
}
