/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/vmm-qemu.h"

#include <errno.h>
#include <glib-unix.h>
#include <json-glib/json-glib.h>
#include <sys/socket.h>

#include "service/base/error.h"
#include "shared/base/cleanup.h"
#include "shared/base/log.h"
#include "shared/base/str-util.h"

/* A jail may be taken over by its guest, so QMP is a hostile stream too: nothing of QEMU's that we listen
 * for is longer. */
#define MESSAGE_MAX 65536
/* Objects and arrays in one of them. The parser calls itself for each that lies in another. */
#define CONTAINERS_MAX 1000

/* What our commands are told apart by in QEMU's answers. */
enum { ID_CAPABILITIES = 1, ID_STATUS, ID_DISKS, ID_CONTINUE };

/* Why the guest's processors stand still, or would if they did. */
typedef enum Cause {
	CAUSE_OTHER, /* no disk is known to have anything to do with it */
	CAUSE_FAILED,
	CAUSE_NO_SPACE,
} Cause;

/* Of QEMU's own words for an error: strerror()'s are shorter. */
#define REASON_MAX 100

struct _BangerVmmQemu {
	GObject parent;

	int fd;
	GSource *source;
	GByteArray *input;
	const char *end_reason;
	Cause cause;  /* by the last error of a disk since the guest ran */
	char *reason; /* in words, safe to show; NULL: not told */
	bool paused;
	bool asking;         /* the guest stood still when we came: which disk is it? */
	GPtrArray *resuming; /* GTask */
	unsigned resumes;    /* how often the guest may still go on: nobody else tells it to */
};

static void banger_vmm_qemu_iface_init(BangerVmmInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE(BangerVmmQemu, banger_vmm_qemu, G_TYPE_OBJECT,
			      G_IMPLEMENT_INTERFACE(BANGER_TYPE_VMM, banger_vmm_qemu_iface_init))

static void
hang_up(BangerVmmQemu *self)
{
	if (self->source) {
		g_source_destroy(self->source);
		g_clear_pointer(&self->source, g_source_unref);
	}
	bn_closep(&self->fd);
	for (guint i = 0; i < self->resuming->len; i++)
		g_task_return_new_error(g_ptr_array_index(self->resuming, i), BANGER_ERROR,
					BANGER_ERROR_VMM_UNAVAILABLE,
					"the VMM's control connection is gone");
	g_ptr_array_set_size(self->resuming, 0);
}

static void
banger_vmm_qemu_dispose(GObject *object)
{
	hang_up(BANGER_VMM_QEMU(object));
	G_OBJECT_CLASS(banger_vmm_qemu_parent_class)->dispose(object);
}

static void
banger_vmm_qemu_finalize(GObject *object)
{
	BangerVmmQemu *self = BANGER_VMM_QEMU(object);

	g_free(self->reason);
	g_byte_array_unref(self->input);
	g_ptr_array_unref(self->resuming);
	G_OBJECT_CLASS(banger_vmm_qemu_parent_class)->finalize(object);
}

static void
banger_vmm_qemu_class_init(BangerVmmQemuClass *klass)
{
	G_OBJECT_CLASS(klass)->dispose = banger_vmm_qemu_dispose;
	G_OBJECT_CLASS(klass)->finalize = banger_vmm_qemu_finalize;
}

static void
banger_vmm_qemu_init(BangerVmmQemu *self)
{
	self->fd = -1;
	self->resumes = 1; /* told by a daemon before this one */
	self->end_reason = "";
	self->input = g_byte_array_new();
	self->resuming = g_ptr_array_new_with_free_func(g_object_unref);
}

/* Commands are a few bytes on an empty socket: one that does not fit at once is a VMM that does not read. */
static void
send_command(BangerVmmQemu *self, const char *command, int id)
{
	g_autoptr(JsonBuilder) builder = json_builder_new_immutable();
	g_autoptr(JsonNode) root = NULL;
	g_autofree char *text = NULL;
	g_autofree char *line = NULL;

	json_builder_begin_object(builder);
	json_builder_set_member_name(builder, "execute");
	json_builder_add_string_value(builder, command);
	json_builder_set_member_name(builder, "id");
	json_builder_add_int_value(builder, id);
	json_builder_end_object(builder);
	root = json_builder_get_root(builder);
	text = json_to_string(root, /* pretty= */ FALSE);
	line = g_strconcat(text, "\n", NULL);
	if (self->fd >= 0 && send(self->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) !=
				     (ssize_t)strlen(line))
		hang_up(self);
}

static const char *
member_string(JsonObject *object, const char *name)
{
	JsonNode *node = object ? json_object_get_member(object, name) : NULL;

	return node && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node)
								       : "";
}

static bool
member_true(JsonObject *object, const char *name)
{
	JsonNode *node = object ? json_object_get_member(object, name) : NULL;

	return node && json_node_get_value_type(node) == G_TYPE_BOOLEAN &&
	       json_node_get_boolean(node);
}

static gint64
member_number(JsonObject *object, const char *name)
{
	JsonNode *node = json_object_get_member(object, name);

	return node && json_node_get_value_type(node) == G_TYPE_INT64 ? json_node_get_int(node) : 0;
}

static JsonObject *
member_object(JsonObject *object, const char *name)
{
	JsonNode *node = object ? json_object_get_member(object, name) : NULL;

	return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static void
set_cause(BangerVmmQemu *self, Cause cause, const char *reason)
{
	self->cause = cause;
	g_free(self->reason);
	self->reason = *reason ? bn_str_escape(reason, strlen(reason), REASON_MAX) : NULL;
}

static GError *
make_why(const BangerVmmQemu *self)
{
	switch (self->cause) {
	case CAUSE_NO_SPACE:
		return g_error_new(
			BANGER_ERROR, BANGER_ERROR_NO_SPACE,
			"the host's disk is full: free some space, then start the VM again");
	case CAUSE_FAILED:
		return g_error_new(BANGER_ERROR, BANGER_ERROR_FAILED,
				   "a disk of the VM failed on the host%s%s",
				   self->reason ? ": " : "", self->reason ? self->reason : "");
	default:
		return g_error_new(BANGER_ERROR, BANGER_ERROR_FAILED,
				   "the VMM was told to pause it: start the VM to go on");
	}
}

static void
set_paused(BangerVmmQemu *self)
{
	g_autoptr(GError) why = make_why(self);

	self->asking = false;
	if (self->paused)
		return;
	self->paused = true;
	g_signal_emit_by_name(self, "paused", why);
}

static void
set_resumed(BangerVmmQemu *self)
{
	set_cause(self, CAUSE_OTHER, "");
	self->asking = false;
	if (!self->paused)
		return;
	self->paused = false;
	g_signal_emit_by_name(self, "resumed");
}

/* qapi/block-core.json, BLOCK_IO_ERROR: an error that only the guest is told does not stop it. */
static void
read_disk_error(BangerVmmQemu *self, JsonObject *data)
{
	if (g_str_equal(member_string(data, "action"), "stop"))
		set_cause(self, member_true(data, "nospace") ? CAUSE_NO_SPACE : CAUSE_FAILED,
			  member_string(data, "reason"));
}

/* qapi/block-core.json, BlockInfo: the event was another daemon's, but each disk remembers. */
static void
read_disks(BangerVmmQemu *self, JsonNode *disks)
{
	JsonArray *array =
		disks && JSON_NODE_HOLDS_ARRAY(disks) ? json_node_get_array(disks) : NULL;

	set_cause(self, CAUSE_FAILED, "");
	for (guint i = 0; array && i < json_array_get_length(array); i++) {
		JsonNode *disk = json_array_get_element(array, i);

		if (JSON_NODE_HOLDS_OBJECT(disk) &&
		    g_str_equal(member_string(json_node_get_object(disk), "io-status"), "nospace"))
			set_cause(self, CAUSE_NO_SPACE, "");
	}
	set_paused(self);
}

/* qapi/run-state.json, RunState. After a restart of the daemon the pause may be long past. */
static void
read_status(BangerVmmQemu *self, const char *status)
{
	if (g_str_equal(status, "io-error")) {
		self->asking = true;
		send_command(self, "query-block", ID_DISKS);
	} else if (g_str_equal(status, "paused")) {
		set_paused(self);
	}
}

/* The reasons of QEMU's SHUTDOWN event: qapi/run-state.json, ShutdownCause. */
static const char *
parse_shutdown(const char *reason)
{
	if (g_str_equal(reason, "guest-panic"))
		return "panic";
	if (g_str_has_prefix(reason, "guest-"))
		return "guest";
	return g_str_has_prefix(reason, "host-") ? "host" : "";
}

/* Told by us only, so each time that it does is accounted for: what follows from one is written to disk and to the
 * bus. */
static bool
read_resume(BangerVmmQemu *self)
{
	if (self->resumes == 0)
		return false;
	self->resumes--;
	set_resumed(self);
	return true;
}

/* False where QEMU would not say this. */
static bool
read_event(BangerVmmQemu *self, const char *event, JsonObject *data)
{
	if (g_str_equal(event, "BLOCK_IO_ERROR"))
		read_disk_error(self, data);
	else if (g_str_equal(event, "STOP"))
		set_paused(self);
	else if (g_str_equal(event, "RESUME"))
		return read_resume(self);
	else if (g_str_equal(event, "SHUTDOWN"))
		self->end_reason = parse_shutdown(member_string(data, "reason"));
	else if (g_str_equal(event, "GUEST_PANICKED"))
		self->end_reason = "panic";
	return true;
}

static void
finish_resume(BangerVmmQemu *self, bool ok)
{
	for (guint i = 0; i < self->resuming->len; i++) {
		GTask *task = g_ptr_array_index(self->resuming, i);

		if (ok)
			g_task_return_boolean(task, true);
		else
			g_task_return_new_error(task, BANGER_ERROR, BANGER_ERROR_INVALID_STATE,
						"the VMM refuses to go on");
	}
	g_ptr_array_set_size(self->resuming, 0);
}

static void
read_answer(BangerVmmQemu *self, gint64 id, JsonObject *answer)
{
	JsonObject *value = member_object(answer, "return");

	switch (id) {
	case ID_CAPABILITIES:
		send_command(self, "query-status", ID_STATUS);
		break;
	case ID_STATUS:
		read_status(self, member_string(value, "status"));
		break;
	case ID_DISKS:
		/* Unless it has gone on meanwhile. */
		if (self->asking)
			read_disks(self, json_object_get_member(answer, "return"));
		break;
	case ID_CONTINUE:
		finish_resume(self, value != NULL);
		break;
	default:
		break;
	}
}

/* Counted wherever they stand, in strings too: telling those apart is the parser's business. */
static bool
is_parsable(const char *line, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += line[i] == '{' || line[i] == '[';
	return n <= CONTAINERS_MAX;
}

static bool
read_message(BangerVmmQemu *self, const char *line, size_t size)
{
	g_autoptr(JsonParser) parser = json_parser_new_immutable();
	JsonNode *root;
	JsonObject *message;

	if (!is_parsable(line, size) ||
	    !json_parser_load_from_data(parser, line, (gssize)size, /* error= */ NULL))
		return false;
	root = json_parser_get_root(parser);
	if (!root || !JSON_NODE_HOLDS_OBJECT(root))
		return false;
	message = json_node_get_object(root);
	if (json_object_has_member(message, "QMP"))
		send_command(self, "qmp_capabilities", ID_CAPABILITIES);
	else if (json_object_has_member(message, "event"))
		return read_event(self, member_string(message, "event"),
				  member_object(message, "data"));
	else
		read_answer(self, member_number(message, "id"), message);
	return true;
}

/* Takes every complete line out of the input. */
static bool
read_lines(BangerVmmQemu *self)
{
	for (;;) {
		const char *start = (const char *)self->input->data;
		const char *end = self->input->len ? memchr(start, '\n', self->input->len) : NULL;
		g_autofree char *line = NULL;
		size_t size;

		if (!end)
			return self->input->len < MESSAGE_MAX;
		size = (size_t)(end - start);
		line = g_strndup(start, size);
		(void)g_byte_array_remove_range(self->input, 0, (guint)size + 1);
		if (!read_message(self, line, size))
			return false;
		if (self->fd < 0)
			return true;
	}
}

static gboolean
on_readable(int fd, GIOCondition condition, gpointer data)
{
	g_autoptr(BangerVmmQemu) self = g_object_ref(data);
	guint8 buffer[4096];
	ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (n > 0) {
		g_byte_array_append(self->input, buffer, (guint)n);
		if (read_lines(self))
			return self->fd >= 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
		bn_log_warning("a VMM does not keep to its control protocol, hanging up");
	}
	/* Its end is told by the process, not by this. */
	hang_up(self);
	return G_SOURCE_REMOVE;
}

BangerVmm *
banger_vmm_qemu_new(int fd)
{
	BangerVmmQemu *self = g_object_new(BANGER_TYPE_VMM_QEMU, NULL);

	self->fd = fd;
	self->source = g_unix_fd_source_new(fd, G_IO_IN | G_IO_HUP);
	g_source_set_callback(self->source, G_SOURCE_FUNC(on_readable), self, NULL);
	(void)g_source_attach(self->source, g_main_context_get_thread_default());
	return BANGER_VMM(self);
}

static void
on_resume_cancelled(GCancellable *cancellable, BangerVmmQemu *self)
{
	for (guint i = self->resuming->len; i > 0 && i <= self->resuming->len; i--) {
		g_autoptr(GTask) task = g_object_ref(g_ptr_array_index(self->resuming, i - 1));

		if (g_task_get_cancellable(task) != cancellable)
			continue;
		(void)g_ptr_array_remove_index(self->resuming, i - 1);
		(void)g_task_return_error_if_cancelled(task);
	}
}

static void
resume(BangerVmm *vmm, GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	BangerVmmQemu *self = BANGER_VMM_QEMU(vmm);
	GTask *task = g_task_new(vmm, cancellable, callback, data);

	if (g_task_return_error_if_cancelled(task)) {
		g_object_unref(task);
		return;
	}
	g_ptr_array_add(self->resuming, task);
	if (self->fd < 0) {
		hang_up(self);
		return;
	}
	self->resumes++;
	if (cancellable)
		g_signal_connect_object(cancellable, "cancelled", G_CALLBACK(on_resume_cancelled),
					self, 0);
	send_command(self, "cont", ID_CONTINUE);
}

static bool
resume_finish(BangerVmm *vmm, GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}

/* The last words may still lie in the socket when the process has gone already. */
static const char *
get_end_reason(BangerVmm *vmm)
{
	BangerVmmQemu *self = BANGER_VMM_QEMU(vmm);

	while (self->fd >= 0 && on_readable(self->fd, G_IO_IN, self) == G_SOURCE_CONTINUE) {
		char byte;

		if (recv(self->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0)
			break;
	}
	return self->end_reason;
}

static void
banger_vmm_qemu_iface_init(BangerVmmInterface *iface)
{
	iface->resume = resume;
	iface->resume_finish = resume_finish;
	iface->get_end_reason = get_end_reason;
}
