/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "helper/ledger.h"
#include "helper/ops/ops.h"

int
kvm_verdict(const Kernel *kernel, uid_t jail_uid, KernelVerdict *ret)
{
	/* Two probes at once would disturb each other's clock; the second finds the first one's
	 * verdict. */
	static pthread_mutex_t one_probe = PTHREAD_MUTEX_INITIALIZER;
	KernelVerdict verdict = {};
	int r;

	(void)pthread_mutex_lock(&one_probe);
	r = kernel->verdict_load(kernel->ctx, &verdict);
	if (r == -ENOENT) {
		r = kernel->kvm_probe(kernel->ctx, jail_uid, &verdict);
		if (r >= 0)
			r = kernel->verdict_save(kernel->ctx, &verdict);
	}
	(void)pthread_mutex_unlock(&one_probe);
	if (r >= 0)
		*ret = verdict;
	return r;
}

int
probe_kvm_claim(const OpEnv *env, OpCall *call)
{
	int r = ledger_reserve_uid(env->ledger, &call->work.vmm.jail_uid);

	if (r == -EBUSY)
		return op_fail(call, OP_ERROR_BUSY, "too many probes at once; try again");
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

int
probe_kvm_settle(const OpEnv *env, OpCall *call, int result)
{
	ledger_return_uid(env->ledger, call->work.vmm.jail_uid);
	return result;
}
