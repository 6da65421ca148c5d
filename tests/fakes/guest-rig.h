/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's end of an agent channel, with something asked of it; the guest is the test, and says what it likes. */
#pragma once

#include <gio/gio.h>

#include "service/adapters/guest-agent.h"
#include "shared/rules/frame.h"
#include "test.h"

#define RIG_BROKEN "the guest's agent does not keep to the protocol"
#define RIG_CUT    "the connection to the guest is broken"

/* What is asked of every guest; the number of its stream is one more. */
typedef enum Request { CLOCK, EXEC, STATISTICS, SHUTDOWN, N_REQUESTS } Request;
enum { OF_CLOCK = 1, OF_EXEC, OF_STATISTICS, OF_SHUTDOWN, OF_NONE };

typedef struct Rig {
	BangerGuest *guest;
	int far;     /* the guest's end */
	int copy;    /* of the host's, as who made the connection has one */
	int input;   /* of the command, */
	int outputs; /* and both its outputs: the caller's ends */
	uint8_t nonce[BN_FRAME_NONCE];
	bool opened;
	char *closed; /* why */
	unsigned answers[N_REQUESTS];
	GError *errors[N_REQUESTS];
	BangerExecResult exec;
	BangerGuestStatistics statistics;
	GCancellable *opening;
	GCancellable *command;
} Rig;

/* One thing that a guest says. */
typedef struct Said {
	BnFrameType type; /* 0: the bytes as they are */
	uint16_t stream;
	const char *bytes;
	size_t size;
} Said;

#define FRAME(type, stream, bytes)                                                                 \
	{                                                                                          \
		BN_FRAME_##type, stream, bytes, sizeof(bytes) - 1                                  \
	}
#define RAW(bytes)                                                                                 \
	{                                                                                          \
		0, 0, bytes, sizeof(bytes) - 1                                                     \
	}

BangerGuestInterface *rig_iface(const Rig *rig);

/* Lets happen what can happen without another word; not for ever, where words keep coming. */
void rig_turn(void);

/* A host that waits for its guest's greeting. */
void rig_init(Rig *rig);
/* The greeting, and all that is asked of it then: with five bytes of input for the command. */
void rig_greet(Rig *rig);
void rig_ask(Rig *rig);
/* All of that. */
void rig_start(Rig *rig);
/* The guest goes, if it is still there; nothing may be left unanswered, or answered twice. */
void rig_done(Rig *rig);

/* What the host has sent up to and with a frame of this type; what lies behind it is lost. */
BnFrame rig_hear(Rig *rig, BnFrameType type);
/* Drops what the host says meanwhile. */
void rig_say(Rig *rig, const void *bytes, size_t size);
void rig_say_frame(Rig *rig, BnFrameType type, uint16_t stream, const void *payload, size_t size);
void rig_say_all(Rig *rig, const Said *said, size_t n);

void rig_check_unanswered(const Rig *rig);
