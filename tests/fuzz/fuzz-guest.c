/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest answers → the host's end of the agent channel, with a command, a question and a shutdown under way.
 * Every one of them ends, once, with a result or with words that can be shown. The input is a row of frames, each
 * u8 type, u8 stream, u8 length, bytes; type 255 means the bytes themselves. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/adapters/guest-agent.h"
#include "service/base/error.h"
#include "shared/base/cleanup.h"
#include "shared/base/fd-util.h"
#include "shared/base/io-util.h"
#include "shared/rules/frame.h"

#define RAW       255
#define BOOT_ID   "01234567-89ab-cdef-0123-456789abcdef"
#define INPUT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Rig {
	BangerGuest *guest;
	int far;
	unsigned open, exec, shutdown, statistics, clock; /* answers */
} Rig;

static BangerGuestInterface *
iface(const Rig *rig)
{
	return BANGER_GUEST_GET_IFACE(rig->guest);
}

static void
check_error(bool ok, const GError *error)
{
	assert(ok == !error);
	assert(ok || error->domain == BANGER_ERROR || error->domain == G_IO_ERROR);
	assert(ok || (g_utf8_validate(error->message, -1, NULL) && strlen(error->message) < 8192 &&
		      !strchr(error->message, '\033')));
}

static void
on_open(GObject *source, GAsyncResult *result, gpointer data)
{
	Rig *rig = data;
	BangerGuestHello hello;
	g_autoptr(GError) error = NULL;
	bool ok;

	rig->open++;
	ok = iface(rig)->open_finish(rig->guest, result, &hello, &error);
	check_error(ok, error);
}

static void
on_exec(GObject *source, GAsyncResult *result, gpointer data)
{
	Rig *rig = data;
	BangerExecResult ended = {};
	g_autoptr(GError) error = NULL;
	bool ok;

	rig->exec++;
	ok = iface(rig)->exec_finish(rig->guest, result, &ended, &error);
	check_error(ok, error);
	assert(ended.status <= 255 && ended.signal_number <= 255);
}

static void
on_shutdown(GObject *source, GAsyncResult *result, gpointer data)
{
	Rig *rig = data;
	g_autoptr(GError) error = NULL;
	bool ok;

	rig->shutdown++;
	ok = iface(rig)->shutdown_finish(rig->guest, result, &error);
	check_error(ok, error);
}

static void
on_statistics(GObject *source, GAsyncResult *result, gpointer data)
{
	Rig *rig = data;
	BangerGuestStatistics statistics;
	g_autoptr(GError) error = NULL;
	bool ok;

	rig->statistics++;
	ok = iface(rig)->get_statistics_finish(rig->guest, result, &statistics, &error);
	check_error(ok, error);
}

static void
on_clock(GObject *source, GAsyncResult *result, gpointer data)
{
	Rig *rig = data;
	g_autoptr(GError) error = NULL;
	bool ok;

	rig->clock++;
	ok = iface(rig)->set_clock_finish(rig->guest, result, &error);
	check_error(ok, error);
}

static void
turn(void)
{
	while (g_main_context_iteration(NULL, FALSE))
		;
}

/* Reads and drops what the host says, so that it never waits for us. */
static void
listen_on(Rig *rig)
{
	uint8_t buffer[65536];

	do
		turn();
	while (recv(rig->far, buffer, sizeof(buffer), MSG_DONTWAIT) > 0);
}

static void
answer(Rig *rig, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = send(rig->far, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

		listen_on(rig);
		if (n < 0 && errno != EAGAIN)
			return;
		bytes += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
}

static void
greet(Rig *rig)
{
	uint8_t in[BN_FRAME_MAX * 2], payload[BN_HELLO_SIZE], out[BN_FRAME_MAX];
	BnHello hello = { .version = BN_FRAME_VERSION, .boot_id = BOOT_ID };
	BnFrame frame;
	size_t n = 0, used;

	while (bn_frame_parse(in, n, &frame, &used) != 1) {
		ssize_t got = recv(rig->far, in + n, sizeof(in) - n, MSG_DONTWAIT);

		n += got > 0 ? (size_t)got : 0;
		turn();
	}
	assert(frame.type == BN_FRAME_RESET);
	memcpy(hello.nonce, frame.payload + 4, BN_FRAME_NONCE);
	bn_hello_render(&hello, payload);
	answer(rig, out, bn_frame_render(out, BN_FRAME_HELLO, 0, payload, sizeof(payload)));
	assert(rig->open == 1);
}

static void
ask(Rig *rig, int output)
{
	const char *argv[] = { "true", NULL }, *none[] = { NULL };
	BangerExecSpec spec = { .argv = argv, .environment = none, .tty = false };
	int fds[3], in[2];

	assert(pipe2(in, O_CLOEXEC) == 0);
	fds[0] = in[0];
	fds[1] = dup(output);
	fds[2] = dup(output);
	assert(bn_io_write_all(in[1], "input", 5) == 0);
	(void)close(in[1]);
	iface(rig)->set_clock(rig->guest, NULL, on_clock, rig);
	(void)iface(rig)->exec(rig->guest, &spec, fds, NULL, on_exec, rig);
	iface(rig)->get_statistics(rig->guest, on_statistics, rig);
	iface(rig)->shutdown(rig->guest, NULL, on_shutdown, rig);
	listen_on(rig);
}

static void
play(Rig *rig, const uint8_t *data, size_t size)
{
	uint8_t frame[BN_FRAME_MAX];

	for (size_t at = 0; at + 3 <= size;) {
		size_t length = MIN(data[at + 2], size - at - 3);
		const uint8_t *payload = data + at + 3;

		if (data[at] == RAW)
			answer(rig, payload, length);
		else
			answer(rig, frame,
			       bn_frame_render(frame, data[at], data[at + 1], payload, length));
		at += 3 + length;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int output = open("/dev/null", O_WRONLY | O_CLOEXEC);
	Rig rig = {};
	int pair[2];

	if (size > INPUT_MAX)
		return 0;
	(void)signal(SIGPIPE, SIG_IGN);
	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	assert(bn_fd_set_nonblock(pair[0], true) == 0);
	rig.guest = banger_guest_agent_new(pair[0]);
	rig.far = pair[1];
	iface(&rig)->open(rig.guest, NULL, on_open, &rig);
	greet(&rig);
	ask(&rig, output);
	play(&rig, data, size);
	bn_closep(&rig.far);
	while (!rig.clock || !rig.exec || !rig.shutdown || !rig.statistics)
		(void)g_main_context_iteration(NULL, TRUE);
	g_object_unref(rig.guest);
	turn();
	assert(rig.open == 1 && rig.clock == 1 && rig.exec == 1 && rig.shutdown == 1 &&
	       rig.statistics == 1);
	return 0;
}
