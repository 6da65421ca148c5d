/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot/mmdebstrap.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "boot/apt-conf.h"
#include "shared/base/cleanup.h"

#define DEFAULT_MIRROR "http://deb.debian.org/debian"

/* systemd, bash, git, curl, ssh and certificates, no compiler; the rest is what those need to be of use. */
static const char *const default_packages[] = {
	"bash",           "ca-certificates", "curl",    "dbus",         "git",  "iproute2", "less",
	"openssh-client", "procps",          "systemd", "systemd-sysv", "udev", NULL,
};

static bool
is_of(const char *s, const char *set, size_t max)
{
	size_t n = s ? strspn(s, set) : 0;

	return n > 0 && n <= max && s[n] == '\0';
}

/* Debian Policy, section 5.6.1: lower case letters, digits, plus, minus and dots; not an option. */
static bool
is_package(const char *s)
{
	return is_of(s, "abcdefghijklmnopqrstuvwxyz0123456789+-.", 128) && *s != '-' && *s != '.';
}

static bool
is_mirror(const char *s)
{
	size_t scheme = strncmp(s, "http://", 7) == 0 ? 7 : strncmp(s, "https://", 8) == 0 ? 8 : 0;

	return scheme > 0 &&
	       is_of(s + scheme,
		     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/%+", 512);
}

const char *
boot_mmdebstrap_check(const BootMmdebstrap *spec)
{
	size_t n = 0;

	if (!is_of(spec->suite, "abcdefghijklmnopqrstuvwxyz0123456789-", 64) || *spec->suite == '-')
		return "suite";
	for (; spec->packages && spec->packages[n]; n++)
		if (n >= BOOT_PACKAGES_MAX || !is_package(spec->packages[n]))
			return "packages";
	if (spec->mirror && !is_mirror(spec->mirror))
		return "mirror";
	return NULL;
}

void
boot_argv_clear(BootArgv *argv)
{
	for (size_t i = 0; i < BOOT_ARGS_MAX; i++)
		bn_freep(&argv->args[i]);
}

static char *
join(const char *prefix, const char *const *words)
{
	g_autofree char *list = g_strjoinv(",", (char **)words);

	return g_strconcat(prefix, list, NULL);
}

int
boot_mmdebstrap_make(const BootMmdebstrap *spec, BootArgv *ret)
{
	const char *const fixed[] = {
		"/usr/bin/mmdebstrap",
		"--mode=unshare",
		"--variant=minbase",
		"--format=tar",
		"--skip=check/empty",
		/* apt works with the new root for its own (mmdebstrap(1), "APT_CONFIG"), so nothing of the host's
		 * configuration reaches it, nor weakens what it checks: but for the keys that the administrator trusts,
		 * and, from here, the way to the network, in a file that is not left in the image. */
		"--setup-hook=apt-config dump | sed -nE '/" BOOT_APT_KEPT
		"/Ip' >> \"$MMDEBSTRAP_APT_CONFIG\"",
		"--aptopt=Acquire::Languages \"none\"",
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-include=/usr/share/doc/*/copyright",
		/* These come from the host, or not at all; a guest's own are shown over them. */
		"--customize-hook=echo localhost > \"$1/etc/hostname\"",
		"--customize-hook=echo 127.0.0.1 localhost > \"$1/etc/hosts\"",
		"--customize-hook=: > \"$1/etc/resolv.conf\"",
		"--customize-hook=chmod 644 \"$1/etc/hostname\" \"$1/etc/hosts\" \"$1/etc/resolv.conf\"",
	};
	BootArgv argv = {};
	size_t n = 0;

	for (; n < sizeof(fixed) / sizeof(fixed[0]); n++)
		argv.args[n] = strdup(fixed[n]);
	argv.args[n++] = join("--include=", spec->packages ? spec->packages : default_packages);
	argv.args[n++] = strdup(spec->suite);
	argv.args[n++] = strdup("-");
	argv.args[n++] = strdup(spec->mirror ? spec->mirror : DEFAULT_MIRROR);
	for (size_t i = 0; i < n; i++) {
		if (argv.args[i])
			continue;
		boot_argv_clear(&argv);
		return -ENOMEM;
	}
	*ret = argv;
	return 0;
}
