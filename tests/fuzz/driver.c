/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzz target over files and directories of files, where no fuzzing engine is linked: so the
 * corpus is a test of every run. With --mutate N SEED each file is also tried in N damaged forms. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Driver {
	unsigned mutations;
	uint64_t random;
	unsigned n_run;
} Driver;

static uint64_t
next_random(Driver *driver)
{
	driver->random ^= driver->random << 13;
	driver->random ^= driver->random >> 7;
	driver->random ^= driver->random << 17;
	return driver->random;
}

/* One to eight bytes changed, and now and then the end cut off. */
static size_t
damage(Driver *driver, uint8_t *data, size_t size)
{
	unsigned n = 1 + next_random(driver) % 8;

	for (unsigned i = 0; i < n && size > 0; i++)
		data[next_random(driver) % size] ^= (uint8_t)(1u << next_random(driver) % 8);
	if (size > 0 && next_random(driver) % 8 == 0)
		size = next_random(driver) % size;
	return size;
}

static void
run_file(Driver *driver, const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(FILE_MAX), *copy = malloc(FILE_MAX);
	size_t size;

	if (!file || !data || !copy) {
		perror(path);
		exit(1);
	}
	size = fread(data, 1, FILE_MAX, file);
	(void)fclose(file);
	(void)LLVMFuzzerTestOneInput(data, size);
	driver->n_run++;
	for (unsigned i = 0; i < driver->mutations; i++) {
		memcpy(copy, data, size);
		(void)LLVMFuzzerTestOneInput(copy, damage(driver, copy, size));
		driver->n_run++;
	}
	free(data);
	free(copy);
}

static int
is_shown(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void
run_path(Driver *driver, const char *path)
{
	struct dirent **names = NULL;
	struct stat st;
	int n;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		run_file(driver, path);
		return;
	}
	n = scandir(path, &names, is_shown, alphasort);
	for (int i = 0; i < n; i++) {
		char *child;

		if (asprintf(&child, "%s/%s", path, names[i]->d_name) < 0)
			exit(1);
		run_path(driver, child);
		free(child);
		free(names[i]);
	}
	free(names);
}

int
main(int argc, char **argv)
{
	Driver driver = { .random = 1 };
	int first = 1;

	if (argc > 3 && strcmp(argv[1], "--mutate") == 0) {
		driver.mutations = (unsigned)strtoul(argv[2], NULL, 10);
		driver.random = strtoull(argv[3], NULL, 10) | 1;
		first = 4;
	}
	printf("1..1\n");
	for (int i = first; i < argc; i++)
		run_path(&driver, argv[i]);
	/* An empty corpus proves nothing. */
	printf("%s 1 - %u inputs\n", driver.n_run > 0 ? "ok" : "not ok", driver.n_run);
	return driver.n_run > 0 ? 0 : 1;
}
