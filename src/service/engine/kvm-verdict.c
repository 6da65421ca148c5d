/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/engine/kvm-verdict.h"

#include "service/base/error.h"

struct _BangerKvmVerdict {
	GObject parent;

	BangerPrivileged *privileged;
	bool known;
	bool usable;
	char *reason;
};

G_DEFINE_FINAL_TYPE(BangerKvmVerdict, banger_kvm_verdict, G_TYPE_OBJECT)

static guint signal_changed;

/* What one question came to. */
typedef struct Decision {
	BangerAccelerator wanted;
	bool kvm;
	char *reason;
} Decision;

static void
decision_free(Decision *decision)
{
	g_free(decision->reason);
	g_free(decision);
}

static void
banger_kvm_verdict_finalize(GObject *object)
{
	BangerKvmVerdict *self = BANGER_KVM_VERDICT(object);

	g_clear_object(&self->privileged);
	g_free(self->reason);
	G_OBJECT_CLASS(banger_kvm_verdict_parent_class)->finalize(object);
}

static void
banger_kvm_verdict_class_init(BangerKvmVerdictClass *klass)
{
	G_OBJECT_CLASS(klass)->finalize = banger_kvm_verdict_finalize;
	signal_changed = g_signal_new("changed", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0,
				      NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
banger_kvm_verdict_init(BangerKvmVerdict *self)
{
	self->reason = g_strdup("");
}

BangerKvmVerdict *
banger_kvm_verdict_new(BangerPrivileged *privileged)
{
	BangerKvmVerdict *self = g_object_new(BANGER_TYPE_KVM_VERDICT, NULL);

	self->privileged = g_object_ref(privileged);
	return self;
}

const char *
banger_kvm_verdict_get(BangerKvmVerdict *self)
{
	if (!self->known)
		return "";
	return self->usable ? "kvm" : "emulation";
}

const char *
banger_kvm_verdict_get_reason(BangerKvmVerdict *self)
{
	return self->reason;
}

static void
decide(BangerKvmVerdict *self, GTask *task, Decision *decision)
{
	if (decision->wanted == BANGER_ACCELERATOR_KVM && !self->usable) {
		g_task_return_new_error(task, BANGER_ERROR, BANGER_ERROR_KVM_UNUSABLE,
					"KVM does not serve here: %s", self->reason);
		return;
	}
	decision->kvm = self->usable;
	decision->reason = g_strdup(self->reason);
	g_task_return_boolean(task, true);
}

static void
on_probed(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerKvmVerdict *self = g_task_get_source_object(task);
	Decision *decision = g_task_get_task_data(task);
	g_autoptr(GError) error = NULL;
	g_autofree char *reason = NULL;
	bool usable = false;

	if (!BANGER_PRIVILEGED_GET_IFACE(self->privileged)
		     ->probe_kvm_finish(self->privileged, result, &usable, &reason, &error)) {
		/* Who may launch but not probe still gets a VM; and the next start asks again. */
		if (decision->wanted == BANGER_ACCELERATOR_AUTO &&
		    banger_error_is_not_authorized(error)) {
			decision->reason = g_strdup(error->message);
			g_task_return_boolean(task, true);
		} else {
			g_task_return_error(task, g_steal_pointer(&error));
		}
		return;
	}
	self->known = true;
	self->usable = usable;
	g_free(self->reason);
	self->reason = g_steal_pointer(&reason);
	g_signal_emit(self, signal_changed, 0);
	decide(self, task, decision);
}

void
banger_kvm_verdict_decide_async(BangerKvmVerdict *self, BangerAccelerator wanted,
				GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	g_autoptr(GTask) task = g_task_new(self, cancellable, callback, data);
	Decision *decision = g_new0(Decision, 1);

	decision->wanted = wanted;
	g_task_set_task_data(task, decision, (GDestroyNotify)decision_free);
	if (wanted == BANGER_ACCELERATOR_EMULATION) {
		decision->reason = g_strdup("emulation was asked for");
		g_task_return_boolean(task, true);
	} else if (self->known) {
		decide(self, task, decision);
	} else {
		BANGER_PRIVILEGED_GET_IFACE(self->privileged)
			->probe_kvm(self->privileged, cancellable, on_probed,
				    g_steal_pointer(&task));
	}
}

bool
banger_kvm_verdict_decide_finish(GAsyncResult *result, bool *ret_kvm, char **ret_reason,
				 GError **error)
{
	Decision *decision = g_task_get_task_data(G_TASK(result));

	if (!g_task_propagate_boolean(G_TASK(result), error))
		return false;
	*ret_kvm = decision->kvm;
	*ret_reason = g_steal_pointer(&decision->reason);
	return true;
}
