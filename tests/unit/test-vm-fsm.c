/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include "service/engine/vm-fsm.h"

/* The whole table again, in other words: what is not listed here must be impossible. */
static const struct {
	BangerVmState from;
	BangerVmEvent event;
	BangerVmState to;
} possible[] = {
	{ BANGER_VM_CREATED, BANGER_VM_EV_START, BANGER_VM_STARTING },
	{ BANGER_VM_STOPPED, BANGER_VM_EV_START, BANGER_VM_STARTING },
	{ BANGER_VM_ERROR, BANGER_VM_EV_START, BANGER_VM_STARTING },
	{ BANGER_VM_STARTING, BANGER_VM_EV_READY, BANGER_VM_RUNNING },
	{ BANGER_VM_STARTING, BANGER_VM_EV_FAIL, BANGER_VM_ERROR },
	{ BANGER_VM_STARTING, BANGER_VM_EV_STOP, BANGER_VM_STOPPING },
	{ BANGER_VM_RUNNING, BANGER_VM_EV_PAUSE, BANGER_VM_PAUSED },
	{ BANGER_VM_RUNNING, BANGER_VM_EV_STOP, BANGER_VM_STOPPING },
	{ BANGER_VM_RUNNING, BANGER_VM_EV_END, BANGER_VM_STOPPED },
	{ BANGER_VM_RUNNING, BANGER_VM_EV_DIE, BANGER_VM_ERROR },
	{ BANGER_VM_PAUSED, BANGER_VM_EV_RESUME, BANGER_VM_RUNNING },
	{ BANGER_VM_PAUSED, BANGER_VM_EV_STOP, BANGER_VM_STOPPING },
	{ BANGER_VM_PAUSED, BANGER_VM_EV_END, BANGER_VM_STOPPED },
	{ BANGER_VM_PAUSED, BANGER_VM_EV_DIE, BANGER_VM_ERROR },
	{ BANGER_VM_STOPPING, BANGER_VM_EV_FAIL, BANGER_VM_STOPPED },
	{ BANGER_VM_STOPPING, BANGER_VM_EV_END, BANGER_VM_STOPPED },
	{ BANGER_VM_STOPPING, BANGER_VM_EV_DIE, BANGER_VM_ERROR },
};

static BangerVmState
expected(BangerVmState from, BangerVmEvent event)
{
	for (size_t i = 0; i < sizeof(possible) / sizeof(possible[0]); i++)
		if (possible[i].from == from && possible[i].event == event)
			return possible[i].to;
	return _BANGER_VM_STATE_INVALID;
}

static void
test_next_when_pair_not_listed_then_invalid(void)
{
	for (int s = 0; s < _BANGER_VM_STATE_MAX; s++)
		for (int e = 0; e < _BANGER_VM_EVENT_MAX; e++)
			check_int(banger_vm_fsm_next(s, e), expected(s, e));
	check_int(banger_vm_fsm_next(-1, BANGER_VM_EV_START), _BANGER_VM_STATE_INVALID);
	check_int(banger_vm_fsm_next(0, _BANGER_VM_EVENT_MAX), _BANGER_VM_STATE_INVALID);
}

static void
test_tables_when_round_tripped_then_equal(void)
{
	for (int s = 0; s < _BANGER_VM_STATE_MAX; s++)
		check_int(banger_vm_state_from_string(banger_vm_state_to_string(s)), s);
	for (int e = 0; e < _BANGER_VM_EVENT_MAX; e++)
		check_int(banger_vm_event_from_string(banger_vm_event_to_string(e)), e);
}

TEST_MAIN(TEST(test_next_when_pair_not_listed_then_invalid),
	  TEST(test_tables_when_round_tripped_then_equal))
