/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fakes/fake-ports-private.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>

#include "shared/base/cleanup.h"
#include "test.h"

/* Each is all ports at once; which one is a matter of who holds it. */
#define FAKE_TYPE_PORT (fake_port_get_type())
G_DECLARE_FINAL_TYPE(FakePort, fake_port, FAKE, PORT, GObject)

struct _FakePort {
	GObject parent;

	int fd; /* what a constructor took over, or -1 */
};

FakePorts *fake_world;

static void
note(const char *call)
{
	g_string_append_printf(fake_world->log, "%s ", call);
}

/* Notes a call that is answered at once. */
static bool
answer_now(const char *call, GError **error)
{
	note(call);
	if (g_strcmp0(fake_world->fail_call, call) != 0)
		return true;
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_BUSY, "%s failed", call);
	return false;
}

void
fake_ask(void *port, const char *call, GCancellable *cancellable, GAsyncReadyCallback callback,
	 void *data)
{
	GTask *task = g_task_new(port, cancellable, callback, data);

	note(call);
	g_task_set_name(task, call);
	g_task_set_check_cancellable(task, false);
	g_ptr_array_add(fake_world->pending, task);
}

bool
fake_finish(GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}

int
fake_hand_out(void)
{
	int ends[2];

	check_int(pipe2(ends, O_CLOEXEC), 0);
	g_array_append_val(fake_world->peers, ends[1]);
	return ends[0];
}

static void
create(BangerStorage *self, const BangerVmSpec *spec, GCancellable *cancellable,
       GAsyncReadyCallback callback, void *data)
{
	fake_ask(self, "create", cancellable, callback, data);
}

static bool
create_finish(BangerStorage *self, GAsyncResult *result, GError **error)
{
	return fake_finish(result, error);
}

static bool
open_disks(BangerStorage *self, const BangerVmSpec *spec, BangerDisks *ret, GError **error)
{
	if (!answer_now("disks", error))
		return false;
	*ret = (BangerDisks){ .read_only = { true, false }, .n = 2 };
	for (size_t i = 0; i < ret->n; i++)
		ret->fds[i] = fake_hand_out();
	return true;
}

static bool
destroy(BangerStorage *self, const char *vm, GError **error)
{
	return answer_now("destroy", error);
}

static void
fake_storage_init(BangerStorageInterface *iface)
{
	iface->create = create;
	iface->create_finish = create_finish;
	iface->open = open_disks;
	iface->destroy = destroy;
}

static bool
open_kernel(BangerImageStore *self, const char *id, int *ret_kernel, int *ret_initramfs,
	    GError **error)
{
	if (!answer_now("kernel", error))
		return false;
	*ret_kernel = fake_world->kernel = fake_hand_out();
	*ret_initramfs = fake_world->initramfs = fake_hand_out();
	return true;
}

static bool
check_image(BangerImageStore *self, const BangerImageRequest *request, GError **error)
{
	return true;
}

static bool
check_kernel(BangerImageStore *self, const BangerKernelRequest *request, GError **error)
{
	return true;
}

static void
make_image(BangerImageStore *self, BangerImageRequest *request, BangerImageProgress progress,
	   void *progress_data, GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	banger_image_request_free(request);
	fake_ask(self, "make-image", cancellable, callback, data);
}

static BangerImageRow *
make_image_finish(BangerImageStore *self, GAsyncResult *result, GError **error)
{
	BangerImageRow *row = fake_finish(result, error) ? g_new0(BangerImageRow, 1) : NULL;

	if (!row)
		return NULL;
	row->id = g_strdup(FAKE_MADE_ID);
	row->name = g_strdup("made");
	row->digest = g_strdup("");
	row->init = g_strdup("");
	row->source = g_strdup("");
	return row;
}

static void
make_kernel(BangerImageStore *self, BangerKernelRequest *request, BangerImageProgress progress,
	    void *progress_data, GCancellable *cancellable, GAsyncReadyCallback callback,
	    void *data)
{
	banger_kernel_request_free(request);
	fake_ask(self, "make-kernel", cancellable, callback, data);
}

static BangerKernelRow *
make_kernel_finish(BangerImageStore *self, GAsyncResult *result, GError **error)
{
	BangerKernelRow *row = fake_finish(result, error) ? g_new0(BangerKernelRow, 1) : NULL;

	if (!row)
		return NULL;
	row->id = g_strdup(FAKE_MADE_ID);
	row->name = g_strdup("made");
	row->release = g_strdup("");
	row->digest = g_strdup("");
	row->source = g_strdup("");
	return row;
}

static void
sweep(BangerImageStore *self, GHashTable *images, GHashTable *kernels)
{
	fake_world->n_recorded = g_hash_table_size(images) + g_hash_table_size(kernels);
}

static bool
remove_image(BangerImageStore *self, const char *id, GError **error)
{
	return answer_now("remove-image", error);
}

static bool
remove_kernel(BangerImageStore *self, const char *id, GError **error)
{
	return answer_now("remove-kernel", error);
}

static void
fake_images_init(BangerImageStoreInterface *iface)
{
	iface->open_kernel = open_kernel;
	iface->check_image = check_image;
	iface->check_kernel = check_kernel;
	iface->make_image = make_image;
	iface->make_image_finish = make_image_finish;
	iface->make_kernel = make_kernel;
	iface->make_kernel_finish = make_kernel_finish;
	iface->sweep = sweep;
	iface->remove_image = remove_image;
	iface->remove_kernel = remove_kernel;
}

static void
resume(BangerVmm *self, GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	fake_ask(self, "resume", cancellable, callback, data);
}

static bool
resume_finish(BangerVmm *self, GAsyncResult *result, GError **error)
{
	return fake_finish(result, error);
}

static const char *
get_end_reason(BangerVmm *self)
{
	return fake_world->end_reason;
}

static void
fake_vmm_init(BangerVmmInterface *iface)
{
	iface->resume = resume;
	iface->resume_finish = resume_finish;
	iface->get_end_reason = get_end_reason;
}

static void
open_guest(BangerGuest *self, GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	fake_ask(self, "guest-open", cancellable, callback, data);
}

static bool
open_guest_finish(BangerGuest *self, GAsyncResult *result, BangerGuestHello *ret, GError **error)
{
	if (!fake_finish(result, error))
		return false;
	*ret = (BangerGuestHello){ .boot_id = "the-first-boot", .first_us = 1, .hello_us = 2 };
	return true;
}

static void
set_clock(BangerGuest *self, GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	fake_ask(self, "set-clock", cancellable, callback, data);
}

static void
shut_down(BangerGuest *self, GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	fake_ask(self, "shutdown", cancellable, callback, data);
}

static bool
finish_guest(BangerGuest *self, GAsyncResult *result, GError **error)
{
	return fake_finish(result, error);
}

static void
fake_guest_init(BangerGuestInterface *iface)
{
	iface->open = open_guest;
	iface->open_finish = open_guest_finish;
	iface->set_clock = set_clock;
	iface->set_clock_finish = finish_guest;
	iface->shutdown = shut_down;
	iface->shutdown_finish = finish_guest;
}

static void
hold(BangerSession *self, unsigned live)
{
	fake_world->held = live > 0;
}

static bool
ends_processes(BangerSession *self)
{
	return fake_world->session_ends;
}

static void
is_ending(BangerSession *self, GAsyncReadyCallback callback, void *data)
{
	fake_ask(self, "is-ending", /* cancellable= */ NULL, callback, data);
}

static bool
is_ending_finish(BangerSession *self, GAsyncResult *result)
{
	return fake_finish(result, /* error= */ NULL);
}

static void
fake_session_init(BangerSessionInterface *iface)
{
	iface->hold = hold;
	iface->ends_processes = ends_processes;
	iface->is_ending = is_ending;
	iface->is_ending_finish = is_ending_finish;
}

static bool
names_start(BangerNames *self, int udp_fd, int tcp_fd, const BnPrefix *subnet, GError **error)
{
	check_int(subnet->address, FAKE_SUBNET);
	check_int(subnet->length, 22);
	(void)close(udp_fd);
	(void)close(tcp_fd);
	if (g_strcmp0(fake_world->fail_call, "names-start") == 0) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_FAILED, "names-start failed");
		return false;
	}
	fake_world->serves_names = true;
	return true;
}

static void
names_stop(BangerNames *self)
{
	fake_world->serves_names = false;
}

static bool
names_set(BangerNames *self, const char *name, uint32_t address)
{
	(void)g_hash_table_insert(fake_world->names, g_strdup(name),
				  GUINT_TO_POINTER(address - FAKE_SUBNET));
	return true;
}

static void
names_remove(BangerNames *self, const char *name)
{
	(void)g_hash_table_remove(fake_world->names, name);
}

static void
fake_names_init(BangerNamesInterface *iface)
{
	iface->start = names_start;
	iface->stop = names_stop;
	iface->set = names_set;
	iface->remove = names_remove;
}

static char *
name_port(const BnPort *port)
{
	char *text = g_malloc(BN_PORT_SIZE);

	bn_port_render_host(port, text);
	return text;
}

static bool
publish(BangerPublisher *self, const char *vm, const BnPort *port, uint32_t guest, GError **error)
{
	if (!answer_now("publish", error))
		return false;
	if (port->host == fake_world->taken_port) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_BUSY, "%u is in use", port->host);
		return false;
	}
	(void)g_hash_table_insert(fake_world->published, name_port(port),
				  GUINT_TO_POINTER(guest - FAKE_SUBNET));
	return true;
}

static void
withdraw(BangerPublisher *self, const char *vm, const BnPort *port)
{
	g_autofree char *name = name_port(port);

	note("withdraw");
	(void)g_hash_table_remove(fake_world->published, name);
}

static void
fake_publisher_init(BangerPublisherInterface *iface)
{
	iface->publish = publish;
	iface->withdraw = withdraw;
}

static char *
get_last_words(BangerConsole *self)
{
	return g_strdup(fake_world->last_words);
}

static void
fake_console_init(BangerConsoleInterface *iface)
{
	iface->get_last_words = get_last_words;
}

G_DEFINE_FINAL_TYPE_WITH_CODE(
	FakePort, fake_port, G_TYPE_OBJECT,
	G_IMPLEMENT_INTERFACE(BANGER_TYPE_PRIVILEGED, fake_privileged_init) G_IMPLEMENT_INTERFACE(
		BANGER_TYPE_SESSION, fake_session_init) G_IMPLEMENT_INTERFACE(BANGER_TYPE_NAMES,
									      fake_names_init)
		G_IMPLEMENT_INTERFACE(BANGER_TYPE_PUBLISHER, fake_publisher_init)
			G_IMPLEMENT_INTERFACE(BANGER_TYPE_STORAGE, fake_storage_init)
				G_IMPLEMENT_INTERFACE(BANGER_TYPE_IMAGE_STORE, fake_images_init)
					G_IMPLEMENT_INTERFACE(BANGER_TYPE_VMM, fake_vmm_init)
						G_IMPLEMENT_INTERFACE(BANGER_TYPE_GUEST,
								      fake_guest_init)
							G_IMPLEMENT_INTERFACE(BANGER_TYPE_CONSOLE,
									      fake_console_init))

static void
fake_port_finalize(GObject *object)
{
	FakePort *self = FAKE_PORT(object);

	bn_closep(&self->fd);
	fake_world->objects--;
	if ((void *)fake_world->vmm == object)
		fake_world->vmm = NULL;
	if ((void *)fake_world->guest == object)
		fake_world->guest = NULL;
	G_OBJECT_CLASS(fake_port_parent_class)->finalize(object);
}

static void
fake_port_class_init(FakePortClass *klass)
{
	G_OBJECT_CLASS(klass)->finalize = fake_port_finalize;
}

static void
fake_port_init(FakePort *self)
{
	self->fd = -1;
	fake_world->objects++;
}

static void *
port_new(const char *call, int fd)
{
	FakePort *self = g_object_new(FAKE_TYPE_PORT, NULL);

	self->fd = fd;
	if (call)
		note(call);
	return self;
}

static BangerVmm *
vmm_new(int fd)
{
	fake_world->vmm = port_new("vmm-new", fd);
	return fake_world->vmm;
}

static BangerGuest *
guest_new(int fd)
{
	fake_world->guest = port_new("guest-new", fd);
	return fake_world->guest;
}

static BangerConsole *
console_new(const char *vm, int fd, bool fresh)
{
	return port_new(fresh ? "console-new" : "console-again", fd);
}

FakePorts *
fake_ports_new(void)
{
	FakePorts *self = g_new0(FakePorts, 1);

	check(!fake_world);
	fake_world = self;
	self->log = g_string_new(NULL);
	self->pending = g_ptr_array_new_with_free_func(g_object_unref);
	self->peers = g_array_new(FALSE, FALSE, sizeof(int));
	self->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	self->published = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	self->end_reason = "";
	self->ended = "killed";
	self->kvm_usable = true;
	self->ports = (BangerPorts){ .privileged = port_new(NULL, -1),
				     .session = port_new(NULL, -1),
				     .names = port_new(NULL, -1),
				     .publisher = port_new(NULL, -1),
				     .zone = "dev.vm",
				     .storage = port_new(NULL, -1),
				     .images = port_new(NULL, -1),
				     .vmm_new = vmm_new,
				     .guest_new = guest_new,
				     .console_new = console_new };
	return self;
}

void
fake_ports_free(FakePorts *self)
{
	check_int(self->pending->len, 0);
	check_int(fake_ports_count_held(self), 0);
	g_object_unref(self->ports.privileged);
	g_object_unref(self->ports.session);
	g_object_unref(self->ports.names);
	g_object_unref(self->ports.publisher);
	g_object_unref(self->ports.storage);
	g_object_unref(self->ports.images);
	check_int(self->objects, 0);
	for (guint i = 0; i < self->peers->len; i++)
		bn_closep(&g_array_index(self->peers, int, i));
	g_string_free(self->log, TRUE);
	g_ptr_array_unref(self->pending);
	g_hash_table_unref(self->names);
	g_hash_table_unref(self->published);
	g_array_unref(self->peers);
	g_free(self);
	fake_world = NULL;
}

void
fake_ports_settle(FakePorts *self)
{
	while (g_main_context_iteration(NULL, FALSE))
		;
}

static GTask *
find_asked(FakePorts *self, const char *call, guint *ret_index)
{
	for (guint i = 0; i < self->pending->len; i++) {
		GTask *task = g_ptr_array_index(self->pending, i);

		*ret_index = i;
		if (g_str_equal(g_task_get_name(task), call))
			return task;
	}
	return NULL;
}

bool
fake_ports_is_asked(FakePorts *self, const char *call)
{
	guint index;

	return find_asked(self, call, &index) != NULL;
}

bool
fake_ports_is_given_up(FakePorts *self, const char *call)
{
	guint index;
	GTask *task = find_asked(self, call, &index);

	return task && g_cancellable_is_cancelled(g_task_get_cancellable(task));
}

/* The oldest call of that name, which must be there; a reference. */
static GTask *
take_asked(FakePorts *self, const char *call)
{
	guint index = 0;

	if (!find_asked(self, call, &index)) {
		fprintf(stderr, "%s was not asked for: %s\n", call, self->log->str);
		exit(1);
	}
	return g_ptr_array_steal_index(self->pending, index);
}

void
fake_ports_succeed_plain(FakePorts *self, const char *call)
{
	g_autoptr(GTask) task = take_asked(self, call);

	g_task_return_boolean(task, true);
}

void
fake_ports_succeed(FakePorts *self, const char *call)
{
	fake_ports_succeed_plain(self, call);
	fake_ports_settle(self);
}

void
fake_ports_fail(FakePorts *self, const char *call, BangerError code)
{
	GTask *task = take_asked(self, call);

	g_task_return_new_error(task, BANGER_ERROR, code, "%s failed", call);
	g_object_unref(task);
	fake_ports_settle(self);
}

void
fake_ports_end_process(FakePorts *self)
{
	check_int(write(self->process, "", 1), 1);
}

void
fake_ports_close_guest(FakePorts *self)
{
	g_autoptr(GError) error =
		g_error_new_literal(BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE, "it hung up");

	check(self->guest);
	g_signal_emit_by_name(self->guest, "closed", error);
	fake_ports_settle(self);
}

unsigned
fake_ports_count_held(FakePorts *self)
{
	unsigned n = 0;

	for (guint i = 0; i < self->peers->len; i++) {
		struct pollfd peer = { .fd = g_array_index(self->peers, int, i) };

		check(poll(&peer, 1, 0) >= 0);
		n += !(peer.revents & POLLERR);
	}
	return n;
}
