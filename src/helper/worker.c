/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"

typedef struct Queue {
	WorkerJob *first, **last;
} Queue;

/* One per user with work under way. */
typedef struct User {
	struct User *next;
	uid_t uid;
	unsigned threads;
	Queue waiting;
} User;

struct Workers {
	pthread_mutex_t lock; /* for everything below */
	pthread_cond_t changed;
	User *users;
	Queue finished;
	unsigned threads;
	unsigned unfinished; /* main thread's own: jobs whose done() has not run */
	int event;
};

typedef struct Thread {
	Workers *workers;
	User *user;
} Thread;

static void
push(Queue *queue, WorkerJob *job)
{
	job->next = NULL;
	if (!queue->first)
		queue->last = &queue->first;
	*queue->last = job;
	queue->last = &job->next;
}

static WorkerJob *
pop(Queue *queue)
{
	WorkerJob *job = queue->first;

	if (job)
		queue->first = job->next;
	return job;
}

static User *
find_user(Workers *w, uid_t uid)
{
	for (User *user = w->users; user; user = user->next)
		if (user->uid == uid)
			return user;
	return NULL;
}

static void
remove_user(Workers *w, User *user)
{
	for (User **at = &w->users; *at; at = &(*at)->next)
		if (*at == user) {
			*at = user->next;
			free(user);
			return;
		}
}

static void
tell_main(Workers *w)
{
	uint64_t one = 1;

	/* The counter cannot overflow: it is at most the number of jobs. Where it cannot be written all the same, the
	 * caller would wait for ever; a successor sorts out what we leave. */
	if (write(w->event, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void *
thread_main(void *data)
{
	Thread *thread = data;
	Workers *w = thread->workers;
	User *user = thread->user;
	WorkerJob *job;

	free(thread);
	(void)pthread_mutex_lock(&w->lock);
	while ((job = pop(&user->waiting))) {
		(void)pthread_mutex_unlock(&w->lock);
		job->run(job);
		(void)pthread_mutex_lock(&w->lock);
		push(&w->finished, job);
		tell_main(w);
	}
	if (--user->threads == 0)
		remove_user(w, user);
	w->threads--;
	(void)pthread_cond_broadcast(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Signals stay the main thread's. */
static int
start_thread(Workers *w, User *user)
{
	_cleanup_free_ Thread *thread = malloc(sizeof(*thread));
	sigset_t all, before;
	pthread_t id;
	int r;

	if (!thread)
		return -ENOMEM;
	*thread = (Thread){ w, user };
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&id, NULL, thread_main, thread);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return -r;
	BN_TAKE_PTR(thread);
	(void)pthread_detach(id);
	user->threads++;
	w->threads++;
	return 0;
}

int
workers_new(Workers **ret, int *ret_fd)
{
	Workers *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event < 0) {
		free(w);
		return bn_errno();
	}
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->changed, NULL);
	*ret = w;
	*ret_fd = w->event;
	return 0;
}

Workers *
workers_free(Workers *w)
{
	if (!w)
		return NULL;
	/* Threads are detached: the last instruction that touches `w` is under the lock. */
	(void)pthread_mutex_lock(&w->lock);
	while (w->threads > 0)
		(void)pthread_cond_wait(&w->changed, &w->lock);
	(void)pthread_mutex_unlock(&w->lock);
	(void)pthread_cond_destroy(&w->changed);
	(void)pthread_mutex_destroy(&w->lock);
	bn_closep(&w->event);
	free(w);
	return NULL;
}

static int
submit_locked(Workers *w, WorkerJob *job)
{
	User *user = find_user(w, job->uid);
	int r = 0;

	if (!user) {
		user = calloc(1, sizeof(*user));
		if (!user)
			return -ENOMEM;
		user->uid = job->uid;
		user->next = w->users;
		w->users = user;
	}
	if (user->threads < WORKERS_PER_USER)
		r = start_thread(w, user);
	if (r < 0 && user->threads == 0) {
		remove_user(w, user);
		return r;
	}
	push(&user->waiting, job);
	return 0;
}

int
workers_submit(Workers *w, WorkerJob *job)
{
	int r;

	(void)pthread_mutex_lock(&w->lock);
	r = submit_locked(w, job);
	(void)pthread_mutex_unlock(&w->lock);
	if (r >= 0)
		w->unfinished++;
	return r;
}

void
workers_dispatch(Workers *w)
{
	Queue finished;
	WorkerJob *job;
	uint64_t count;

	(void)!read(w->event, &count, sizeof(count));
	(void)pthread_mutex_lock(&w->lock);
	finished = w->finished;
	w->finished.first = NULL;
	(void)pthread_mutex_unlock(&w->lock);
	while ((job = pop(&finished))) {
		w->unfinished--;
		job->done(job);
	}
}

bool
workers_is_idle(const Workers *w)
{
	return w->unfinished == 0;
}
