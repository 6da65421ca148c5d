/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is near to every rule, and within it. */
#pragma once

/* A comment may hold goto, system("x"), and a line of prose may be longer than a line of code: up to 120 columns. */
int good_read(const char *path, int *ret_fd);

typedef struct __attribute__((packed)) Good {
	int x; /* what ends the line may be a comment, and then reach beyond the columns that code has */
} Good;
