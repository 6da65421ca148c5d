/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The life of a VM as a table. Pure. */
#pragma once

#include <stdbool.h>

#include "shared/base/enum-table.h"

typedef enum BangerVmState {
	BANGER_VM_CREATED,
	BANGER_VM_STARTING,
	BANGER_VM_RUNNING,
	BANGER_VM_PAUSED,
	BANGER_VM_STOPPING,
	BANGER_VM_STOPPED,
	BANGER_VM_ERROR,
	_BANGER_VM_STATE_MAX,
	_BANGER_VM_STATE_INVALID = -EINVAL,
} BangerVmState;

/* The words of org.banger.VM.State and of the database. */
BN_DECLARE_ENUM_TABLE(banger_vm_state, BangerVmState);

typedef enum BangerVmEvent {
	BANGER_VM_EV_START,  /* somebody asked for it */
	BANGER_VM_EV_READY,  /* the guest's agent has answered */
	BANGER_VM_EV_FAIL,   /* the start failed and was undone */
	BANGER_VM_EV_PAUSE,  /* the VMM stopped the guest's processors by itself */
	BANGER_VM_EV_RESUME, /* and lets them run again */
	BANGER_VM_EV_STOP,   /* somebody asked for it */
	BANGER_VM_EV_END,    /* the VMM is gone, asked for or by the guest's own shutdown */
	BANGER_VM_EV_DIE,    /* the VMM is gone, and nobody wanted it */
	_BANGER_VM_EVENT_MAX,
	_BANGER_VM_EVENT_INVALID = -EINVAL,
} BangerVmEvent;

BN_DECLARE_ENUM_TABLE(banger_vm_event, BangerVmEvent);

/* The state that follows, or _BANGER_VM_STATE_INVALID where `event` cannot happen in `state`. */
BangerVmState banger_vm_fsm_next(BangerVmState state, BangerVmEvent event);

/* Whether a VMM may exist in this state. */
bool banger_vm_state_is_live(BangerVmState state);
