/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guest-agent.c (the connection) and guest-exec.c (commands) share: nobody else includes it. */
#pragma once

#include "service/adapters/byte-queue.h"
#include "service/adapters/guest-agent.h"
#include "shared/rules/frame.h"

/* Commands' input is not read, and credit for their output not returned, while so much waits for the guest. */
#define BANGER_GUEST_OUT_HIGH (128 * 1024)

struct _BangerGuestAgent {
	GObject parent;

	int fd;
	GSource *readable;
	GSource *writable; /* only while something waits */
	BangerByteQueue in;
	BangerByteQueue out;
	uint8_t nonce[BN_FRAME_NONCE];
	bool is_open;
	GTask *opening;
	GError *closed;      /* why; NULL while it works */
	GHashTable *streams; /* number → BangerGuestStream */
	uint16_t last_stream;
	GPtrArray *
		inquirers; /* GTask: who else waits for the statistics that are asked for; NULL: they are not */
};

/* One request under way. */
typedef struct BangerGuestStream {
	BangerGuestAgent *agent;
	uint16_t number;
	GTask *task;
	BnFrameType answer; /* that ends it, if it is not BN_FRAME_FAILED */

	/* Commands only. */
	int fds[_BN_CHANNEL_MAX];
	GSource *sources
		[_BN_CHANNEL_MAX]; /* reading input, writing output: only while there is a point in it */
	GSource *listener;         /* tells that nobody reads the output any more */
	BangerByteQueue pending[_BN_CHANNEL_MAX];
	uint32_t credit;                    /* for input */
	uint32_t unread[_BN_CHANNEL_MAX];   /* received, and not yet delivered */
	uint32_t returned[_BN_CHANNEL_MAX]; /* delivered, not yet given back as credit */
	bool closed[_BN_CHANNEL_MAX];       /* by the command: what is pending is the last of it */
	bool ended;
	bool hung_up;
	BangerExecResult result;
	GCancellable *cancellable;
	gulong cancel_handler;
} BangerGuestStream;

/* NULL after the task has failed: the connection is closed, or as many commands run as may. What ends commands must not
 * wait for them: other requests are not counted. */
BangerGuestStream *banger_guest_stream_new(BangerGuestAgent *agent, GTask *task,
					   BnFrameType answer);
void banger_guest_stream_free(BangerGuestStream *stream);
/* Takes it out of the table and frees it; its task must have been answered. */
void banger_guest_stream_remove(BangerGuestStream *stream);

void banger_guest_send(BangerGuestAgent *agent, BnFrameType type, uint16_t stream,
		       const void *payload, size_t size);

/* A frame of a running command. False where the guest broke the protocol. */
bool banger_guest_exec_frame(BangerGuestStream *stream, const BnFrame *frame);
/* The connection has room again: what paused goes on. */
void banger_guest_exec_resume(BangerGuestStream *stream);

uint32_t banger_guest_exec(BangerGuest *guest, const BangerExecSpec *spec, int fds[static 3],
			   GCancellable *cancellable, GAsyncReadyCallback callback, void *data);
bool banger_guest_exec_finish(BangerGuest *guest, GAsyncResult *result, BangerExecResult *ret,
			      GError **error);
void banger_guest_exec_signal(BangerGuest *guest, uint32_t exec, int signal_number);
void banger_guest_exec_resize(BangerGuest *guest, uint32_t exec, uint16_t rows, uint16_t columns);
