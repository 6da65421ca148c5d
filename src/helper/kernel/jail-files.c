/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files a jail leaves: its socket, and how its VMM ended. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "helper/kernel/kernel-real.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"
#include "shared/base/str-util.h"

#define EXIT_SUFFIX   ".exit"
#define EXIT_SIZE_MAX 64

/* The first process wrote it, with the VM's rights: one of the known forms, or "unknown". */
static bool
is_ended_text(const char *text)
{
	uint64_t number = 0;

	if (strncmp(text, "exit ", 5) == 0)
		return bn_str_parse_u64(text + 5, 255, &number) >= 0;
	if (strncmp(text, "signal ", 7) == 0)
		return bn_str_parse_u64(text + 7, 64, &number) >= 0 && number > 0;
	return strcmp(text, "failed") == 0;
}

int
jail_files_ended(void *ctx, const char *key, char ret[static KERNEL_ENDED_SIZE])
{
	const KernelRealSetup *setup = ctx;
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t size = 0;

	(void)snprintf(path, sizeof(path), "%s/%s" EXIT_SUFFIX, setup->jail_dir, key);
	if (bn_io_read_file(AT_FDCWD, path, EXIT_SIZE_MAX, &text, &size) >= 0 && size > 0) {
		if (text[size - 1] == '\n')
			text[size - 1] = '\0';
		if (is_ended_text(text) && bn_str_copy(ret, KERNEL_ENDED_SIZE, text) >= 0)
			return 0;
	}
	return bn_str_copy(ret, KERNEL_ENDED_SIZE, "unknown");
}

int
jail_files_remove(void *ctx, const char *key)
{
	const KernelRealSetup *setup = ctx;
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s" EXIT_SUFFIX, setup->jail_dir, key);
	if (unlink(path) < 0 && errno != ENOENT)
		return bn_errno();
	(void)snprintf(path, sizeof(path), "%s/%s", setup->jail_dir, key);
	if (unlink(path) < 0 && errno != ENOENT)
		return bn_errno();
	return 0;
}

int
jail_files_list(void *ctx, void (*on_key)(void *data, const char *key), void *data)
{
	const KernelRealSetup *setup = ctx;
	_cleanup_closedir_ DIR *d = opendir(setup->jail_dir);
	struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 : bn_errno();
	while ((errno = 0, e = readdir(d))) {
		char key[BN_DERIVE_KEY_SIZE];
		size_t n = strcspn(e->d_name, ".");

		/* Keys begin with a digit; the launcher's own socket does not. */
		if (e->d_name[0] < '0' || e->d_name[0] > '9' || n >= sizeof(key))
			continue;
		memcpy(key, e->d_name, n);
		key[n] = '\0';
		on_key(data, key);
	}
	return -errno;
}
