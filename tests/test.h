/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The whole test harness for plain C: a check that names its place, and a main made from a list. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* TAP on stdout, so that meson counts every test and shows which one died. */
#define TEST_MAIN(...)                                                                             \
	int main(void)                                                                             \
	{                                                                                          \
		static const Test tests[] = { __VA_ARGS__ };                                       \
		size_t n = sizeof(tests) / sizeof(tests[0]);                                       \
		printf("1..%zu\n", n);                                                             \
		for (size_t i = 0; i < n; i++) {                                                   \
			fflush(stdout);                                                            \
			tests[i].run();                                                            \
			printf("ok %zu - %s\n", i + 1, tests[i].name);                             \
		}                                                                                  \
		return 0;                                                                          \
	}
