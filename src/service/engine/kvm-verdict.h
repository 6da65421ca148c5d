/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether KVM serves on this host: asked of the helper once, remembered while this daemon lives. */
#pragma once

#include "service/base/vm-spec.h"
#include "service/ports/privileged.h"

#define BANGER_TYPE_KVM_VERDICT (banger_kvm_verdict_get_type())
G_DECLARE_FINAL_TYPE(BangerKvmVerdict, banger_kvm_verdict, BANGER, KVM_VERDICT, GObject)

/* Signal "changed": the verdict is known now. */
BangerKvmVerdict *banger_kvm_verdict_new(BangerPrivileged *privileged);

/* "" while not known; else "kvm" or "emulation", and why. */
const char *banger_kvm_verdict_get(BangerKvmVerdict *self);
const char *banger_kvm_verdict_get_reason(BangerKvmVerdict *self);

/* Decides what a VM with this setting gets. KVM that was demanded and does not serve is
 * BANGER_ERROR_KVM_UNUSABLE. *ret_reason is the caller's to free. */
void banger_kvm_verdict_decide_async(BangerKvmVerdict *self, BangerAccelerator wanted,
				     GCancellable *cancellable, GAsyncReadyCallback callback,
				     void *data);
bool banger_kvm_verdict_decide_finish(GAsyncResult *result, bool *ret_kvm, char **ret_reason,
				      GError **error);
