/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Work that may sleep, off the main thread and apart per user: nobody waits for another's clean-up.
 *
 * Up to WORKERS_PER_USER jobs of one uid run at once, each in a thread that ends when its user has
 * no more; further ones wait in the order they came. All functions are the main thread's. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define WORKERS_PER_USER 4

typedef struct Workers Workers;

typedef struct WorkerJob {
	uid_t uid;
	void (*run)(struct WorkerJob *job);  /* in a thread of that uid */
	void (*done)(struct WorkerJob *job); /* on the main thread, from workers_dispatch() */
	struct WorkerJob *next;              /* the queue's */
} WorkerJob;

/* *ret_fd is readable when workers_dispatch() has something to do; the workers' to close. */
int workers_new(Workers **ret, int *ret_fd);
/* No job may be under way. */
Workers *workers_free(Workers *workers);

/* `job` is the caller's and must live until its done(). Negative errno where no thread can be
 * had. */
int workers_submit(Workers *workers, WorkerJob *job);
void workers_dispatch(Workers *workers);
bool workers_is_idle(const Workers *workers);
