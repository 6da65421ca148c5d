/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/op-dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helper/audit.h"
#include "helper/budget.h"
#include "shared/base/clock.h"

typedef enum Stage {
	STAGE_NEW,
	STAGE_QUEUED,      /* until there is room for one more of this user to be looked into */
	STAGE_DESCRIPTORS, /* in a worker */
	STAGE_AUTHORIZING, /* polkit thinks, or a person */
	STAGE_TURN,        /* may run, once nothing before it is in its way */
	STAGE_RUNNING,     /* has its turn; in a worker */
} Stage;

typedef enum Early { EARLY_NO, EARLY_ABORTED, EARLY_VANISHED } Early;

/* A call under way: in the list from its arrival to its answer, in the order of arrival. */
typedef struct Pending {
	OpCall call;
	const OpImpl *impl;
	WorkerJob job;
	Dispatch *dispatch;
	struct Pending *next;
	Stage stage;
	Early early; /* ended while a worker had it: answered when the worker gives it back */
	void *message;
	void *ticket;
	int result;
	AuditStamps stamps;
} Pending;

struct Dispatch {
	DispatchSetup setup;
	Pending *pending;
};

static void advance(Dispatch *d);
static void look_into(Pending *p);

static Pending *
pending_free(Pending *p)
{
	if (!p)
		return NULL;
	if (p->impl->done)
		p->impl->done(&p->call);
	op_wire_args_done(p->call.id, &p->call.args);
	op_wire_reply_done(p->call.id, &p->call.reply);
	free(p);
	return NULL;
}

static void
unlink_pending(Dispatch *d, Pending *p)
{
	for (Pending **at = &d->pending; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			return;
		}
}

/* The last thing that happens to every call. */
static void
answer(Pending *p)
{
	Dispatch *d = p->dispatch;
	const Transport *transport = &d->setup.transport;
	bool vanished = p->early == EARLY_VANISHED, failed = p->call.failure.error != OP_ERROR_NONE;

	unlink_pending(d, p);
	audit_call(&p->call, &p->stamps);
	transport->answer(transport->ctx, p->message, p->call.id,
			  vanished || failed ? NULL : &p->call.reply,
			  !vanished && failed ? &p->call.failure : NULL);
	pending_free(p);
	transport->changed(transport->ctx);
}

/* Ends a call that has not begun to run. */
static void
end_early(Pending *p, Early why, const char *text)
{
	const Authority *authority = &p->dispatch->setup.authority;

	if (p->early == EARLY_NO) {
		p->early = why;
		(void)op_fail(&p->call, OP_ERROR_ABORTED, "%s", text);
	}
	if (p->stage == STAGE_DESCRIPTORS)
		return;
	if (p->stage == STAGE_AUTHORIZING)
		authority->cancel(authority->ctx, p->ticket);
	answer(p);
}

/* Calls behind a failed one were sent in the belief that it would succeed. */
static void
abort_behind(Dispatch *d, Pending *first, const char *key)
{
	Pending *next;

	for (Pending *p = first; p; p = next) {
		next = p->next;
		if (strcmp(p->call.key, key) == 0 && p->stage != STAGE_RUNNING)
			end_early(p, EARLY_ABORTED,
				  "a call before it, about the same VM or bridge, failed");
	}
}

static void
finish(Pending *p)
{
	Dispatch *d = p->dispatch;
	bool failed = p->call.failure.error != OP_ERROR_NONE && p->early == EARLY_NO;
	char key[BN_DERIVE_KEY_SIZE];
	Pending *behind = p->next;

	memcpy(key, p->call.key, sizeof(key));
	answer(p);
	if (failed && key[0])
		abort_behind(d, behind, key);
	advance(d);
}

static void
on_ran(WorkerJob *job)
{
	Pending *p = (Pending *)((char *)job - offsetof(Pending, job));

	p->stamps.ran = bn_clock_us();
	if (p->result < 0 && p->call.failure.error == OP_ERROR_NONE)
		(void)op_fail_errno(&p->call, p->result, op_names[p->call.id].method);
	if (p->impl->settle)
		p->result = p->impl->settle(&p->dispatch->setup.env, &p->call, p->result);
	finish(p);
}

static void
run_in_worker(WorkerJob *job)
{
	Pending *p = (Pending *)((char *)job - offsetof(Pending, job));

	p->result = p->impl->run(p->dispatch->setup.env.kernel, &p->call);
}

static void
claim_and_run(Pending *p)
{
	Dispatch *d = p->dispatch;
	int r = p->impl->claim(&d->setup.env, &p->call);

	p->stamps.claimed = bn_clock_us();
	if (r != 0) {
		finish(p);
		return;
	}
	p->job = (WorkerJob){ .uid = p->call.caller.uid, .run = run_in_worker, .done = on_ran };
	r = workers_submit(d->setup.workers, &p->job);
	if (r < 0) {
		/* As if run had failed before its first step. */
		p->result = op_fail_errno(&p->call, r, "no worker");
		on_ran(&p->job);
	}
}

static void
on_looked(WorkerJob *job)
{
	Pending *p = (Pending *)((char *)job - offsetof(Pending, job));

	if (p->result < 0)
		finish(p);
	else
		claim_and_run(p);
}

static void
look_in_worker(WorkerJob *job)
{
	Pending *p = (Pending *)((char *)job - offsetof(Pending, job));

	p->result = p->impl->look(&p->dispatch->setup.env, &p->call);
}

static void
start(Pending *p)
{
	int r;

	p->stage = STAGE_RUNNING;
	if (!p->impl->look) {
		claim_and_run(p);
		return;
	}
	p->job = (WorkerJob){ .uid = p->call.caller.uid, .run = look_in_worker, .done = on_looked };
	r = workers_submit(p->dispatch->setup.workers, &p->job);
	if (r < 0) {
		(void)op_fail_errno(&p->call, r, "no worker");
		finish(p);
	}
}

/* Of two calls about one user, one of which is about all that the user has: they never run at once. */
static bool
is_apart_from(const Pending *other, const Pending *p)
{
	if (other->call.target != p->call.target)
		return false;
	return (other->impl->whole_user && (p->call.key[0] || p->impl->whole_user)) ||
	       (p->impl->whole_user && other->call.key[0]);
}

/* One VM's calls run in the order they came. A call about a whole user has a place before that user's, and one about
 * the whole network before all about networks, only from when it is authorized: anybody may ask for it and leave the
 * question open. Without one, other calls could keep it waiting for ever. */
static bool
is_in_the_way(const Pending *before, const Pending *p)
{
	if (before->stage == STAGE_TURN &&
	    ((before->impl->whole_user && is_apart_from(before, p)) ||
	     (before->impl->whole_network && p->impl->network)))
		return true;
	return p->call.key[0] && strcmp(before->call.key, p->call.key) == 0;
}

static bool
is_excluded_by(const Pending *running, const Pending *p)
{
	if (running->stage != STAGE_RUNNING)
		return false;
	return (running->impl->whole_network && p->impl->network) ||
	       (p->impl->whole_network && running->impl->network) || is_apart_from(running, p);
}

static bool
has_its_turn(const Dispatch *d, const Pending *p)
{
	for (const Pending *before = d->pending; before != p; before = before->next)
		if (is_in_the_way(before, p))
			return false;
	for (const Pending *other = d->pending; other; other = other->next)
		if (other != p && is_excluded_by(other, p))
			return false;
	return true;
}

/* Each may put a question on somebody's screen, so they are few at once; what is behind them waits
 * unasked, where a caller would have to come again. */
static bool
may_be_looked_into(const Dispatch *d, const Pending *p)
{
	unsigned n = 0;

	for (const Pending *other = d->pending; other; other = other->next)
		n += other->call.caller.uid == p->call.caller.uid &&
		     (other->stage == STAGE_DESCRIPTORS || other->stage == STAGE_AUTHORIZING);
	return n < BN_QUESTIONS_PER_USER;
}

/* Moves on whatever may move now. What it calls may finish calls and come back here: so one at a
 * time, and from the front again. */
static void
advance(Dispatch *d)
{
	for (Pending *p = d->pending; p; p = p->next) {
		if (p->stage == STAGE_TURN && has_its_turn(d, p))
			start(p);
		else if (p->stage == STAGE_QUEUED && may_be_looked_into(d, p))
			look_into(p);
		else
			continue;
		advance(d);
		return;
	}
}

static void
fail_unauthorized(OpCall *call, bool administration)
{
	const char *action = op_names[call->id].action;

	if (administration)
		(void)op_fail(
			call, OP_ERROR_NOT_AUTHORIZED,
			"%s: not authorized by polkit action %s; an administrator can do it, or "
			"allow it by a rule in /etc/polkit-1/rules.d",
			op_names[call->id].method, action);
	else
		(void)op_fail(
			call, OP_ERROR_NOT_AUTHORIZED,
			"%s: not authorized by polkit action %s; unless a rule in "
			"/etc/polkit-1/rules.d forbids it, members of the group 'banger' are "
			"allowed: an administrator can make you one (usermod -aG banger USER, "
			"from the next login on), or write a rule there",
			op_names[call->id].method, action);
}

static void
on_authority(void *data, AuthorityAnswer what)
{
	Pending *p = data;
	const char *action = op_names[p->call.id].action;

	p->ticket = NULL;
	p->stage = STAGE_TURN;
	p->stamps.authorized = bn_clock_us();
	if (what == AUTHORITY_YES) {
		advance(p->dispatch);
		return;
	}
	if (what == AUTHORITY_CHALLENGE)
		(void)op_fail(
			&p->call, OP_ERROR_INTERACTION_REQUIRED,
			"%s: polkit action %s wants to ask a person, and this call forbids it",
			op_names[p->call.id].method, action);
	else if (what == AUTHORITY_UNAVAILABLE)
		(void)op_fail(
			&p->call, OP_ERROR_NOT_AUTHORIZED,
			"%s: polkit did not answer about action %s, so it is not authorized; an "
			"administrator can see to the service polkit",
			op_names[p->call.id].method, action);
	else
		fail_unauthorized(&p->call, p->impl->administration);
	finish(p);
}

static void
authorize(Pending *p)
{
	const Authority *authority = &p->dispatch->setup.authority;
	AuthorityQuestion question = { .action = op_names[p->call.id].action,
				       .sender = p->call.caller.sender,
				       .may_ask = p->call.caller.may_ask,
				       .uid = p->call.target,
				       .vm = p->call.vm ? p->call.vm : "",
				       .object = p->call.key };

	p->stage = STAGE_AUTHORIZING;
	if (authority->ask(authority->ctx, &question, on_authority, p, &p->ticket) < 0)
		on_authority(p, AUTHORITY_UNAVAILABLE);
}

static void
on_descriptors(WorkerJob *job)
{
	Pending *p = (Pending *)((char *)job - offsetof(Pending, job));

	p->stage = STAGE_NEW; /* no worker has it any more */
	if (p->early != EARLY_NO || p->result < 0)
		finish(p);
	else
		authorize(p);
}

static void
check_in_worker(WorkerJob *job)
{
	Pending *p = (Pending *)((char *)job - offsetof(Pending, job));

	p->result = p->impl->descriptors(&p->call);
}

static int
check_room(Pending *p)
{
	unsigned own = 0, all = 0;

	for (const Pending *other = p->dispatch->pending; other != p; other = other->next) {
		all++;
		own += other->call.caller.uid == p->call.caller.uid;
	}
	if (own >= BUDGET_CALLS_PER_USER)
		return op_fail(&p->call, OP_ERROR_BUSY,
			       "%u calls of this user are under way already", own);
	if (all >= p->dispatch->setup.calls_max)
		return op_fail(&p->call, OP_ERROR_BUSY,
			       "%u calls of all users are under way; try again", all);
	return 0;
}

static void
look_into(Pending *p)
{
	int r;

	if (!p->impl->descriptors) {
		authorize(p);
		return;
	}
	p->stage = STAGE_DESCRIPTORS;
	p->job = (WorkerJob){ .uid = p->call.caller.uid,
			      .run = check_in_worker,
			      .done = on_descriptors };
	r = workers_submit(p->dispatch->setup.workers, &p->job);
	if (r >= 0)
		return;
	p->stage = STAGE_NEW;
	(void)op_fail_errno(&p->call, r, "no worker");
	finish(p);
}

static void
begin(Pending *p)
{
	int r = check_room(p);

	if (r >= 0 && p->impl->check)
		r = p->impl->check(&p->call);
	if (r < 0) {
		finish(p);
		return;
	}
	p->stage = STAGE_QUEUED;
	advance(p->dispatch);
}

void
dispatch_submit(Dispatch *d, OpId id, OpArgs *args, const Caller *caller, void *message)
{
	Pending *p = calloc(1, sizeof(*p)), **last = &d->pending;

	if (!p) {
		static const OpFailure no_memory = { OP_ERROR_FAILED, "out of memory" };

		d->setup.transport.answer(d->setup.transport.ctx, message, id, NULL, &no_memory);
		return;
	}
	p->impl = &op_table[id];
	p->dispatch = d;
	p->message = message;
	p->stamps.received = bn_clock_us();
	p->call.id = id;
	p->call.args = *args;
	op_wire_args_init(id, args);
	p->call.caller = *caller;
	p->call.target = caller->uid;
	p->call.operation = "";
	op_wire_reply_init(id, &p->call.reply);
	while (*last)
		last = &(*last)->next;
	*last = p;
	d->setup.transport.changed(d->setup.transport.ctx);
	begin(p);
}

/* Ends, one at a time, what has not begun: of one sender, or of all. */
static void
end_waiting(Dispatch *d, const char *sender, Early why, const char *text)
{
	Pending *p = d->pending;

	while (p) {
		Pending *next = p->next;

		if (p->stage != STAGE_RUNNING &&
		    (!sender || strcmp(p->call.caller.sender, sender) == 0))
			end_early(p, why, text);
		p = next;
	}
	advance(d);
}

void
dispatch_sender_gone(Dispatch *d, const char *sender)
{
	end_waiting(d, sender, EARLY_VANISHED, "the caller is gone");
}

void
dispatch_shut_down(Dispatch *d)
{
	end_waiting(d, NULL, EARLY_ABORTED, "the helper is ending");
}

bool
dispatch_is_idle(const Dispatch *d)
{
	return !d->pending;
}

int
dispatch_new(const DispatchSetup *setup, Dispatch **ret)
{
	Dispatch *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->setup = *setup;
	*ret = d;
	return 0;
}

Dispatch *
dispatch_free(Dispatch *d)
{
	if (!d)
		return NULL;
	while (d->pending) {
		Pending *p = d->pending;

		(void)op_fail(&p->call, OP_ERROR_ABORTED, "the helper is ending");
		answer(p);
	}
	free(d);
	return NULL;
}
