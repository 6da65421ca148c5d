/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "helper/ledger.h"
#include "helper/ops/ops.h"

/* One at a time, for two would disturb each other's clock. Whoever asks meanwhile gets its outcome,
 * also where that is a failure: so nobody waits for more than one. */
static struct {
	pthread_mutex_t lock; /* for everything below */
	pthread_cond_t ended;
	bool is_running;
	unsigned n_ended;
	int result;
	KernelVerdict verdict;
} probe = { .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };

static void
run_probe_locked(const Kernel *kernel, uid_t jail_uid)
{
	KernelVerdict verdict = {};
	int r;

	probe.is_running = true;
	(void)pthread_mutex_unlock(&probe.lock);
	r = kernel->kvm_probe(kernel->ctx, jail_uid, &verdict);
	if (r >= 0 && verdict.proven)
		r = kernel->verdict_save(kernel->ctx, &verdict);
	(void)pthread_mutex_lock(&probe.lock);
	probe.is_running = false;
	probe.n_ended++;
	probe.result = r;
	probe.verdict = verdict;
	(void)pthread_cond_broadcast(&probe.ended);
}

int
kvm_verdict(const Kernel *kernel, uid_t jail_uid, KernelVerdict *ret)
{
	unsigned n_ended;
	int r;

	(void)pthread_mutex_lock(&probe.lock);
	n_ended = probe.n_ended;
	(void)pthread_mutex_unlock(&probe.lock);
	r = kernel->verdict_load(kernel->ctx, ret);
	if (r != -ENOENT)
		return r;
	(void)pthread_mutex_lock(&probe.lock);
	while (probe.is_running && probe.n_ended == n_ended)
		(void)pthread_cond_wait(&probe.ended, &probe.lock);
	/* One that ended since nobody had a verdict is as good as ours. */
	if (probe.n_ended == n_ended)
		run_probe_locked(kernel, jail_uid);
	r = probe.result;
	if (r >= 0)
		*ret = probe.verdict;
	(void)pthread_mutex_unlock(&probe.lock);
	return r;
}

int
probe_kvm_claim(const OpEnv *env, OpCall *call)
{
	int r = ledger_get_probe_uid(env->ledger, &call->work.vmm.jail_uid);

	return r < 0 ? op_fail_errno(call, r, "no uid for the probe's jail") : 0;
}

int
probe_kvm_run(const Kernel *kernel, OpCall *call)
{
	KernelVerdict verdict;
	int r = kvm_verdict(kernel, call->work.vmm.jail_uid, &verdict);

	if (r < 0)
		return op_fail_errno(call, r, "the probe of KVM could not be run");
	call->reply.probe_kvm.reason = strdup(verdict.reason.text);
	if (!call->reply.probe_kvm.reason)
		return op_fail_errno(call, -ENOMEM, "reply");
	call->reply.probe_kvm.usable = verdict.usable;
	return 0;
}
