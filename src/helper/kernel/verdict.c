/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the probe of KVM said, kept in a file until the next boot. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "helper/kernel/kernel-real.h"
#include "shared/base/io-util.h"
#include "shared/base/str-util.h"
#include "shared/rules/conf.h"

#define VERDICT_SIZE_MAX 1024

typedef struct Kept {
	char boot[64];
	KernelVerdict verdict;
	bool has_usable;
} Kept;

static int
read_boot_id(char ret[static 64])
{
	_cleanup_free_ char *text = NULL;
	int r = bn_io_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 63, &text, NULL);

	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	(void)snprintf(ret, 64, "%s", text);
	return 0;
}

static const char *
read_key(void *data, const char *group, const char *key, const char *value)
{
	Kept *kept = data;

	if (!bn_str_equal(group, "kvm"))
		return "unknown group";
	if (bn_str_equal(key, "boot")) {
		(void)snprintf(kept->boot, sizeof(kept->boot), "%s", value);
	} else if (bn_str_equal(key, "reason")) {
		(void)snprintf(kept->verdict.reason.text, sizeof(kept->verdict.reason.text), "%s",
			       value);
	} else if (bn_str_equal(key, "usable") && (value[0] == '0' || value[0] == '1') &&
		   !value[1]) {
		kept->verdict.usable = value[0] == '1';
		kept->has_usable = true;
	} else {
		return "unknown key or value";
	}
	return NULL;
}

int
verdict_load(void *ctx, KernelVerdict *ret)
{
	const KernelRealSetup *setup = ctx;
	char path[PATH_MAX], boot[64];
	_cleanup_free_ char *text = NULL;
	BnConfError error;
	Kept kept = {};
	size_t size = 0;

	(void)snprintf(path, sizeof(path), "%s/kvm", setup->run_dir);
	/* Unreadable, damaged, of an earlier boot: there is none, and the probe finds out again. */
	if (bn_io_read_file(AT_FDCWD, path, VERDICT_SIZE_MAX, &text, &size) < 0 ||
	    bn_conf_parse(text, size, read_key, &kept, &error) < 0 || !kept.has_usable ||
	    read_boot_id(boot) < 0 || strcmp(boot, kept.boot) != 0)
		return -ENOENT;
	*ret = kept.verdict;
	ret->proven = true;
	return 0;
}

int
verdict_save(void *ctx, const KernelVerdict *verdict)
{
	const KernelRealSetup *setup = ctx;
	char path[PATH_MAX], boot[64], text[VERDICT_SIZE_MAX];
	int r, n;

	r = read_boot_id(boot);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/kvm", setup->run_dir);
	n = snprintf(text, sizeof(text), "[kvm]\nboot=%s\nusable=%d\nreason=%s\n", boot,
		     verdict->usable, verdict->reason.text);
	return bn_io_replace_file(AT_FDCWD, path, text, (size_t)n, 0600);
}
