/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What apt is told when it works for us. Pure.
 *
 * The host's configuration is its administrator's, and made for a system's upgrades: it names programs to be run before
 * and after, directories, and may switch off what apt checks. Of all that only by which way the network is reached is
 * kept. */
#pragma once

#include <glib.h>

/* A line of `apt-config dump` that is kept, whatever the case of its letters: a regular expression that g_regex_new()
 * and "sed -E" read the same, with no "/" and no quotation mark of the shell's. */
#define BOOT_APT_KEPT                                                                              \
	"^Acquire::(https?::(Proxy|ProxyAutoDetect|Proxy-Auto-Detect|CAInfo)|ForceIPv[46])"        \
	"(::[^ ]*)? \"[^\"]+\";$"

/* The file to be named in APT_CONFIG, of what `apt-config dump` printed on this host. apt reads it first, and is told
 * to read no other (apt.conf(5)). The caller's to free. */
char *boot_apt_conf_make(const char *dump);

/* "KEY=VALUE" each, NULL at the end, for apt's option "-o", which wins over every file: what makes sure that a package
 * is Debian's, and a list not one of long ago, is on. */
extern const char *const boot_apt_pins[];
