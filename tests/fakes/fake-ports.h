/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The engine's whole world, faked: it writes down what is asked of it, and answers when the test says so. One at a
 * time, since constructors of ports have no data. */
#pragma once

#include "service/base/error.h"
#include "service/ports/ports.h"

/* The id of what is made. */
#define FAKE_MADE_ID "99999999999999999999999999999999"
/* Of the user's bridge, in host order. */
#define FAKE_SUBNET 0x0ad0a000U

/* Calls are named as in `log`, where each leaves its name and a space:
 * asynchronous: make-image make-kernel create probe bridge no-bridge tap untap peer nat no-nat names launch open
 *   signal release list is-ending guest-open set-clock shutdown resume
 * at once: publish withdraw kernel disks destroy remove-image remove-kernel vmm-new guest-new console-new */
typedef struct FakePorts {
	BangerPorts ports;
	GString *log;
	GPtrArray *pending;    /* GTask, named by its call */
	GArray *peers;         /* int: the test's ends of all that was handed out */
	int process;           /* of these, the latest VMM's process */
	int tap;               /* the latest that was handed out; the engine's */
	int kernel, initramfs; /* the latest that were opened; the engine's */
	int objects;           /* ports alive, made by the constructors */
	BangerVmm *vmm;        /* the latest; borrowed, NULL when it is gone */
	BangerGuest *guest;    /* the same */
	const char *fail_call; /* fails with BUSY when it is made; NULL: none */
	const char *end_reason;
	const char *ended;      /* what release says */
	const char *listed[4];  /* what list says, up to NULL */
	bool lists_bridge;      /* and whether the bridge is among it */
	const char *last_words; /* the guest's; NULL: it was silent */
	const char *refused;    /* the action that polkit does not allow; NULL: all are allowed */
	BangerLeave leave;      /* and what it says of that */
	bool polkit_away;
	bool kvm_usable;
	bool held; /* the host waits for us */
	bool session_ends;
	GHashTable *names; /* of VMs that are served → number in the subnet */
	bool serves_names;
	GHashTable *published;  /* the host's ports, "127.0.0.1:80/tcp" → number in the subnet */
	uint16_t taken_port;    /* of the host; somebody else's */
	const char *note;       /* on the bridge; NULL: none */
	bool has_dns;           /* port 53 of the bridge is ours */
	uint32_t host;          /* number of the latest tap in its subnet */
	bool peer;              /* what the latest change of it was to */
	bool lan;               /* how far the latest NAT reaches */
	uint32_t signal_number; /* the latest that was asked for */
	char operation[33];     /* of the latest release */
	unsigned n_recorded;    /* images and kernels, when what is not was removed */
} FakePorts;

FakePorts *fake_ports_new(void);
/* Also sees that nothing handed out is still held. */
void fake_ports_free(FakePorts *self);

/* Lets everything happen that can happen without another answer. */
void fake_ports_settle(FakePorts *self);

bool fake_ports_is_asked(FakePorts *self, const char *call);
/* Whether who asked has cancelled it. */
bool fake_ports_is_given_up(FakePorts *self, const char *call);
/* Answers the oldest call of that name, and settles; the plain one does not settle. */
void fake_ports_succeed(FakePorts *self, const char *call);
void fake_ports_fail(FakePorts *self, const char *call, BangerError code);
void fake_ports_succeed_plain(FakePorts *self, const char *call);

/* The VMM's process ends; does not settle. */
void fake_ports_end_process(FakePorts *self);

/* The agent's connection closes. */
void fake_ports_close_guest(FakePorts *self);

/* How many descriptors handed out are still open at the other side. */
unsigned fake_ports_count_held(FakePorts *self);
