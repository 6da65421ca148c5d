/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper/budget.h"
#include "op-wire-bus.h"
#include "shared/base/cleanup.h"
#include "shared/base/log.h"
#include "shared/base/str-util.h"

/* For the bus itself to say who a connection is. */
#define BUS_LIMIT_US (5 * 1000000ULL)

/* The way out that loses no call: a message sent before the name was given back reaches us before
 * the bus's answer to that; one sent later starts the next helper. systemd sees the name go on the
 * connection on which it is then asked for that start, and so puts the start behind our end.
 *
 * Where a call did come, the name is taken again: it may wait for a person, and nobody else shall
 * wait for that. systemd has begun to stop us then, and says so with SIGTERM. */
typedef enum State {
	STATE_SERVING,
	STATE_LEAVING,   /* asked to give the name back */
	STATE_LEFT,      /* the name is gone: ends once nothing is under way */
	STATE_RETURNING, /* asked for the name again: it may come with calls */
} State;

/* A call whose sender's uid the bus has not told yet. */
typedef struct Arrival {
	struct Arrival *next;
	Bus *bus;
	sd_bus_message *receipt;
	sd_bus_slot *slot;
	OpId id;
	OpArgs args;
	Caller caller;
	bool is_known;  /* the bus has answered */
	bool is_nobody; /* but could not say whose it is */
	bool is_gone;   /* and whoever it was is not there any more */
} Arrival;

struct Bus {
	sd_event *event;
	sd_bus *bus;
	Dispatch *dispatch;
	Arrival *arrivals; /* in the order they came, which the dispatcher keeps */
	State state;
	bool has_left; /* the name was given back once, and perhaps taken again */
	bool is_last;  /* whoever supervises us waits for our end */
	bool is_terminating;
	BusSetup setup;
	sd_event_source *idle_timer, *last_timer, *last_look;
	sd_bus_slot *name_slot;
};

static Arrival *
arrival_free(Arrival *arrival)
{
	if (!arrival)
		return NULL;
	sd_bus_slot_unref(arrival->slot);
	sd_bus_message_unref(arrival->receipt);
	op_wire_args_done(arrival->id, &arrival->args);
	free(arrival);
	return NULL;
}

static void
arrival_freep(Arrival **arrival)
{
	*arrival = arrival_free(*arrival);
}

static bool
is_idle(const Bus *bus)
{
	return !bus->arrivals && (!bus->dispatch || dispatch_is_idle(bus->dispatch));
}

/* Idle or not, as it is now: called whenever that may have changed. */
static void
update_idle(Bus *bus)
{
	bool idle = is_idle(bus);

	if (bus->state == STATE_LEFT && idle)
		(void)sd_event_source_set_enabled(bus->last_look, SD_EVENT_ONESHOT);
	if (bus->state != STATE_SERVING || !bus->idle_timer)
		return;
	if (idle)
		(void)sd_event_source_set_time_relative(
			bus->idle_timer, bus->is_last ? 0 : bus->setup.idle_ms * 1000ULL);
	(void)sd_event_source_set_enabled(bus->idle_timer, idle ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void
send_failure(sd_bus_message *m, const OpFailure *failure)
{
	int r = sd_bus_reply_method_errorf(m, op_error_name(failure->error), "%s", failure->text);

	if (r < 0)
		bn_log_warning("cannot answer a call, ignoring: %s", strerror(-r));
}

static void
send_reply(sd_bus_message *m, OpId id, const OpReply *reply)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *answer = NULL;
	OpFailure failure = { .error = OP_ERROR_FAILED };
	int r = sd_bus_message_new_method_return(m, &answer);

	if (r >= 0)
		r = op_wire_reply(id, answer, reply);
	if (r >= 0)
		r = sd_bus_send(NULL, answer, NULL);
	if (r >= 0)
		return;
	(void)snprintf(failure.text, sizeof(failure.text),
		       "done, but the answer could not be sent: %s", strerror(-r));
	send_failure(m, &failure);
}

static void
answer(void *ctx, void *message, OpId id, const OpReply *reply, const OpFailure *failure)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = message;

	if (sd_bus_message_get_expect_reply(m) <= 0)
		return;
	if (failure)
		send_failure(m, failure);
	else if (reply)
		send_reply(m, id, reply);
}

static void
changed(void *ctx)
{
	update_idle(ctx);
}

/* Hands on, in order, every call at the front whose caller is known by now. */
static void
submit_known(Bus *bus)
{
	static const OpFailure ending = { OP_ERROR_ABORTED, "the helper is ending" },
			       unknown = { OP_ERROR_FAILED,
					   "the bus does not say whose call it is" };

	while (bus->arrivals && bus->arrivals->is_known) {
		_cleanup_(arrival_freep) Arrival *arrival = bus->arrivals;

		bus->arrivals = arrival->next;
		/* Nobody to answer, and nobody whose call it could be. */
		if (arrival->is_gone)
			continue;
		if (bus->is_terminating || arrival->is_nobody)
			answer(bus, BN_TAKE_PTR(arrival->receipt), arrival->id, NULL,
			       bus->is_terminating ? &ending : &unknown);
		else
			dispatch_submit(bus->dispatch, arrival->id, &arrival->args,
					&arrival->caller, BN_TAKE_PTR(arrival->receipt));
	}
	update_idle(bus);
}

static int
on_uid(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	Arrival *arrival = userdata;
	uint32_t uid = 0;

	arrival->is_known = true;
	if (sd_bus_message_is_method_error(m, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
		arrival->is_gone = true;
	/* In doubt it is nobody's. */
	else if (sd_bus_message_is_method_error(m, NULL) ||
		 sd_bus_message_read_basic(m, 'u', &uid) <= 0 || uid == UINT32_MAX)
		arrival->is_nobody = true;
	arrival->caller.uid = uid;
	submit_known(arrival->bus);
	return 0;
}

static int
ask_uid(Arrival *arrival)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_method_call(arrival->bus->bus, &m, "org.freedesktop.DBus",
					   "/org/freedesktop/DBus", "org.freedesktop.DBus",
					   "GetConnectionUnixUser");
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', arrival->caller.sender);
	if (r < 0)
		return r;
	return sd_bus_call_async(arrival->bus->bus, &arrival->slot, m, on_uid, arrival,
				 BUS_LIMIT_US);
}

/* What an answer needs of a call: which one it was, and whose. The call itself goes when it has been
 * read, with whatever it brought that nobody had asked for: a descriptor more than the method takes
 * is seen by nobody, and must not be held while a person thinks. */
static int
make_receipt(sd_bus_message *call, sd_bus_message **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	uint64_t cookie = 0;
	int r;

	r = sd_bus_message_new_method_call(
		sd_bus_message_get_bus(call), &m, NULL, sd_bus_message_get_path(call),
		sd_bus_message_get_interface(call), sd_bus_message_get_member(call));
	if (r >= 0)
		r = sd_bus_message_set_sender(m, sd_bus_message_get_sender(call));
	if (r >= 0)
		r = sd_bus_message_set_expect_reply(m, sd_bus_message_get_expect_reply(call) > 0);
	if (r >= 0)
		r = sd_bus_message_get_cookie(call, &cookie);
	if (r >= 0)
		r = sd_bus_message_seal(m, cookie, /* timeout_usec= */ 0);
	if (r >= 0)
		*ret = BN_TAKE_PTR(m);
	return r;
}

/* 1 where it has been refused, and is over. */
static int
fill_arrival(Arrival *arrival, OpId id, sd_bus_message *m)
{
	const char *argument = NULL;
	int r;

	if (bn_str_copy(arrival->caller.sender, sizeof(arrival->caller.sender),
			sd_bus_message_get_sender(m)) < 0)
		return -EBADMSG;
	arrival->caller.may_ask = sd_bus_message_get_allow_interactive_authorization(m) > 0;
	arrival->id = id;
	r = op_wire_read(id, m, &arrival->args, &argument);
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
		return r;
	if (r >= 0)
		return make_receipt(m, &arrival->receipt);
	/* SECURITY: what cannot be read must not be run, also for who wants no answer and gets none. */
	(void)sd_bus_reply_method_errorf(m, op_error_name(OP_ERROR_INVALID_ARGUMENT), "%s: %s",
					 argument, r == -E2BIG ? "too long" : "cannot be read");
	return 1;
}

/* Half of the room is for connections that have none waiting: a flood over few leaves others theirs. */
static bool
has_room(const Bus *bus, const char *sender)
{
	unsigned own = 0, all = 0;

	for (const Arrival *arrival = bus->arrivals; arrival; arrival = arrival->next) {
		own += strcmp(arrival->caller.sender, sender) == 0;
		all++;
	}
	if (own == 0)
		return all < bus->setup.arrivals_max;
	return own < BUDGET_ARRIVALS_PER_SENDER && all < bus->setup.arrivals_max / 2;
}

int
op_wire_on_call(OpId id, sd_bus_message *m, void *userdata)
{
	_cleanup_(arrival_freep) Arrival *arrival = NULL;
	const char *sender = sd_bus_message_get_sender(m);
	Bus *bus = userdata;
	Arrival **last;
	int r;

	if (!sender)
		return -EBADMSG;
	if (!has_room(bus, sender))
		return sd_bus_reply_method_errorf(m, op_error_name(OP_ERROR_BUSY),
						  "too many calls are waiting already");
	arrival = calloc(1, sizeof(*arrival));
	if (!arrival)
		return -ENOMEM;
	arrival->bus = bus;
	r = fill_arrival(arrival, id, m);
	/* 1: answered, with what is wrong. */
	if (r != 0)
		return r;
	r = ask_uid(arrival);
	if (r < 0)
		return r;
	for (last = &bus->arrivals; *last; last = &(*last)->next)
		;
	*last = BN_TAKE_PTR(arrival);
	update_idle(bus);
	return 1;
}

/* One match for everybody who leaves the bus, there before the first call: one per caller would
 * have to be added in time, for every call. */
static int
on_name_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *name = NULL;
	Bus *bus = userdata;

	if (sd_bus_message_read_basic(m, 's', &name) <= 0 || name[0] != ':')
		return 0;
	for (Arrival *arrival = bus->arrivals; arrival; arrival = arrival->next)
		if (strcmp(arrival->caller.sender, name) == 0)
			arrival->is_gone = true;
	dispatch_sender_gone(bus->dispatch, name);
	return 0;
}

static int
on_released(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	Bus *bus = userdata;

	bus->state = STATE_LEFT;
	return sd_event_source_set_enabled(bus->last_look, SD_EVENT_ONESHOT);
}

static int
leave(Bus *bus)
{
	if (bus->state != STATE_SERVING)
		return 0;
	bus->state = STATE_LEAVING;
	bus->has_left = true;
	bus->name_slot = sd_bus_slot_unref(bus->name_slot);
	return sd_bus_release_name_async(bus->bus, &bus->name_slot, BN_HELPER_BUS_NAME, on_released,
					 bus);
}

static int
on_name_again(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	uint32_t result = 0;
	Bus *bus = userdata;
	int r = 0;

	/* 1: primary owner. Where a successor has it, it waits for us to end (see helper.c). */
	if (!sd_bus_message_is_method_error(m, NULL) &&
	    sd_bus_message_read_basic(m, 'u', &result) > 0 && result == 1)
		bus->state = STATE_SERVING;
	else
		bus->state = STATE_LEFT;
	if (bus->is_terminating)
		r = leave(bus);
	update_idle(bus);
	return r;
}

/* Runs when everything that had arrived was read. */
static int
on_last_look(sd_event_source *source, void *userdata)
{
	Bus *bus = userdata;

	if (is_idle(bus))
		return sd_event_exit(bus->event, 0);
	if (bus->is_terminating)
		return 0;
	bus->state = STATE_RETURNING;
	bus->name_slot = sd_bus_slot_unref(bus->name_slot);
	return sd_bus_request_name_async(bus->bus, &bus->name_slot, BN_HELPER_BUS_NAME, 0,
					 on_name_again, bus);
}

static int
on_idle(sd_event_source *source, uint64_t usec, void *userdata)
{
	return leave(userdata);
}

static void
terminate_now(Bus *bus)
{
	bus->is_terminating = true;
	dispatch_shut_down(bus->dispatch);
	if (leave(bus) < 0)
		(void)sd_event_exit(bus->event, 1);
	update_idle(bus);
}

static int
on_last_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	terminate_now(userdata);
	return 0;
}

void
bus_terminate(Bus *bus)
{
	if (!bus->has_left || bus->is_last || bus->is_terminating) {
		terminate_now(bus);
		return;
	}
	/* Not somebody who wants us to end, but the answer to our wanting to. */
	bus->is_last = true;
	(void)sd_event_source_set_time_relative(bus->last_timer, bus->setup.last_ms * 1000ULL);
	(void)sd_event_source_set_enabled(bus->last_timer, SD_EVENT_ONESHOT);
	update_idle(bus);
}

/* The bus went, and with it everybody who could call: an idle exit like any other, and no failure of ours. */
static int
on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	Bus *bus = userdata;

	return sd_event_exit(bus->event, 0);
}

static int
connect_bus(Bus *bus, const char *address)
{
	int r = sd_bus_new(&bus->bus);

	if (r >= 0)
		r = sd_bus_set_address(bus->bus, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(bus->bus, true);
	if (r >= 0)
		r = sd_bus_negotiate_fds(bus->bus, true);
	if (r >= 0)
		r = sd_bus_start(bus->bus);
	if (r >= 0)
		r = sd_bus_attach_event(bus->bus, bus->event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		/* sd-bus itself sends this one. */
		r = sd_bus_match_signal(bus->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
					"org.freedesktop.DBus.Local", "Disconnected",
					on_disconnected, bus);
	return r;
}

static int
make_sources(Bus *bus)
{
	int r;

	/* Accuracy 1: 0 would mean 250 ms. */
	r = sd_event_add_time_relative(bus->event, &bus->idle_timer, CLOCK_MONOTONIC,
				       bus->setup.idle_ms * 1000ULL, 1, on_idle, bus);
	if (r >= 0)
		r = sd_event_add_time(bus->event, &bus->last_timer, CLOCK_MONOTONIC, 0, 1,
				      on_last_timer, bus);
	if (r >= 0)
		r = sd_event_source_set_enabled(bus->last_timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_defer(bus->event, &bus->last_look, on_last_look, bus);
	if (r >= 0)
		r = sd_event_source_set_priority(bus->last_look, SD_EVENT_PRIORITY_IDLE);
	if (r >= 0)
		r = sd_event_source_set_enabled(bus->last_look, SD_EVENT_OFF);
	return r;
}

int
bus_new(sd_event *event, const BusSetup *setup, Bus **ret)
{
	Bus *bus = calloc(1, sizeof(*bus));
	int r;

	if (!bus)
		return -ENOMEM;
	bus->event = sd_event_ref(event);
	bus->setup = *setup;
	r = connect_bus(bus, setup->address);
	if (r < 0) {
		bus_free(bus);
		return r;
	}
	*ret = bus;
	return 0;
}

Bus *
bus_free(Bus *bus)
{
	if (!bus)
		return NULL;
	while (bus->arrivals) {
		Arrival *arrival = bus->arrivals;

		bus->arrivals = arrival->next;
		arrival_free(arrival);
	}
	sd_bus_slot_unref(bus->name_slot);
	sd_event_source_unref(bus->idle_timer);
	sd_event_source_unref(bus->last_timer);
	sd_event_source_unref(bus->last_look);
	sd_bus_flush_close_unref(bus->bus);
	sd_event_unref(bus->event);
	free(bus);
	return NULL;
}

sd_bus *
bus_get_connection(Bus *bus)
{
	return bus->bus;
}

Transport
bus_get_transport(Bus *bus)
{
	return (Transport){ .ctx = bus, .answer = answer, .changed = changed };
}

int
bus_start(Bus *bus, Dispatch *dispatch)
{
	static const char everybody_who_leaves[] =
		"type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
		"interface='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''";
	int r;

	bus->dispatch = dispatch;
	r = sd_bus_add_object_vtable(bus->bus, NULL, BN_HELPER_PATH, BN_HELPER_INTERFACE,
				     op_wire_vtable, bus);
	if (r >= 0)
		r = sd_bus_add_match(bus->bus, NULL, everybody_who_leaves, on_name_owner_changed,
				     bus);
	if (r >= 0)
		r = make_sources(bus);
	if (r >= 0)
		r = sd_bus_request_name(bus->bus, BN_HELPER_BUS_NAME, 0);
	return r < 0 ? r : 0;
}
