/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The user's bridge: asked of the helper by the first VM that wants a network, remembered while it is there. */
#pragma once

#include "service/ports/privileged.h"

#define BANGER_TYPE_NETWORK (banger_network_get_type())
G_DECLARE_FINAL_TYPE(BangerNetwork, banger_network, BANGER, NETWORK, GObject)

/* Signal "changed": there is another bridge, or none, or another note. */
BangerNetwork *banger_network_new(BangerPrivileged *privileged);

/* All that ask while one question is open share its answer; whoever gives up leaves the others theirs. */
void banger_network_ensure_async(BangerNetwork *self, const char *operation,
				 GCancellable *cancellable, GAsyncReadyCallback callback,
				 void *data);
bool banger_network_ensure_finish(BangerNetwork *self, GAsyncResult *result, GError **error);

/* The helper says that it is gone: the next one asks again. */
void banger_network_forget(BangerNetwork *self);

/* A call to the helper that takes the bridge: how it is made, and what its answer is. */
typedef struct BangerNetworkCall {
	void (*begin)(GTask *task, GAsyncReadyCallback callback, void *data);
	bool (*finish)(GTask *task, GAsyncResult *result, GError **error);
	/* The end of it; `error` is taken over, NULL where it succeeded. */
	void (*end)(GTask *task, GError *error);
} BangerNetworkCall;

/* Makes it; where the helper says that the bridge has gone, or its tables, they are made again, and so is the call,
 * once. `task` is given to each of them, and gives its cancellable; `call` must stay. */
void banger_network_call(BangerNetwork *self, const BangerNetworkCall *call, const char *operation,
			 GTask *task);

/* The helper has one of which we know no more than that: of a daemon before us. */
void banger_network_find(BangerNetwork *self);
/* Whether there is one, known or not, or may be. */
bool banger_network_is_there(BangerNetwork *self);

/* Takes it away, where no VM is on it. False where it stays, which may be tried again. */
void banger_network_remove_async(BangerNetwork *self, GAsyncReadyCallback callback, void *data);
bool banger_network_remove_finish(BangerNetwork *self, GAsyncResult *result, GError **error);

/* The sockets of port 53, once: the caller's then. False where there are none. */
bool banger_network_take_dns(BangerNetwork *self, int ret[static 2]);

/* Whether the helper gave us any, whoever has them now. */
bool banger_network_has_dns(BangerNetwork *self);

/* The bridge, borrowed until it changes; NULL where none is known. */
const BangerBridge *banger_network_get(BangerNetwork *self);
