/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The steps of bringing a VM up, carried out through the ports. */
#include "service/base/error.h"
#include "service/engine/launch-run.h"
#include "service/engine/vm-private.h"
#include "shared/base/cleanup.h"
#include "shared/base/log.h"
#include "shared/rules/boot-cmdline.h"

/* No guest takes so long, emulated on a busy host either: this one hangs. */
#define PATIENCE_S 300

/* What one bring-up needs besides the VM. */
typedef struct BringUp {
	BangerPlanFlags flags;
	char *operation;
	GCancellable *outer; /* the caller's */
	gulong outer_handler;
} BringUp;

static void
bring_up_free(BringUp *up)
{
	if (up->outer)
		g_cancellable_disconnect(up->outer, up->outer_handler);
	g_clear_object(&up->outer);
	g_free(up->operation);
	g_free(up);
}

/* One line per stage, so that the way of one operation can be followed, and timed, through all processes. */
static void
stamp(BangerVm *self, const char *stage)
{
	bn_log_info("op=%s vm=%s stage=%s mono_us=%" G_GINT64_FORMAT, self->operation,
		    self->spec->id, stage, g_get_monotonic_time());
}

static void
on_disk_made(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) step = data;
	BangerStorage *storage = BANGER_STORAGE(source);
	g_autoptr(GError) error = NULL;

	if (BANGER_STORAGE_GET_IFACE(storage)->create_finish(storage, result, &error))
		g_task_return_boolean(step, true);
	else
		g_task_return_error(step, g_steal_pointer(&error));
}

static void
on_decided(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) step = data;
	BangerVm *self = g_task_get_task_data(step);
	g_autoptr(GError) error = NULL;
	g_autofree char *reason = NULL;

	if (!banger_kvm_verdict_decide_finish(result, &self->uses_kvm, &reason, &error)) {
		g_task_return_error(step, g_steal_pointer(&error));
		return;
	}
	g_free(self->accelerator_reason);
	self->accelerator_reason = g_steal_pointer(&reason);
	g_task_return_boolean(step, true);
}

static bool
fill_spec(BangerVm *self, BnVmmSpec *ret, GError **error)
{
	bool network = self->spec->reach != BANGER_REACH_NONE;
	BnNetConfig config;
	BnBootCmdline line = {
		.kind = self->spec->vmm,
		.kvm = self->uses_kvm,
		.tsc_khz = self->uses_kvm ? 0 : self->ports->tsc_khz,
		.hostname = self->spec->name,
		.root = BN_BOOT_ROOT_OVERLAY,
		.init = self->spec->use_init ? BN_BOOT_INIT_AUTO : BN_BOOT_INIT_NONE,
	};

	if (network) {
		banger_vm_fill_network(self, &config);
		line.network = &config;
	}
	*ret = (BnVmmSpec){ .kind = self->spec->vmm,
			    .kvm = self->uses_kvm,
			    .network = network,
			    .vcpus = self->spec->vcpus,
			    .memory_bytes = self->spec->memory_bytes,
			    .n_disks = (uint32_t)self->disks.n };
	for (size_t i = 0; i < self->disks.n; i++)
		ret->disk_read_only[i] = self->disks.read_only[i];
	if (bn_boot_cmdline_make(&line, ret->cmdline) < 0) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT,
			    "the kernel command line does not fit");
		return false;
	}
	return true;
}

void
banger_vm_drop_files(BangerVm *self)
{
	bn_closep(&self->kernel_fd);
	bn_closep(&self->initramfs_fd);
	banger_disks_clear(&self->disks);
	banger_tap_clear(&self->tap);
}

/* A launch that is taken back, and why. */
typedef struct Withdrawal {
	GTask *step;
	GError *why;
} Withdrawal;

static void
withdrawal_free(Withdrawal *withdrawal)
{
	g_clear_error(&withdrawal->why);
	g_object_unref(withdrawal->step);
	g_free(withdrawal);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Withdrawal, withdrawal_free)

/* What became of the attempt to leave nothing behind. */
static void
finish_release(BangerVm *self, GAsyncResult *result)
{
	BangerPrivileged *privileged = self->ports->privileged;
	g_autoptr(GError) error = NULL;
	g_autofree char *ended = NULL;

	self->held = !BANGER_PRIVILEGED_GET_IFACE(privileged)
			      ->release_finish(privileged, result, &ended, &error);
	if (self->held)
		bn_log_warning("op=%s vm=%s: " BANGER_VM_NOT_RELEASED "%s", self->operation,
			       self->spec->id, error->message);
	else
		bn_log_info("op=%s vm=%s: the VMM ended: %s", self->operation, self->spec->id,
			    ended);
}

static void
on_withdrawn(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(Withdrawal) withdrawal = data;

	finish_release(g_task_get_task_data(withdrawal->step), result);
	g_task_return_error(withdrawal->step, g_steal_pointer(&withdrawal->why));
}

/* Whether it may have come to something although there is no VMM to show for it: giving up the wait does not take a
 * request back, and an answer can be lost. A refusal is not one of these. */
static bool
may_have_launched(const GError *error)
{
	static const BangerError codes[] = { BANGER_ERROR_ABORTED, BANGER_ERROR_FAILED,
					     BANGER_ERROR_TIMED_OUT };

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
		if (g_error_matches(error, BANGER_ERROR, codes[i]))
			return true;
	return banger_error_is_cancelled(error);
}

/* Of one VM the helper does one thing after the other, so this comes behind the launch. */
static void
withdraw_launch(BangerVm *self, GTask *step, GError *why)
{
	Withdrawal *withdrawal = g_new0(Withdrawal, 1);

	withdrawal->step = g_object_ref(step);
	withdrawal->why = why;
	BANGER_PRIVILEGED_GET_IFACE(self->ports->privileged)
		->release(self->ports->privileged, self->spec->id, self->operation, on_withdrawn,
			  withdrawal);
}

/* What a damaged or a changed file leads to is no mistake in what the user asked for. */
static void
return_refusal(GTask *step, GError *error)
{
	if (g_error_matches(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT)) {
		error->code = BANGER_ERROR_FAILED;
		g_prefix_error(&error, "banger-helper does not take it: ");
	}
	g_task_return_error(step, error);
}

static void
on_launched(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) step = data;
	BangerVm *self = g_task_get_task_data(step);
	BangerPrivileged *privileged = BANGER_PRIVILEGED(source);
	g_auto(BangerVmmHandles) handles = BANGER_VMM_HANDLES_INIT;
	g_autoptr(GError) error = NULL;

	/* The VMM has its own copies now, or there is none. */
	banger_vm_drop_files(self);
	if (!BANGER_PRIVILEGED_GET_IFACE(privileged)
		     ->launch_finish(privileged, result, &handles, &error)) {
		/* Of a VMM that we know nothing of: to be looked for. */
		self->held = banger_error_is_already_exists(error);
		if (may_have_launched(error))
			withdraw_launch(self, step, g_steal_pointer(&error));
		else
			return_refusal(step, g_steal_pointer(&error));
		return;
	}
	stamp(self, "launched");
	banger_vm_attach(self, &handles, /* fresh= */ true);
	g_task_return_boolean(step, true);
}

static void
run_launch(BangerVm *self, GTask *step)
{
	BnVmmSpec spec;
	BangerLaunch launch = { .vm = self->spec->id,
				.operation = self->operation,
				.spec = &spec,
				.kernel = self->kernel_fd,
				.initramfs = self->initramfs_fd,
				.network = self->tap.fd };
	GError *error = NULL;

	if (!fill_spec(self, &spec, &error)) {
		g_task_return_error(step, error);
		return;
	}
	for (size_t i = 0; i < self->disks.n; i++)
		launch.disks[i] = self->disks.fds[i];
	stamp(self, "launch");
	BANGER_PRIVILEGED_GET_IFACE(self->ports->privileged)
		->launch(self->ports->privileged, &launch, g_task_get_cancellable(step),
			 on_launched, g_object_ref(step));
}

void
banger_vm_begin_patience(BangerVm *self, GSourceFunc on_lost)
{
	self->patience = g_timeout_source_new_seconds(PATIENCE_S);
	g_source_set_callback(self->patience, on_lost, self, NULL);
	(void)g_source_attach(self->patience, g_main_context_get_thread_default());
}

void
banger_vm_drop_patience(BangerVm *self)
{
	if (self->patience)
		g_source_destroy(self->patience);
	g_clear_pointer(&self->patience, g_source_unref);
}

static gboolean
on_patience_lost(gpointer data)
{
	BangerVm *self = data;

	self->stuck = g_error_new(
		BANGER_ERROR, BANGER_ERROR_TIMED_OUT,
		"the guest did not come up in %d s: its log shows how far it came", PATIENCE_S);
	g_cancellable_cancel(self->bring_up);
	return G_SOURCE_REMOVE;
}

/* A VM that could not start may be gone before anybody can look into its log. */
static void
tell_last_words(BangerVm *self, GError *error)
{
	g_autofree char *words = NULL, *message = NULL;

	if (!g_error_matches(error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE) || !self->console)
		return;
	words = BANGER_CONSOLE_GET_IFACE(self->console)->get_last_words(self->console);
	if (!words)
		return;
	message = g_steal_pointer(&error->message);
	error->message = g_strdup_printf("%s; its last words: %s", message, words);
}

static void
on_guest_ready(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) step = data;
	BangerGuest *guest = BANGER_GUEST(source);
	BangerVm *self = g_task_get_task_data(step);
	GError *error = NULL;

	banger_vm_drop_patience(self);
	if (BANGER_GUEST_GET_IFACE(guest)->set_clock_finish(guest, result, &error)) {
		g_task_return_boolean(step, true);
		return;
	}
	tell_last_words(self, error);
	g_task_return_error(step, error);
}

static void
on_guest_open(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) step = data;
	BangerVm *self = g_task_get_task_data(step);
	BangerGuest *guest = BANGER_GUEST(source);
	g_autoptr(GError) error = NULL;

	if (!BANGER_GUEST_GET_IFACE(guest)->open_finish(guest, result, &self->hello, &error)) {
		banger_vm_drop_patience(self);
		tell_last_words(self, error);
		g_task_return_error(step, g_steal_pointer(&error));
		return;
	}
	bn_log_info("op=%s vm=%s stage=hello mono_us=%" G_GINT64_FORMAT
		    " guest_us=%" G_GUINT64_FORMAT,
		    self->operation, self->spec->id, g_get_monotonic_time(),
		    self->hello.hello_us - self->hello.first_us);
	/* Whoever waits with a command hands it over now: it is begun as soon as the root is there, which the answer
	 * to our own request says. */
	banger_vm_settle_guest(self, /* error= */ NULL);
	BANGER_GUEST_GET_IFACE(guest)->set_clock(guest, g_task_get_cancellable(step),
						 on_guest_ready, g_object_ref(step));
}

static void
wait_guest(BangerVm *self, GTask *step)
{
	banger_vm_begin_patience(self, on_patience_lost);
	BANGER_GUEST_GET_IFACE(self->guest)
		->open(self->guest, g_task_get_cancellable(step), on_guest_open,
		       g_object_ref(step));
}

static void
run_step(BangerStep kind, GTask *step, void *data)
{
	BangerVm *self = data;
	const BangerPorts *ports = self->ports;
	GCancellable *cancellable = g_task_get_cancellable(step);
	GError *error = NULL;
	bool ok = true;

	g_task_set_task_data(step, self, /* destroy= */ NULL);
	switch (kind) {
	case BANGER_STEP_MAKE_DISK:
		BANGER_STORAGE_GET_IFACE(ports->storage)
			->create(ports->storage, self->spec, cancellable, on_disk_made,
				 g_object_ref(step));
		return;
	case BANGER_STEP_ACCELERATOR:
		banger_kvm_verdict_decide_async(self->kvm, self->spec->accelerator, cancellable,
						on_decided, g_object_ref(step));
		return;
	case BANGER_STEP_KERNEL:
		ok = BANGER_IMAGE_STORE_GET_IFACE(ports->images)
			     ->open_kernel(ports->images, self->spec->kernel, &self->kernel_fd,
					   &self->initramfs_fd, &error);
		break;
	case BANGER_STEP_DISKS:
		ok = BANGER_STORAGE_GET_IFACE(ports->storage)
			     ->open(ports->storage, self->spec, &self->disks, &error);
		break;
	case BANGER_STEP_BRIDGE:
		banger_vm_run_bridge(self, step);
		return;
	case BANGER_STEP_TAP:
		banger_vm_run_tap(self, step);
		return;
	case BANGER_STEP_NAT:
		banger_vm_run_nat(self, step);
		return;
	case BANGER_STEP_PORTS:
		ok = banger_vm_publish(self, &error);
		break;
	case BANGER_STEP_LAUNCH:
		run_launch(self, step);
		return;
	case BANGER_STEP_GUEST:
		wait_guest(self, step);
		return;
	default:
		g_assert_not_reached();
	}
	if (ok)
		g_task_return_boolean(step, true);
	else
		g_task_return_error(step, error);
}

static void
on_released(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) step = data;

	finish_release(g_task_get_task_data(step), result);
	g_task_return_boolean(step, true);
}

static void
undo_step(BangerStep kind, GTask *step, void *data)
{
	BangerVm *self = data;
	g_autoptr(GError) error = NULL;

	g_task_set_task_data(step, self, /* destroy= */ NULL);
	switch (kind) {
	case BANGER_STEP_MAKE_DISK:
		/* A VMM that could not be ended has it open. */
		if (!self->held && !BANGER_STORAGE_GET_IFACE(self->ports->storage)
					    ->destroy(self->ports->storage, self->spec->id, &error))
			bn_log_warning("op=%s vm=%s: its disk could not be removed, ignoring: %s",
				       self->operation, self->spec->id, error->message);
		break;
	case BANGER_STEP_KERNEL:
	case BANGER_STEP_DISKS:
		banger_vm_drop_files(self);
		break;
	case BANGER_STEP_TAP:
		banger_vm_undo_tap(self, step);
		return;
	case BANGER_STEP_PORTS:
		banger_vm_withdraw(self);
		break;
	case BANGER_STEP_LAUNCH:
		banger_vm_detach(self);
		BANGER_PRIVILEGED_GET_IFACE(self->ports->privileged)
			->release(self->ports->privileged, self->spec->id, self->operation,
				  on_released, g_object_ref(step));
		return;
	default:
		break;
	}
	g_task_return_boolean(step, true);
}

static void
report_step(BangerStep kind, size_t index, size_t n, void *data)
{
	static const char *const texts[_BANGER_STEP_MAX] = {
		[BANGER_STEP_MAKE_DISK] = "making its disk",
		[BANGER_STEP_ACCELERATOR] = "looking for KVM",
		[BANGER_STEP_KERNEL] = "loading the kernel",
		[BANGER_STEP_DISKS] = "opening its disks",
		[BANGER_STEP_BRIDGE] = "looking to the network",
		[BANGER_STEP_TAP] = "connecting it",
		[BANGER_STEP_NAT] = "opening its way out",
		[BANGER_STEP_PORTS] = "taking ports of this computer",
		[BANGER_STEP_LAUNCH] = "starting the VMM",
		[BANGER_STEP_GUEST] = "waiting for the guest",
	};
	BangerVm *self = data;

	if (self->progress)
		self->progress(texts[kind], (double)index / (double)n, self->progress_data);
}

static const BangerStepOps step_ops = {
	.run = run_step,
	.undo = undo_step,
	.progress = report_step,
};

/* Nothing went wrong where somebody did not want it any more, and nothing is left of it. */
static void
finish_unwanted(BangerVm *self)
{
	if (self->state == BANGER_VM_STARTING)
		banger_vm_apply(self, BANGER_VM_EV_STOP, /* error= */ NULL);
	banger_vm_apply(self, BANGER_VM_EV_FAIL, /* error= */ NULL);
}

static void
finish_start(BangerVm *self, const GError *error)
{
	bool unwanted = self->state == BANGER_VM_STOPPING || banger_error_is_cancelled(error);

	if (error) {
		/* Whoever waits to run a command hears the cause, not a consequence. */
		banger_vm_settle_guest(self, error);
		if (unwanted && !self->held)
			finish_unwanted(self);
		else
			banger_vm_apply(self,
					self->state == BANGER_VM_STOPPING ? BANGER_VM_EV_DIE
									  : BANGER_VM_EV_FAIL,
					error->message);
		return;
	}
	banger_vm_apply_ready(self);
	banger_vm_settle_guest(self, /* error= */ NULL);
}

static void
on_brought_up(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerVm *self = g_task_get_source_object(task);
	BringUp *up = g_task_get_task_data(task);
	GError *error = NULL;

	(void)banger_launch_run_finish(result, &error);
	if (error && self->stuck) {
		g_clear_error(&error);
		error = g_steal_pointer(&self->stuck);
	}
	g_clear_error(&self->stuck);
	if (error)
		banger_error_convert(error);
	g_clear_object(&self->bring_up);
	if (up->flags & BANGER_PLAN_START)
		finish_start(self, error);
	else
		banger_vm_settle_end(self);
	self->operation = "";
	if (error)
		g_task_return_error(task, error);
	else
		g_task_return_boolean(task, true);
}

static void
on_resumed(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerVmm *vmm = BANGER_VMM(source);
	GError *error = NULL;

	if (BANGER_VMM_GET_IFACE(vmm)->resume_finish(vmm, result, &error))
		g_task_return_boolean(task, true);
	else
		g_task_return_error(task, error);
}

static void
on_outer_cancelled(GCancellable *outer, GCancellable *inner)
{
	g_cancellable_cancel(inner);
}

void
banger_vm_bring_up_async(BangerVm *self, BangerPlanFlags flags, const char *operation,
			 BangerVmProgress progress, void *progress_data, GCancellable *cancellable,
			 GAsyncReadyCallback callback, void *data)
{
	g_autoptr(GTask) task = g_task_new(self, /* cancellable= */ NULL, callback, data);
	BangerPlan plan = banger_launch_plan_make(flags, self->spec);
	BringUp *up = g_new0(BringUp, 1);
	GError *error = NULL;

	up->flags = flags;
	up->operation = g_strdup(operation);
	g_task_set_task_data(task, up, (GDestroyNotify)bring_up_free);
	/* Without its VMM it is paused only until that is released, and cannot be started like any that still runs. */
	if (self->state == BANGER_VM_PAUSED && self->vmm && (flags & BANGER_PLAN_START)) {
		BANGER_VMM_GET_IFACE(self->vmm)->resume(self->vmm, cancellable, on_resumed,
							g_steal_pointer(&task));
		return;
	}
	if ((flags & BANGER_PLAN_START) &&
	    !banger_vm_check_event(self, BANGER_VM_EV_START, &error)) {
		g_task_return_error(task, error);
		return;
	}
	self->operation = up->operation;
	self->fresh = flags & BANGER_PLAN_MAKE;
	self->bring_up = g_cancellable_new();
	self->progress = progress;
	self->progress_data = progress_data;
	if (cancellable) {
		up->outer = g_object_ref(cancellable);
		up->outer_handler =
			g_cancellable_connect(cancellable, G_CALLBACK(on_outer_cancelled),
					      g_object_ref(self->bring_up), g_object_unref);
	}
	if (flags & BANGER_PLAN_START) {
		self->started_us = g_get_real_time();
		banger_vm_apply(self, BANGER_VM_EV_START, /* error= */ NULL);
	}
	banger_launch_run_async(&plan, &step_ops, self, self->bring_up, on_brought_up,
				g_steal_pointer(&task));
}

bool
banger_vm_bring_up_finish(BangerVm *self, GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}
