/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `banger doctor` looks at on the host: BangerPorts says what each is. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

bool banger_host_can_run(const char *path);
bool banger_host_is_roots(const char *path);
bool banger_host_has_subids(void);
/* Whether a file like subuid(5) has an entry of the user's. */
bool banger_host_has_entry(const char *path);
bool banger_host_get_space(const char **ret_directory, uint64_t *ret_free);
