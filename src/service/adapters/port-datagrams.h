/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UDP datagrams that come to a port of the host, passed on to a guest over the user's bridge, and its answers. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

/* Of one port; who has been silent for longest makes room for the next. */
#define BANGER_PORT_CLIENTS_MAX 128
/* Who is silent for so long, both ways, is forgotten; as by Linux (nf_conntrack_udp_timeout_stream). */
#define BANGER_PORT_CLIENT_IDLE_S 120

typedef struct BangerPortDatagrams BangerPortDatagrams;

/* `socket` is bound, does not block, and is kept. */
BangerPortDatagrams *banger_port_datagrams_new(GSocket *socket, GSocketAddress *guest);
/* Whom new clients are passed on to; the others are forgotten. */
void banger_port_datagrams_set_guest(BangerPortDatagrams *datagrams, GSocketAddress *guest);
void banger_port_datagrams_free(BangerPortDatagrams *datagrams);
