/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes the connections of a listening socket, a few in each turn of the main loop. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

typedef struct BangerAcceptor BangerAcceptor;

/* `connection` is borrowed, and is closed where nobody keeps it. */
typedef void (*BangerAcceptorFunc)(GSocket *connection, void *data);

/* `listener` does not block, and is kept. */
BangerAcceptor *banger_acceptor_new(GSocket *listener, int priority, BangerAcceptorFunc func,
				    void *data);
void banger_acceptor_free(BangerAcceptor *acceptor);

/* While it is closed the kernel keeps who comes. May be called from within `func`. */
void banger_acceptor_set_open(BangerAcceptor *acceptor, bool open);
