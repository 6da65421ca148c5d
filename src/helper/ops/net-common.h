/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the operations about networks share. */
#pragma once

#include "helper/kernel/kernel.h"
#include "helper/op.h"

/* The host's end of a subnet. */
#define NET_HOST_FIRST 1

/* Of what a method is about that names no VM. */
int net_check_operation(OpCall *call, const char *operation);

NetChange net_change_bridge(const NetBridge *bridge);
NetChange net_change_resolver(const NetBridge *bridge);
/* What a tap and its VM's reach put into the tables: up to NET_TAP_CHANGES. Returns how many. */
#define NET_TAP_CHANGES 3
size_t net_changes_of_tap(const NetTap *tap, NetChange ret[static NET_TAP_CHANGES]);
/* The one that stands for a VM's reach; false where it reaches nothing. */
bool net_change_reach(const NetTap *tap, NetChange *ret);

/* What they hold of the host's own interfaces, as many as both have. Returns how many. */
size_t net_changes_of_host(const KernelNet *net, NetChange *ret);

/* All that the tables hold, by the ledger: the caller's to free. */
int net_changes_of_all(const NetLedger *ledger, NetChange **ret, size_t *ret_n);

/* Takes a tap and all that goes with it out of the kernel. What is gone already is no error. */
int net_undo_tap(const Kernel *kernel, const NetTap *tap);
/* A reach alone. */
int net_undo_reach(const Kernel *kernel, const NetTap *tap);
/* Takes the bridge away, and the tables with the `last` one. */
int net_undo_bridge(const Kernel *kernel, const NetBridge *bridge, bool last);

/* OP_ERROR_FAILED, with what nft said where it said something. */
int net_fail(OpCall *call, int r, const char *what, const KernelText *detail);
/* The packet filter's answer; OP_ERROR_NOT_FOUND where our tables are gone. */
int net_fail_filter(OpCall *call, int r, const KernelText *detail);
