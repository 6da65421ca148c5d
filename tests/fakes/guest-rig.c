/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fakes/guest-rig.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/cleanup.h"
#include "shared/base/fd-util.h"
#include "shared/base/io-util.h"

#define BOOT_ID "01234567-89ab-cdef-0123-456789abcdef"

BangerGuestInterface *
rig_iface(const Rig *rig)
{
	return BANGER_GUEST_GET_IFACE(rig->guest);
}

void
rig_turn(void)
{
	for (int i = 0; i < 100 && g_main_context_iteration(NULL, FALSE); i++)
		;
}

static void
on_closed(BangerGuest *guest, const GError *error, Rig *rig)
{
	check(!rig->closed);
	rig->closed = g_strdup(error->message);
}

static void
on_opened(GObject *source, GAsyncResult *result, gpointer data)
{
	Rig *rig = data;
	BangerGuestHello hello = {};
	g_autoptr(GError) error = NULL;

	rig->opened = rig_iface(rig)->open_finish(rig->guest, result, &hello, &error);
	check(rig->opened || error);
}

static void
note(Rig *rig, Request request, bool ok)
{
	rig->answers[request]++;
	check(ok == !rig->errors[request]);
}

static void
on_clock(GObject *source, GAsyncResult *result, gpointer data)
{
	Rig *rig = data;

	note(rig, CLOCK, rig_iface(rig)->set_clock_finish(rig->guest, result, &rig->errors[CLOCK]));
}

static void
on_exec(GObject *source, GAsyncResult *result, gpointer data)
{
	Rig *rig = data;

	note(rig, EXEC,
	     rig_iface(rig)->exec_finish(rig->guest, result, &rig->exec, &rig->errors[EXEC]));
}

static void
on_statistics(GObject *source, GAsyncResult *result, gpointer data)
{
	Rig *rig = data;

	note(rig, STATISTICS,
	     rig_iface(rig)->get_statistics_finish(rig->guest, result, &rig->statistics,
						   &rig->errors[STATISTICS]));
}

static void
on_shutdown(GObject *source, GAsyncResult *result, gpointer data)
{
	Rig *rig = data;

	note(rig, SHUTDOWN,
	     rig_iface(rig)->shutdown_finish(rig->guest, result, &rig->errors[SHUTDOWN]));
}

BnFrame
rig_hear(Rig *rig, BnFrameType type)
{
	static uint8_t in[4 * BN_FRAME_MAX];
	size_t n = 0, at = 0, used = 0;
	BnFrame frame = {};

	for (;;) {
		int r = bn_frame_parse(in + at, n - at, &frame, &used);
		ssize_t got;

		check(r >= 0);
		at += used;
		if (r > 0 && frame.type == type)
			return frame;
		if (r > 0)
			continue;
		rig_turn();
		got = recv(rig->far, in + n, sizeof(in) - n, MSG_DONTWAIT);
		check(got > 0 || errno == EAGAIN);
		n += got > 0 ? (size_t)got : 0;
	}
}

void
rig_init(Rig *rig)
{
	BnFrame reset;
	int pair[2];

	*rig = (Rig){ .input = -1, .outputs = -1 };
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	rig->far = pair[1];
	rig->copy = bn_fd_dup(pair[0]);
	rig->opening = g_cancellable_new();
	rig->command = g_cancellable_new();
	rig->guest = banger_guest_agent_new(pair[0]);
	g_signal_connect(rig->guest, "closed", G_CALLBACK(on_closed), rig);
	rig_iface(rig)->open(rig->guest, rig->opening, on_opened, rig);
	reset = rig_hear(rig, BN_FRAME_RESET);
	memcpy(rig->nonce, reset.payload + 4, BN_FRAME_NONCE);
}

void
rig_say(Rig *rig, const void *bytes, size_t size)
{
	uint8_t dropped[65536];

	while (size > 0 && !rig->closed) {
		ssize_t n = send(rig->far, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

		check(n > 0 || errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
		rig_turn();
		while (recv(rig->far, dropped, sizeof(dropped), MSG_DONTWAIT) > 0)
			;
		bytes = (const uint8_t *)bytes + (n > 0 ? n : 0);
		size -= n > 0 ? (size_t)n : 0;
	}
	rig_turn();
}

void
rig_say_frame(Rig *rig, BnFrameType type, uint16_t stream, const void *payload, size_t size)
{
	uint8_t bytes[BN_FRAME_MAX];

	rig_say(rig, bytes, bn_frame_render(bytes, type, stream, payload, size));
}

void
rig_greet(Rig *rig)
{
	BnHello hello = { .version = BN_FRAME_VERSION, .boot_id = BOOT_ID };
	uint8_t payload[BN_HELLO_SIZE];

	memcpy(hello.nonce, rig->nonce, sizeof(hello.nonce));
	bn_hello_render(&hello, payload);
	rig_say_frame(rig, BN_FRAME_HELLO, 0, payload, sizeof(payload));
	check(rig->opened);
}

void
rig_ask(Rig *rig)
{
	const char *argv[] = { "true", NULL }, *none[] = { NULL };
	BangerExecSpec spec = { .argv = argv, .environment = none };
	int in[2], out[2], fds[3];

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) == 0);
	check(g_unix_open_pipe(out, FD_CLOEXEC, NULL));
	rig->input = in[1];
	rig->outputs = out[0];
	check_int(bn_fd_set_nonblock(rig->outputs, true), 0);
	fds[0] = in[0];
	fds[1] = out[1];
	fds[2] = bn_fd_dup(out[1]);
	check_int(bn_io_write_all(rig->input, "input", 5), 0);
	rig_iface(rig)->set_clock(rig->guest, NULL, on_clock, rig);
	(void)rig_iface(rig)->exec(rig->guest, &spec, fds, rig->command, on_exec, rig);
	rig_iface(rig)->get_statistics(rig->guest, on_statistics, rig);
	rig_iface(rig)->shutdown(rig->guest, NULL, on_shutdown, rig);
	(void)rig_hear(rig, BN_FRAME_DATA);
}

void
rig_start(Rig *rig)
{
	rig_init(rig);
	rig_greet(rig);
	rig_ask(rig);
}

void
rig_done(Rig *rig)
{
	bool asked = rig->input >= 0;

	bn_closep(&rig->far);
	rig_turn();
	check(rig->closed);
	for (int i = 0; i < N_REQUESTS; i++) {
		check_int(rig->answers[i], asked ? 1 : 0);
		g_clear_error(&rig->errors[i]);
	}
	bn_closep(&rig->copy);
	bn_closep(&rig->input);
	bn_closep(&rig->outputs);
	g_object_unref(rig->opening);
	g_object_unref(rig->command);
	g_object_unref(rig->guest);
	g_free(rig->closed);
}

void
rig_say_all(Rig *rig, const Said *said, size_t n)
{
	for (size_t i = 0; i < n && said[i].bytes; i++)
		if (said[i].type == 0)
			rig_say(rig, said[i].bytes, said[i].size);
		else
			rig_say_frame(rig, said[i].type, said[i].stream, said[i].bytes,
				      said[i].size);
}

void
rig_check_unanswered(const Rig *rig)
{
	for (int i = 0; i < N_REQUESTS; i++)
		check_int(rig->answers[i], 0);
}
