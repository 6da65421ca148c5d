/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The whole test harness for plain C: a check that names its place, and a main made from a list. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define check(expr)                                                                                \
	do {                                                                                       \
		if (!(expr)) {                                                                     \
			fprintf(stderr, "%s:%d: %s: not true: %s\n", __FILE__, __LINE__, __func__, \
				#expr);                                                            \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#define check_int(a, b)                                                                            \
	do {                                                                                       \
		long long _a = (long long)(a), _b = (long long)(b);                                \
		if (_a != _b) {                                                                    \
			fprintf(stderr, "%s:%d: %s: %s is %lld, expected %lld\n", __FILE__,        \
				__LINE__, __func__, #a, _a, _b);                                   \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#define check_str(a, b)                                                                            \
	do {                                                                                       \
		const char *_a = (a), *_b = (b);                                                   \
		if (!_a || !_b || strcmp(_a, _b) != 0) {                                           \
			fprintf(stderr, "%s:%d: %s: %s is\n  %s\nexpected\n  %s\n", __FILE__,      \
				__LINE__, __func__, #a, _a ? _a : "(null)", _b ? _b : "(null)");   \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

typedef struct Test {
	const char *name;
	void (*run)(void);
} Test;

#define TEST(f)                                                                                    \
	{                                                                                          \
#f, f                                                                              \
	}

/* The test that runs now, for who has to say which one failed. */
static struct {
	const char *name;
	size_t number;
	pid_t pid;
} test_running;

/* What check() ends is the process; its children end without a word about it. */
static inline void
test_report_failure(void)
{
	if (test_running.name && test_running.pid == getpid())
		printf("not ok %zu - %s\n", test_running.number, test_running.name);
}

/* TAP on stdout, so that meson counts every test and shows which one failed. BANGER_TEST=NAME runs that one alone. */
static inline int
test_run_all(const Test *tests, size_t n)
{
	const char *only = getenv("BANGER_TEST");
	size_t wanted = 0, number = 0;

	for (size_t i = 0; i < n; i++)
		wanted += !only || strcmp(only, tests[i].name) == 0;
	if (wanted == 0) {
		fprintf(stderr, "no test is called %s here\n", only ? only : "");
		return 1;
	}
	(void)atexit(test_report_failure);
	printf("1..%zu\n", wanted);
	for (size_t i = 0; i < n; i++) {
		if (only && strcmp(only, tests[i].name) != 0)
			continue;
		(void)fflush(stdout);
		test_running.name = tests[i].name;
		test_running.number = ++number;
		test_running.pid = getpid();
		tests[i].run();
		test_running.name = NULL;
		printf("ok %zu - %s\n", number, tests[i].name);
	}
	return 0;
}

#define TEST_MAIN(...)                                                                             \
	int main(void)                                                                             \
	{                                                                                          \
		static const Test tests[] = { __VA_ARGS__ };                                       \
		return test_run_all(tests, sizeof(tests) / sizeof(tests[0]));                      \
	}
