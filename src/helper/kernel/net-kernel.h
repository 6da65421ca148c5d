/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The network's part of the kernel seam: what its functions take and give; kernel.h has the functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helper/kernel/net-filter.h"
#include "shared/rules/ipv4.h"

#define KERNEL_NEAR_MAX    256
#define KERNEL_BUSY_MAX    256
#define KERNEL_UPLINKS_MAX 64

/* The host's networks, but ours, as they are now. */
typedef struct KernelNet {
	BnPrefix busy[KERNEL_BUSY_MAX]; /* inside the pool that was asked about */
	size_t n_busy;
	BnPrefix near[KERNEL_NEAR_MAX]; /* reached without a router */
	size_t n_near;
	char uplinks[KERNEL_UPLINKS_MAX][BN_LINK_NAME_SIZE]; /* that lead anywhere */
	size_t n_uplinks;
	unsigned
		mtu; /* of the way to everywhere, of several the smallest; 1500 where there is none */
} KernelNet;

typedef struct KernelBridge {
	const char *name;
	uint32_t address; /* the host's own on it */
	uint8_t length;
} KernelBridge;

typedef struct KernelTap {
	const char *name;
	const char *bridge;
	bool isolated; /* from the bridge's other isolated ports */
	unsigned mtu;
} KernelTap;

/* What the host is told of a user's names. */
typedef struct KernelNames {
	const char *bridge;
	uint32_t address; /* who answers, on its port 53 */
	const char *zone; /* for what ends in this, and nothing else */
} KernelNames;

/* useradd(8) makes none that is longer than 32; other sources of users have longer ones. */
#define KERNEL_USER_SIZE 257

#define KERNEL_BLOCK_NAME_SIZE 72

/* A chain of another program that drops what guests send. */
typedef struct KernelBlock {
	const char *family;                                                /* "ip" or "inet" */
	char table[KERNEL_BLOCK_NAME_SIZE], chain[KERNEL_BLOCK_NAME_SIZE]; /* printable */
	bool firewalld;                                                    /* made by that */
} KernelBlock;

/* Interfaces that forward because we told them to. */
typedef struct KernelForwarding {
	char links[KERNEL_UPLINKS_MAX][BN_LINK_NAME_SIZE];
	size_t n;
} KernelForwarding;
