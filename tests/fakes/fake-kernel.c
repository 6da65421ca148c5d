/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fakes/fake-kernel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#include "shared/base/errno-util.h"
#include "shared/base/macro.h"

/* Begins every call, with the lock taken: recorded, held, failed. */
int
fake_kernel_begin(FakeKernel *f, const char *key, const char *format, ...)
{
	size_t used;
	va_list args;

	(void)pthread_mutex_lock(&f->lock);
	used = strlen(f->log);
	va_start(args, format);
	(void)vsnprintf(f->log + used, sizeof(f->log) - used, format, args);
	va_end(args);
	while (f->held && strstr(key, f->held)) {
		f->waiting++;
		(void)pthread_cond_broadcast(&f->changed);
		(void)pthread_cond_wait(&f->changed, &f->lock);
		f->waiting--;
	}
	f->calls++;
	if (f->fail_at > 0 && f->calls >= f->fail_at &&
	    f->calls < f->fail_at + BN_MAX(f->fail_for, 1U))
		return f->fail_with;
	return 0;
}

int
fake_kernel_end_call(FakeKernel *f, int r)
{
	(void)pthread_cond_broadcast(&f->changed);
	(void)pthread_mutex_unlock(&f->lock);
	return r;
}

static FakeJail *
find(FakeKernel *f, const char *key)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->jails[i].key, key) == 0)
			return &f->jails[i];
	return NULL;
}

static FakeJail *
find_by_uid(FakeKernel *f, uid_t uid)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->jails[i].uid == uid && f->jails[i].alive)
			return &f->jails[i];
	return NULL;
}

static int
open_sockets(int ret_fds[static _BN_JAIL_OUT_MAX])
{
	for (size_t i = 0; i < _BN_JAIL_OUT_MAX; i++) {
		int ends[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
			return bn_errno();
		bn_closep(&ends[1]);
		ret_fds[i] = ends[0];
	}
	return 0;
}

static int
fake_verdict_load(void *ctx, KernelVerdict *ret)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "", "verdict load\n");

	if (r == 0 && !f->has_verdict)
		r = -ENOENT;
	if (r == 0)
		*ret = f->verdict;
	return fake_kernel_end_call(f, r);
}

static int
fake_verdict_save(void *ctx, const KernelVerdict *verdict)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "", "verdict save usable=%d\n", verdict->usable);

	if (r == 0) {
		f->verdict = *verdict;
		f->has_verdict = true;
	}
	return fake_kernel_end_call(f, r);
}

static int
fake_kvm_probe(void *ctx, uid_t jail_uid, KernelVerdict *ret)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "kvm", "kvm probe\n");

	if (r == 0)
		*ret = (KernelVerdict){ .usable = f->kvm_usable,
					.proven = !f->kvm_unproven,
					.reason.text = "measured by nobody" };
	return fake_kernel_end_call(f, r);
}

static int
launch_locked(FakeKernel *f, const KernelLaunch *launch, KernelJail *ret)
{
	FakeJail *jail = find(f, launch->key);

	if (jail && jail->alive)
		return -EEXIST;
	if (!jail) {
		if (f->n == FAKE_JAILS_MAX)
			return -ENOSPC;
		jail = &f->jails[f->n++];
	}
	*jail = (FakeJail){
		.uid = launch->jail_uid, .alive = true, .files = true, .spec = *launch->spec
	};
	strcpy(jail->key, launch->key);
	strcpy(jail->ended, "failed");
	*ret = (KernelJail){ .control = eventfd(0, EFD_CLOEXEC),
			     .process = pidfd_open(getpid(), 0),
			     .jail_uid = launch->jail_uid };
	return 0;
}

static int
fake_jail_launch(void *ctx, const KernelLaunch *launch, KernelJail *ret, KernelText *reterr)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, launch->key, "launch %s kvm=%u disks=%zu\n", launch->key,
				  launch->spec->kvm,
				  launch->n_fds - BN_JAIL_FD_DISK - launch->spec->network);

	if (r == 0)
		r = launch_locked(f, launch, ret);
	return fake_kernel_end_call(f, r);
}

static int
fake_scope_start(void *ctx, const KernelLaunch *launch, const KernelJail *jail)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, launch->key, "scope %s\n", launch->key);

	if (r == 0)
		find(f, launch->key)->scope = true;
	return fake_kernel_end_call(f, r);
}

static int
fake_jail_go(void *ctx, const KernelJail *jail, int ret_fds[static _BN_JAIL_OUT_MAX],
	     KernelText *reterr)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "", "go\n");

	if (r == 0) {
		find_by_uid(f, jail->jail_uid)->started = true;
		r = open_sockets(ret_fds);
	}
	return fake_kernel_end_call(f, r);
}

static int
fake_jail_find(void *ctx, const char *key, uid_t jail_uid, KernelJail *ret)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, key, "find %s\n", key);
	FakeJail *jail = find(f, key);

	if (r == 0 && (!jail || !jail->alive))
		r = -ENOENT;
	if (r == 0)
		*ret = (KernelJail){ .control = eventfd(0, EFD_CLOEXEC),
				     .process = -1,
				     .jail_uid = jail_uid };
	return fake_kernel_end_call(f, r);
}

static int
fake_jail_open(void *ctx, const KernelJail *jail, int ret_fds[static _BN_JAIL_OUT_MAX],
	       KernelText *reterr)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "", "open\n");

	if (r == 0)
		r = find_by_uid(f, jail->jail_uid) ? open_sockets(ret_fds) : -ENOENT;
	return fake_kernel_end_call(f, r);
}

static int
fake_jail_process(void *ctx, const KernelJail *jail, int *ret_pidfd)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "", "process\n");

	if (r == 0)
		*ret_pidfd = pidfd_open(getpid(), 0);
	return fake_kernel_end_call(f, r);
}

static int
fake_jail_signal(void *ctx, const KernelJail *jail, int signo, KernelText *reterr)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "", "signal %d\n", signo);

	return fake_kernel_end_call(f, r);
}

static int
fake_jail_end(void *ctx, const char *key, uid_t jail_uid)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, key, "end %s\n", key);
	FakeJail *jail = find(f, key);

	if (r == 0 && jail && jail->alive) {
		jail->alive = jail->scope = false;
		if (jail->started)
			strcpy(jail->ended, "signal 9");
	}
	return fake_kernel_end_call(f, r);
}

static int
fake_jail_ended(void *ctx, const char *key, char ret[static KERNEL_ENDED_SIZE])
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, key, "ended %s\n", key);
	FakeJail *jail = find(f, key);

	if (r == 0)
		strcpy(ret, jail && jail->files ? jail->ended : "unknown");
	return fake_kernel_end_call(f, r);
}

static int
fake_jail_remove(void *ctx, const char *key)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, key, "remove %s\n", key);
	FakeJail *jail = find(f, key);

	if (r == 0 && jail) {
		jail->files = false;
		if (!jail->alive)
			*jail = f->jails[--f->n];
	}
	return fake_kernel_end_call(f, r);
}

static int
fake_jail_list(void *ctx, void (*on_key)(void *data, const char *key), void *data)
{
	FakeKernel *f = ctx;
	int r = fake_kernel_begin(f, "", "list\n");

	for (size_t i = 0; r == 0 && i < f->n; i++)
		if (f->jails[i].files)
			on_key(data, f->jails[i].key);
	return fake_kernel_end_call(f, r);
}

void
fake_kernel_init(FakeKernel *f)
{
	memset(f, 0, sizeof(*f));
	(void)pthread_mutex_init(&f->lock, NULL);
	(void)pthread_cond_init(&f->changed, NULL);
	f->fail_with = -EIO;
	f->kvm_usable = true;
	f->kernel = (Kernel){
		.ctx = f,
		.verdict_load = fake_verdict_load,
		.verdict_save = fake_verdict_save,
		.kvm_probe = fake_kvm_probe,
		.jail_launch = fake_jail_launch,
		.scope_start = fake_scope_start,
		.jail_go = fake_jail_go,
		.jail_find = fake_jail_find,
		.jail_open = fake_jail_open,
		.jail_process = fake_jail_process,
		.jail_signal = fake_jail_signal,
		.jail_end = fake_jail_end,
		.jail_ended = fake_jail_ended,
		.jail_remove = fake_jail_remove,
		.jail_list = fake_jail_list,
	};
	fake_net_init(f);
}

void
fake_kernel_done(FakeKernel *f)
{
	(void)pthread_cond_destroy(&f->changed);
	(void)pthread_mutex_destroy(&f->lock);
}

size_t
fake_kernel_count(FakeKernel *f)
{
	size_t n;

	(void)pthread_mutex_lock(&f->lock);
	n = f->n;
	(void)pthread_mutex_unlock(&f->lock);
	return n;
}

FakeJail *
fake_kernel_find(FakeKernel *f, const char *key)
{
	FakeJail *jail;

	(void)pthread_mutex_lock(&f->lock);
	jail = find(f, key);
	(void)pthread_mutex_unlock(&f->lock);
	return jail;
}

void
fake_kernel_end(FakeKernel *f, const char *key, const char *ended)
{
	FakeJail *jail = fake_kernel_find(f, key);

	jail->alive = jail->scope = false;
	strcpy(jail->ended, ended);
}

void
fake_kernel_hold(FakeKernel *f, const char *part)
{
	(void)pthread_mutex_lock(&f->lock);
	f->held = part;
	(void)pthread_mutex_unlock(&f->lock);
}

void
fake_kernel_wait_held(FakeKernel *f)
{
	(void)pthread_mutex_lock(&f->lock);
	while (f->waiting == 0)
		(void)pthread_cond_wait(&f->changed, &f->lock);
	(void)pthread_mutex_unlock(&f->lock);
}

void
fake_kernel_wait_calls(FakeKernel *f, unsigned n)
{
	(void)pthread_mutex_lock(&f->lock);
	while (f->calls < n)
		(void)pthread_cond_wait(&f->changed, &f->lock);
	(void)pthread_mutex_unlock(&f->lock);
}

void
fake_kernel_let_go(FakeKernel *f)
{
	(void)pthread_mutex_lock(&f->lock);
	f->held = NULL;
	(void)pthread_cond_broadcast(&f->changed);
	(void)pthread_mutex_unlock(&f->lock);
}
