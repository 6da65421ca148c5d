/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/polkit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/cleanup.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"

#define POLKIT_NAME      "org.freedesktop.PolicyKit1"
#define POLKIT_PATH      "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"

/* A machine's time to answer; a person has all the time there is. */
#define MACHINE_LIMIT_US (5 * 1000000ULL)

struct Polkit {
	sd_bus *bus;
	uint64_t n_questions; /* for cancellation ids that never repeat */
};

typedef struct Ticket {
	Polkit *polkit;
	/* Copies: the question is asked up to three times. */
	char *action, *sender, *vm, *object;
	uid_t uid;
	bool may_ask;
	bool with_person; /* the present attempt may ask one */
	bool retried;
	uint64_t limit_at;
	char cancellation[32]; /* "" without a person: there is nothing to cancel */
	sd_bus_slot *slot;
	AuthorityDone *done;
	void *data;
} Ticket;

static int attempt(Ticket *ticket);

static Ticket *
ticket_free(Ticket *ticket)
{
	if (!ticket)
		return NULL;
	sd_bus_slot_unref(ticket->slot);
	free(ticket->action);
	free(ticket->sender);
	free(ticket->vm);
	free(ticket->object);
	free(ticket);
	return NULL;
}

static void
ticket_freep(Ticket **ticket)
{
	*ticket = ticket_free(*ticket);
}

static void
finish(Ticket *ticket, AuthorityAnswer answer)
{
	AuthorityDone *done = ticket->done;
	void *data = ticket->data;

	ticket_free(ticket);
	done(data, answer);
}

static int
read_result(sd_bus_message *m, bool *ret_authorized, bool *ret_challenge)
{
	int authorized = 0, challenge = 0, r;

	r = sd_bus_message_enter_container(m, 'r', "bba{ss}");
	if (r > 0)
		r = sd_bus_message_read_basic(m, 'b', &authorized);
	if (r > 0)
		r = sd_bus_message_read_basic(m, 'b', &challenge);
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	*ret_authorized = authorized != 0;
	*ret_challenge = challenge != 0;
	return 0;
}

/* polkitd was killed, or restarted under us: once more, within the same limit. */
static bool
try_again(Ticket *ticket)
{
	if (ticket->retried || (!ticket->with_person && bn_clock_us() >= ticket->limit_at))
		return false;
	ticket->retried = true;
	return attempt(ticket) >= 0;
}

static int
on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	Ticket *ticket = userdata;
	bool authorized = false, challenge = false;

	if (sd_bus_message_is_method_error(m, NULL)) {
		const sd_bus_error *e = sd_bus_message_get_error(m);

		/* By its name: the rest is somebody else's text. */
		bn_log_notice("polkit: no answer about %s: %s", ticket->action, e->name);
		if (!try_again(ticket))
			finish(ticket, AUTHORITY_UNAVAILABLE);
		return 0;
	}
	if (read_result(m, &authorized, &challenge) < 0) {
		finish(ticket, AUTHORITY_UNAVAILABLE);
		return 0;
	}
	if (authorized) {
		finish(ticket, AUTHORITY_YES);
	} else if (!challenge || ticket->with_person) {
		finish(ticket, AUTHORITY_NO);
	} else if (!ticket->may_ask) {
		finish(ticket, AUTHORITY_CHALLENGE);
	} else {
		ticket->with_person = true;
		if (attempt(ticket) < 0)
			finish(ticket, AUTHORITY_UNAVAILABLE);
	}
	return 0;
}

/* The subject is the connection that called, by its unique name: neither a process id, which may be
 * somebody else's by now, nor anything the caller says. */
static int
append_subject(sd_bus_message *m, const char *sender)
{
	int r = sd_bus_message_open_container(m, 'r', "sa{sv}");

	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', "system-bus-name");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'e', "sv");
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', "name");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "s");
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', sender);
	for (int i = 0; r >= 0 && i < 4; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

static int
append_detail(sd_bus_message *m, const char *key, const char *value)
{
	int r;

	if (value[0] == '\0')
		return 0;
	r = sd_bus_message_open_container(m, 'e', "ss");
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', key);
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', value);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int
append_details(sd_bus_message *m, const Ticket *ticket)
{
	char uid[16];
	int r;

	(void)snprintf(uid, sizeof(uid), "%u", ticket->uid);
	r = sd_bus_message_open_container(m, 'a', "{ss}");
	if (r >= 0)
		r = append_detail(m, "uid", uid);
	if (r >= 0)
		r = append_detail(m, "vm", ticket->vm);
	if (r >= 0)
		r = append_detail(m, "object", ticket->object);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int
make_call(Ticket *ticket, sd_bus_message **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	uint32_t flags = ticket->with_person;
	int r;

	r = sd_bus_message_new_method_call(ticket->polkit->bus, &m, POLKIT_NAME, POLKIT_PATH,
					   POLKIT_INTERFACE, "CheckAuthorization");
	if (r >= 0)
		r = append_subject(m, ticket->sender);
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', ticket->action);
	if (r >= 0)
		r = append_details(m, ticket);
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 'u', &flags);
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', ticket->cancellation);
	if (r >= 0)
		*ret = BN_TAKE_PTR(m);
	return r;
}

static int
attempt(Ticket *ticket)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	uint64_t now = bn_clock_us(), limit = UINT64_MAX;
	int r;

	if (ticket->with_person)
		(void)snprintf(ticket->cancellation, sizeof(ticket->cancellation),
			       "banger-%" PRIu64, ++ticket->polkit->n_questions);
	else if (now >= ticket->limit_at)
		return -ETIMEDOUT;
	else
		limit = ticket->limit_at - now;
	r = make_call(ticket, &m);
	if (r < 0)
		return r;
	/* The slot of the attempt before: its callback is running right now, and has its own
	 * reference. */
	ticket->slot = sd_bus_slot_unref(ticket->slot);
	return sd_bus_call_async(ticket->polkit->bus, &ticket->slot, m, on_answer, ticket, limit);
}

static int
ask(void *ctx, const AuthorityQuestion *question, AuthorityDone *done, void *data,
    void **ret_ticket)
{
	_cleanup_(ticket_freep) Ticket *ticket = calloc(1, sizeof(*ticket));
	int r;

	if (!ticket)
		return -ENOMEM;
	ticket->polkit = ctx;
	ticket->uid = question->uid;
	ticket->may_ask = question->may_ask;
	ticket->done = done;
	ticket->data = data;
	ticket->limit_at = bn_clock_us() + MACHINE_LIMIT_US;
	ticket->action = strdup(question->action);
	ticket->sender = strdup(question->sender);
	ticket->vm = strdup(question->vm);
	ticket->object = strdup(question->object);
	if (!ticket->action || !ticket->sender || !ticket->vm || !ticket->object)
		return -ENOMEM;
	r = attempt(ticket);
	if (r < 0)
		return r;
	*ret_ticket = BN_TAKE_PTR(ticket);
	return 0;
}

/* Takes the question off the person's screen; nobody waits for polkit to say that it did. */
static void
withdraw(const Ticket *ticket)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

	if (ticket->cancellation[0] == '\0')
		return;
	if (sd_bus_message_new_method_call(ticket->polkit->bus, &m, POLKIT_NAME, POLKIT_PATH,
					   POLKIT_INTERFACE, "CancelCheckAuthorization") < 0 ||
	    sd_bus_message_append_basic(m, 's', ticket->cancellation) < 0 ||
	    sd_bus_message_set_expect_reply(m, false) < 0)
		return;
	(void)sd_bus_send(ticket->polkit->bus, m, NULL);
}

static void
cancel(void *ctx, void *data)
{
	Ticket *ticket = data;

	withdraw(ticket);
	ticket_free(ticket);
}

int
polkit_new(sd_bus *bus, Polkit **ret, Authority *ret_authority)
{
	Polkit *polkit = calloc(1, sizeof(*polkit));

	if (!polkit)
		return -ENOMEM;
	polkit->bus = bus;
	*ret = polkit;
	*ret_authority = (Authority){ .ctx = polkit, .ask = ask, .cancel = cancel };
	return 0;
}

Polkit *
polkit_free(Polkit *polkit)
{
	free(polkit);
	return NULL;
}
