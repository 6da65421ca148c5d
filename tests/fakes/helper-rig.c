/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fakes/helper-rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

#include "helper/helper-conf.h"
#include "shared/base/fd-util.h"
#include "test.h"

static int
on_ask(void *ctx, const AuthorityQuestion *question, AuthorityDone *done, void *data,
       void **ret_ticket)
{
	Rig *rig = ctx;
	RigCall *call = rig->asked_next;
	int i = -1;

	/* The rig names each connection after its call. */
	if (sscanf(question->sender, ":%d", &i) == 1 && i >= 0 && i < rig->n_calls)
		call = &rig->calls[i];
	check(call);
	call->is_asked = true;
	call->done = done;
	call->data = data;
	(void)snprintf(call->action, sizeof(call->action), "%s", question->action);
	(void)snprintf(call->vm, sizeof(call->vm), "%s", question->vm);
	(void)snprintf(call->object, sizeof(call->object), "%s", question->object);
	*ret_ticket = call;
	return 0;
}

static void
on_cancel(void *ctx, void *ticket)
{
	RigCall *call = ticket;

	check(call->is_asked);
	call->is_asked = false;
	call->is_cancelled = true;
}

static void
on_answer(void *ctx, void *message, OpId id, const OpReply *reply, const OpFailure *failure)
{
	RigCall *call = message;

	check(!call->is_answered);
	check_int(call->id, id);
	call->is_answered = true;
	call->order = ++call->rig->n_answers;
	call->error = failure ? failure->error : OP_ERROR_NONE;
	if (failure)
		(void)snprintf(call->text, sizeof(call->text), "%s", failure->text);
	else if (!reply)
		(void)snprintf(call->text, sizeof(call->text), "(nobody)");
	else if (id == OP_RELEASE_VM)
		(void)snprintf(call->text, sizeof(call->text), "%s", reply->release_vm.ended);
	else if (id == OP_RELEASE_USER)
		call->number = reply->release_user.released;
	else if (id == OP_ENSURE_BRIDGE)
		(void)snprintf(call->text, sizeof(call->text), "%s/%u %zu %s",
			       reply->ensure_bridge.address, reply->ensure_bridge.prefix,
			       reply->ensure_bridge.n_dns, reply->ensure_bridge.note);
	else if (id == OP_CREATE_TAP)
		(void)snprintf(call->text, sizeof(call->text), "%s %s %u",
			       reply->create_tap.address, reply->create_tap.mac,
			       reply->create_tap.mtu);
	else if (id == OP_LIST_ALL_RESOURCES)
		call->number = (uint32_t)reply->list_all_resources.n_resources;
	else if (id == OP_LIST_RESOURCES) {
		call->number = (uint32_t)reply->list_resources.n_resources;
		if (call->number > 0)
			(void)snprintf(call->text, sizeof(call->text), "%s",
				       reply->list_resources.resources[0].f3);
	}
}

static void
on_changed(void *ctx)
{
	Rig *rig = ctx;

	rig->n_changed++;
}

static void
start(Rig *rig)
{
	DispatchSetup setup = {
		.authority = { .ctx = rig, .ask = on_ask, .cancel = on_cancel },
		.transport = { .ctx = rig, .answer = on_answer, .changed = on_changed },
	};
	unsigned damaged = 0;

	check_int(ledger_open(rig->directory, &rig->ledger, &damaged), 0);
	check_int(damaged, 0);
	check_int(net_ledger_open(rig->directory, rig->directory, &rig->net, &damaged), 0);
	check_int(damaged, 0);
	check_int(workers_new(&rig->workers, &rig->event), 0);
	setup.env =
		(OpEnv){ .ledger = rig->ledger, .net = rig->net, .kernel = &rig->kernel.kernel };
	helper_conf_init(&setup.env.limits);
	setup.env.limits.vms_per_user = 4;
	setup.workers = rig->workers;
	setup.calls_max = RIG_CALLS_AT_ONCE;
	check_int(dispatch_new(&setup, &rig->dispatch), 0);
}

static void
stop(Rig *rig)
{
	rig->workers = workers_free(rig->workers);
	rig->dispatch = dispatch_free(rig->dispatch);
	rig->ledger = ledger_free(rig->ledger);
	rig->net = net_ledger_free(rig->net);
}

void
rig_init(Rig *rig)
{
	char disk[80];

	memset(rig, 0, sizeof(*rig));
	strcpy(rig->directory, "/tmp/banger-test-XXXXXX");
	check(mkdtemp(rig->directory));
	fake_kernel_init(&rig->kernel);
	rig->kernel_fd = bn_fd_memfd_new("kernel", "k", 1);
	rig->initramfs_fd = bn_fd_memfd_new("initramfs", "i", 1);
	(void)snprintf(disk, sizeof(disk), "%s/disk", rig->directory);
	rig->disk_fd = open(disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	check(rig->disk_fd >= 0 && ftruncate(rig->disk_fd, 1 << 20) == 0);
	start(rig);
}

void
rig_restart(Rig *rig)
{
	stop(rig);
	start(rig);
}

static void
remove_directory(const char *path)
{
	struct dirent *e;
	DIR *d = opendir(path);

	/* A test may have taken it away. */
	if (!d)
		return;
	while ((e = readdir(d)))
		(void)unlinkat(dirfd(d), e->d_name, 0);
	(void)closedir(d);
	check_int(rmdir(path), 0);
}

void
rig_done(Rig *rig)
{
	static const char *const parts[] = { "/net", "/leases", "" };

	stop(rig);
	fake_kernel_done(&rig->kernel);
	bn_closep(&rig->kernel_fd);
	bn_closep(&rig->initramfs_fd);
	bn_closep(&rig->disk_fd);
	for (size_t i = 0; i < BN_ELEMENTSOF(parts); i++) {
		char path[80];

		(void)snprintf(path, sizeof(path), "%s%s", rig->directory, parts[i]);
		remove_directory(path);
	}
}

static OpArgs
dup_launch(const OpLaunchVmmArgs *args)
{
	OpArgs copy = { .launch_vmm = *args };
	OpLaunchVmmArgs *c = &copy.launch_vmm;

	c->vm = strdup(args->vm);
	c->operation = strdup(args->operation);
	c->vmm = strdup(args->vmm);
	c->cmdline = strdup(args->cmdline);
	c->kernel = bn_fd_dup(args->kernel);
	c->initramfs = bn_fd_dup(args->initramfs);
	for (size_t i = 0; i < args->n_disks; i++)
		c->disks[i] = bn_fd_dup(args->disks[i]);
	for (size_t i = 0; i < args->n_network; i++)
		c->network[i] = bn_fd_dup(args->network[i]);
	return copy;
}

/* As reading a message makes them. */
static OpArgs
dup_args(OpId id, const OpArgs *args)
{
	OpArgs copy = *args;

	switch (id) {
	case OP_LAUNCH_VMM:
		return dup_launch(&args->launch_vmm);
	case OP_OPEN_VMM:
		copy.open_vmm.vm = strdup(args->open_vmm.vm);
		copy.open_vmm.operation = strdup(args->open_vmm.operation);
		return copy;
	case OP_SIGNAL_VMM:
		copy.signal_vmm.vm = strdup(args->signal_vmm.vm);
		copy.signal_vmm.operation = strdup(args->signal_vmm.operation);
		return copy;
	case OP_RELEASE_VM:
		copy.release_vm.vm = strdup(args->release_vm.vm);
		copy.release_vm.operation = strdup(args->release_vm.operation);
		return copy;
	case OP_ENSURE_BRIDGE:
		copy.ensure_bridge.operation = strdup(args->ensure_bridge.operation);
		return copy;
	case OP_REMOVE_BRIDGE:
		copy.remove_bridge.operation = strdup(args->remove_bridge.operation);
		return copy;
	case OP_ENABLE_NAME_ROUTING:
		copy.enable_name_routing.operation = strdup(args->enable_name_routing.operation);
		return copy;
	case OP_DISABLE_NAME_ROUTING:
		copy.disable_name_routing.operation = strdup(args->disable_name_routing.operation);
		return copy;
	case OP_CREATE_TAP:
		copy.create_tap.vm = strdup(args->create_tap.vm);
		copy.create_tap.operation = strdup(args->create_tap.operation);
		return copy;
	case OP_DELETE_TAP:
		copy.delete_tap.vm = strdup(args->delete_tap.vm);
		copy.delete_tap.operation = strdup(args->delete_tap.operation);
		return copy;
	case OP_SET_PEER:
		copy.set_peer.vm = strdup(args->set_peer.vm);
		copy.set_peer.operation = strdup(args->set_peer.operation);
		return copy;
	case OP_ENABLE_NAT:
		copy.enable_nat.vm = strdup(args->enable_nat.vm);
		copy.enable_nat.operation = strdup(args->enable_nat.operation);
		return copy;
	case OP_DISABLE_NAT:
		copy.disable_nat.vm = strdup(args->disable_nat.vm);
		copy.disable_nat.operation = strdup(args->disable_nat.operation);
		return copy;
	default:
		return copy;
	}
}

RigCall *
rig_submit(Rig *rig, OpId id, const OpArgs *args, uid_t uid, const char *sender)
{
	RigCall *call = &rig->calls[rig->n_calls];
	Caller caller = { .uid = uid, .may_ask = true };
	OpArgs copy = dup_args(id, args);

	check(rig->n_calls < RIG_CALLS_MAX);
	call->id = id;
	call->rig = rig;
	if (sender)
		(void)snprintf(caller.sender, sizeof(caller.sender), "%s", sender);
	else
		(void)snprintf(caller.sender, sizeof(caller.sender), ":%d", rig->n_calls);
	rig->n_calls++;
	rig->asked_next = call;
	dispatch_submit(rig->dispatch, id, &copy, &caller, call);
	return call;
}

/* Good until the next one is made. */
static const char *
vm_id(char c)
{
	static char id[BN_ID_LENGTH + 1];

	memset(id, c, BN_ID_LENGTH);
	return id;
}

RigCall *
rig_launch(Rig *rig, uid_t uid, char vm)
{
	OpArgs args = { .launch_vmm = { .vm = vm_id(vm),
					.operation = "",
					.vmm = "qemu-q35",
					.vcpus = 1,
					.memory = 128 * BN_MIB,
					.cmdline = "quiet",
					.kernel = rig->kernel_fd,
					.initramfs = rig->initramfs_fd,
					.disks = { rig->kernel_fd },
					.n_disks = 0 } };

	return rig_submit(rig, OP_LAUNCH_VMM, &args, uid, NULL);
}

RigCall *
rig_call(Rig *rig, OpId id, uid_t uid, char vm)
{
	OpArgs args = {};

	if (id == OP_OPEN_VMM)
		args.open_vmm = (OpOpenVmmArgs){ .vm = vm_id(vm), .operation = "" };
	else if (id == OP_SIGNAL_VMM)
		args.signal_vmm =
			(OpSignalVmmArgs){ .vm = vm_id(vm), .operation = "", .signal = 15 };
	else if (id == OP_RELEASE_VM)
		args.release_vm = (OpReleaseVmArgs){ .vm = vm_id(vm), .operation = "" };
	else if (id == OP_DELETE_TAP)
		args.delete_tap = (OpDeleteTapArgs){ .vm = vm_id(vm), .operation = "" };
	else if (id == OP_DISABLE_NAT)
		args.disable_nat = (OpDisableNatArgs){ .vm = vm_id(vm), .operation = "" };
	return rig_submit(rig, id, &args, uid, NULL);
}

RigCall *
rig_launch_held(Rig *rig, uid_t uid)
{
	RigCall *launch;

	rig_init(rig);
	rig->hold_questions = true;
	launch = rig_launch(rig, uid, 'a');
	rig_settle(rig);
	fake_kernel_hold(&rig->kernel, "aaaa");
	rig_decide(launch, AUTHORITY_YES);
	fake_kernel_wait_held(&rig->kernel);
	return launch;
}

RigCall *
rig_bridge(Rig *rig, OpId id, uid_t uid)
{
	OpArgs args = {};

	if (id == OP_ENSURE_BRIDGE)
		args.ensure_bridge.operation = "";
	else if (id == OP_ENABLE_NAME_ROUTING)
		args.enable_name_routing.operation = "";
	else if (id == OP_DISABLE_NAME_ROUTING)
		args.disable_name_routing.operation = "";
	else
		args.remove_bridge.operation = "";
	return rig_submit(rig, id, &args, uid, NULL);
}

RigCall *
rig_tap(Rig *rig, uid_t uid, char vm, uint32_t host, bool peer)
{
	OpArgs args = { .create_tap = {
				.vm = vm_id(vm), .operation = "", .host = host, .peer = peer } };

	return rig_submit(rig, OP_CREATE_TAP, &args, uid, NULL);
}

RigCall *
rig_peer(Rig *rig, uid_t uid, char vm, bool peer)
{
	OpArgs args = { .set_peer = { .vm = vm_id(vm), .operation = "", .peer = peer } };

	return rig_submit(rig, OP_SET_PEER, &args, uid, NULL);
}

RigCall *
rig_nat(Rig *rig, uid_t uid, char vm, bool lan)
{
	OpArgs args = { .enable_nat = { .vm = vm_id(vm), .operation = "", .lan = lan } };

	return rig_submit(rig, OP_ENABLE_NAT, &args, uid, NULL);
}

void
rig_decide(RigCall *call, AuthorityAnswer answer)
{
	AuthorityDone *done = call->done;

	check(call->is_asked);
	call->is_asked = false;
	done(call->data, answer);
}

void
rig_wait(Rig *rig)
{
	struct pollfd p = { .fd = rig->event, .events = POLLIN };

	check_int(poll(&p, 1, -1), 1);
	workers_dispatch(rig->workers);
}

void
rig_settle(Rig *rig)
{
	bool again = true;

	while (again) {
		again = false;
		for (int i = 0; !rig->hold_questions && i < rig->n_calls; i++)
			if (rig->calls[i].is_asked) {
				rig_decide(&rig->calls[i], rig->answer);
				again = true;
			}
		if (!workers_is_idle(rig->workers)) {
			rig_wait(rig);
			again = true;
		}
	}
}

const char *
rig_result(const RigCall *call)
{
	const char *name = op_error_name(call->error);

	if (!call->is_answered)
		return "(none)";
	return name ? strrchr(name, '.') + 1 : "ok";
}

void
rig_check_true(Rig *rig)
{
	LedgerEntry *entries = NULL;
	size_t n = 0;

	check_int(ledger_dup(rig->ledger, LEDGER_ALL, &entries, &n), 0);
	for (size_t i = 0; i < n; i++) {
		char key[BN_DERIVE_KEY_SIZE], path[200];
		struct stat st;

		bn_derive_key(entries[i].uid, entries[i].vm, key);
		(void)snprintf(path, sizeof(path), "%s/%s", rig->directory, key);
		check_int(lstat(path, &st), 0);
	}
	free(entries);
	/* Every jail is somebody's: the ledger may know more than there is, never less. */
	for (size_t i = 0; i < rig->kernel.n; i++) {
		char vm[BN_ID_LENGTH + 1];
		unsigned uid;

		check_int(sscanf(rig->kernel.jails[i].key, "%u-%32s", &uid, vm), 2);
		check(ledger_find(rig->ledger, uid, vm));
		check_int(ledger_find(rig->ledger, uid, vm)->jail_uid, rig->kernel.jails[i].uid);
	}
}

size_t
rig_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	check(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}
