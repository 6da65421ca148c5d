/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the faked world share: nobody else includes it. */
#pragma once

#include "fakes/fake-ports.h"

extern FakePorts *fake_world;

/* Notes a call that is answered later; whether it was cancelled is for the test to say. */
void fake_ask(void *port, const char *call, GCancellable *cancellable, GAsyncReadyCallback callback,
	      void *data);
bool fake_finish(GAsyncResult *result, GError **error);
/* A descriptor for the engine, whose other end tells when it is closed. */
int fake_hand_out(void);

void fake_privileged_init(BangerPrivilegedInterface *iface);
