/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BangerNames: answers for VMs and asks the host's resolvers for the rest. Bounded, whatever a guest sends. */
#pragma once

#include "service/ports/names.h"

#define BANGER_TYPE_DNS_SERVER (banger_dns_server_get_type())
G_DECLARE_FINAL_TYPE(BangerDnsServer, banger_dns_server, BANGER, DNS_SERVER, GObject)

/* `zone`: what the names of VMs end in, "dev.vm"; NULL, and an error, where that is no name. */
BangerNames *banger_dns_server_new(const char *zone, GError **error);
