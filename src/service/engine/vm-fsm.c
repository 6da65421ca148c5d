/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/engine/vm-fsm.h"

static const char *const state_table[_BANGER_VM_STATE_MAX] = {
	[BANGER_VM_CREATED] = "created",   [BANGER_VM_STARTING] = "starting",
	[BANGER_VM_RUNNING] = "running",   [BANGER_VM_PAUSED] = "paused",
	[BANGER_VM_STOPPING] = "stopping", [BANGER_VM_STOPPED] = "stopped",
	[BANGER_VM_ERROR] = "error",
};

BN_DEFINE_ENUM_TABLE(banger_vm_state, BangerVmState, state_table);

static const char *const event_table[_BANGER_VM_EVENT_MAX] = {
	[BANGER_VM_EV_START] = "start",   [BANGER_VM_EV_READY] = "ready",
	[BANGER_VM_EV_FAIL] = "fail",     [BANGER_VM_EV_PAUSE] = "pause",
	[BANGER_VM_EV_RESUME] = "resume", [BANGER_VM_EV_STOP] = "stop",
	[BANGER_VM_EV_END] = "end",       [BANGER_VM_EV_DIE] = "die",
};

BN_DEFINE_ENUM_TABLE(banger_vm_event, BangerVmEvent, event_table);

/* CREATED is 0 and nothing leads back to it, so an entry left out reads as "cannot happen". */
static const BangerVmState steps[_BANGER_VM_STATE_MAX][_BANGER_VM_EVENT_MAX] = {
	[BANGER_VM_CREATED] = { [BANGER_VM_EV_START] = BANGER_VM_STARTING },
	[BANGER_VM_STOPPED] = { [BANGER_VM_EV_START] = BANGER_VM_STARTING },
	[BANGER_VM_ERROR] = { [BANGER_VM_EV_START] = BANGER_VM_STARTING },
	[BANGER_VM_STARTING] = { [BANGER_VM_EV_READY] = BANGER_VM_RUNNING,
				 [BANGER_VM_EV_FAIL] = BANGER_VM_ERROR,
				 [BANGER_VM_EV_STOP] = BANGER_VM_STOPPING },
	[BANGER_VM_RUNNING] = { [BANGER_VM_EV_PAUSE] = BANGER_VM_PAUSED,
				[BANGER_VM_EV_STOP] = BANGER_VM_STOPPING,
				[BANGER_VM_EV_END] = BANGER_VM_STOPPED,
				[BANGER_VM_EV_DIE] = BANGER_VM_ERROR },
	[BANGER_VM_PAUSED] = { [BANGER_VM_EV_RESUME] = BANGER_VM_RUNNING,
			       [BANGER_VM_EV_STOP] = BANGER_VM_STOPPING,
			       [BANGER_VM_EV_END] = BANGER_VM_STOPPED,
			       [BANGER_VM_EV_DIE] = BANGER_VM_ERROR },
	[BANGER_VM_STOPPING] = { [BANGER_VM_EV_FAIL] = BANGER_VM_STOPPED,
				 [BANGER_VM_EV_END] = BANGER_VM_STOPPED,
				 [BANGER_VM_EV_DIE] = BANGER_VM_ERROR },
};

BangerVmState
banger_vm_fsm_next(BangerVmState state, BangerVmEvent event)
{
	if ((int)state < 0 || state >= _BANGER_VM_STATE_MAX || (int)event < 0 ||
	    event >= _BANGER_VM_EVENT_MAX)
		return _BANGER_VM_STATE_INVALID;
	return steps[state][event] ? steps[state][event] : _BANGER_VM_STATE_INVALID;
}

bool
banger_vm_state_is_live(BangerVmState state)
{
	return state == BANGER_VM_STARTING || state == BANGER_VM_RUNNING ||
	       state == BANGER_VM_PAUSED || state == BANGER_VM_STOPPING;
}
