/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TCP connections that come to a port of the host, each passed on to a guest by a second one over the user's bridge. */
#pragma once

#include <gio/gio.h>

/* Of one port; who comes then waits in the kernel until another ends. */
#define BANGER_PORT_STREAMS_MAX 128
/* Of these, of one client's address that is not this host's: the next is closed at once. */
#define BANGER_PORT_STREAMS_CLIENT_MAX 64
/* Who is silent for so long is asked whether it is still there. */
#define BANGER_PORT_STREAM_IDLE_S 600

typedef struct BangerPortStreams BangerPortStreams;

/* `listener` does not block, and is kept. */
BangerPortStreams *banger_port_streams_new(GSocket *listener, GSocketAddress *guest);
/* Whom those that come from now on are passed on to; the others are cut. */
void banger_port_streams_set_guest(BangerPortStreams *streams, GSocketAddress *guest);
/* Cuts every connection; what still holds of one goes with the next turns of the main loop. */
void banger_port_streams_free(BangerPortStreams *streams);
