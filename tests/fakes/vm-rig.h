/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One VM in a faked world, and what its callers were answered. */
#pragma once

#include "fakes/fake-ports.h"
#include "service/engine/vm.h"
#include "test.h"

typedef struct Rig {
	FakePorts *fakes;
	BangerKvmVerdict *kvm;
	BangerNetwork *network;
	BangerVm *vm;
	GCancellable *cancellable;
	GString *states; /* at each "changed" */
	GString *progress;
	const char *cancel_at; /* what is begun when somebody cancels; NULL: nobody does */
	char *taken;
	int ended;
} Rig;

/* What one asynchronous call came to. */
typedef struct Answer {
	bool done;
	bool ok;
	GError *error;
	BangerGuest *guest;
} Answer;

void answer_clear(Answer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Answer, answer_clear)

void rig_init_as(Rig *rig, BangerAccelerator accelerator);
void rig_init(Rig *rig);
/* With a network; its number in the subnet is 7. */
void rig_init_reaching(Rig *rig, BangerReach reach);
/* Also sees that nobody holds the VM any more, and that it holds nothing. */
void rig_done(Rig *rig);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Rig, rig_done)

/* Each of these asks, and lets everything happen that can happen without an answer of a port. */
void rig_begin(Rig *rig, BangerPlanFlags flags, Answer *up);
void rig_stop(Rig *rig, unsigned timeout_s, Answer *stopped);
void rig_kill(Rig *rig, uint32_t signal_number, Answer *killed);
void rig_wait_guest(Rig *rig, Answer *guest);
void rig_end_whole(Rig *rig, Answer *ended);

/* All goes well until the call `until` is asked for; NULL: to the end. */
void rig_walk(Rig *rig, const char *until);
/* Makes a VM that runs, with nothing written down. */
void rig_run(Rig *rig);
/* Makes one that a daemon before this one had running, and that is looked for. */
void rig_recover(Rig *rig, bool lives, Answer *recovered);
void rig_recover_again(Rig *rig, Answer *recovered);

/* The VMM tells that it paused, for want of space or for this reason; its process ends. */
void rig_pause(Rig *rig);
void rig_pause_for(Rig *rig, BangerError code, const char *text);
void rig_end(Rig *rig);

/* What was written down since the last time. */
const char *rig_take(Rig *rig, GString *text);
/* How the VM's story ends: told once, nothing held, nothing asked for, and its last word. */
void rig_check_over(Rig *rig, BangerVmState state, const char *last_error);

#define check_log(rig, text) check_str(rig_take((rig), (rig)->fakes->log), text)

#define check_states(rig, text) check_str(rig_take((rig), (rig)->states), text)

#define check_failed(answer, expected)                                                             \
	do {                                                                                       \
		check((answer).done);                                                              \
		check((answer).error);                                                             \
		check((answer).error->domain == BANGER_ERROR);                                     \
		check_str(banger_error_get_name((BangerError)(answer).error->code),                \
			  banger_error_get_name(expected));                                        \
	} while (0)
