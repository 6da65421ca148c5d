/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A manager with a real store in a faked world, and one VM called "web" that its tests are about. */
#pragma once

#include "fakes/fake-ports.h"
#include "service/base/error.h"
#include "service/manager/manager.h"
#include "test.h"

#define IMAGE  "11111111111111111111111111111111"
#define KERNEL "22222222222222222222222222222222"
#define WEB    "33333333333333333333333333333333"
#define STRAY  "44444444444444444444444444444444"

typedef struct Rig {
	char *directory;
	FakePorts *fakes;
	BangerStore *store;
	BangerKvmVerdict *kvm;
	BangerManager *manager;
	bool recovered;
	char *taken;
} Rig;

/* A store that knows an image and a kernel, and no manager yet. */
void rig_init(Rig *rig);
void rig_done(Rig *rig);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Rig, rig_done)
BangerVmSpec *rig_make_spec(bool ephemeral);
/* What a manager before left. */
void rig_record(Rig *rig, BangerVmState state, bool ephemeral);
/* The manager, which looks for what runs. */
void rig_begin(Rig *rig);
/* All of that: a VM that runs, found by this manager. */
void rig_run(Rig *rig);

/* What was asked of the world since the last time. */
const char *rig_take_log(Rig *rig);
BangerVm *rig_find_web(Rig *rig);
/* In the manager as in the store. */
void rig_check_web(Rig *rig, BangerVmState state);
void rig_check_no_web(Rig *rig);

/* A job's end, kept after the job has gone. */
typedef struct End {
	bool done;
	GError *error;
} End;

void end_clear(End *end);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(End, end_clear)
void rig_watch(Rig *rig, BangerJob *job, End *end);

BangerVm *rig_create(Rig *rig, bool start, End *end);
BangerVm *rig_create_as(Rig *rig, bool ephemeral, bool start, End *end);
/* All goes well. */
void rig_walk(Rig *rig);
/* Deletes it. */
void rig_finish_off(Rig *rig);
