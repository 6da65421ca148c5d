/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pipeline of every call: check → descriptors → authorize → look → claim → run → settle → answer.
 *
 * It knows no bus: who asks polkit and who carries messages is given to it. Main thread only. Calls
 * about one VM are carried out in the order of dispatch_submit(), their questions and checks
 * overlap; when one fails, those behind it that were there already are aborted. */
#pragma once

#include "helper/op.h"
#include "helper/worker.h"

typedef enum AuthorityAnswer {
	AUTHORITY_YES,
	AUTHORITY_NO,
	AUTHORITY_CHALLENGE,   /* allowed after a question, which the message forbids */
	AUTHORITY_UNAVAILABLE, /* nobody could say: as good as no */
} AuthorityAnswer;

typedef struct AuthorityQuestion {
	const char *action;
	const char *sender;
	bool may_ask;
	uid_t uid;          /* whose resources */
	const char *vm;     /* or "" */
	const char *object; /* name of the derived object, or "" */
} AuthorityQuestion;

typedef void AuthorityDone(void *data, AuthorityAnswer answer);

typedef struct Authority {
	void *ctx;
	/* Calls `done` once, later, never from within. The strings are the caller's. *ret_ticket is
	 * good until then. */
	int (*ask)(void *ctx, const AuthorityQuestion *question, AuthorityDone *done, void *data,
		   void **ret_ticket);
	/* After it `done` is not called. */
	void (*cancel)(void *ctx, void *ticket);
} Authority;

typedef struct Transport {
	void *ctx;
	/* Answers and lets go of the message. `failure` is NULL where the call succeeded; both NULL
	 * where there is nobody left to answer. The reply stays the dispatcher's. */
	void (*answer)(void *ctx, void *message, OpId id, const OpReply *reply,
		       const OpFailure *failure);
	/* The number of calls under way changed. */
	void (*changed)(void *ctx);
} Transport;

typedef struct DispatchSetup {
	OpEnv env;
	Authority authority;
	Transport transport;
	Workers *workers;   /* outlives the dispatcher */
	unsigned calls_max; /* under way, of all users */
} DispatchSetup;

typedef struct Dispatch Dispatch;

int dispatch_new(const DispatchSetup *setup, Dispatch **ret);
/* Nothing may run in a worker. */
Dispatch *dispatch_free(Dispatch *d);

/* Takes over `message`, which is answered through the transport exactly once, perhaps before this
 * returns; and what `args` own, which are empty then. */
void dispatch_submit(Dispatch *d, OpId id, OpArgs *args, const Caller *caller, void *message);
/* The connection is gone: what it asked and did not begin is dropped, what runs is finished. */
void dispatch_sender_gone(Dispatch *d, const char *sender);
/* Aborts what has not begun; what runs is finished. */
void dispatch_shut_down(Dispatch *d);
bool dispatch_is_idle(const Dispatch *d);
