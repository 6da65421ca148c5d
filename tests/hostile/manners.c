/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VMM and its guest as bangerd meets them: well behaved, but for the one thing that the VM's name says. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "manners.h"

#define BOOT_ID "01234567-89ab-cdef-0123-456789abcdef"

/* Connections so far. */
unsigned sessions;
static const BnFrame *reset;

/* Whoever is gone is heard of elsewhere. */
void
send_all(int sock, const void *data, size_t size)
{
	for (size_t at = 0; at < size;) {
		ssize_t n = send(sock, (const char *)data + at, size - at, MSG_NOSIGNAL);

		if (n < 0)
			return;
		at += (size_t)n;
	}
}

void
send_text(int sock, const char *text)
{
	send_all(sock, text, strlen(text));
}

void
tell(const char *text)
{
	send_text(channels.console, text);
	send_text(channels.console, "\n");
}

void
send_frame(BnFrameType type, uint16_t stream, const void *payload, size_t size)
{
	uint8_t frame[BN_FRAME_MAX];

	send_all(channels.agent, frame, bn_frame_render(frame, type, stream, payload, size));
}

static _Noreturn void
wait_for_ever(void)
{
	for (;;)
		(void)poll(NULL, 0, -1);
}

void
flood(int sock, const char *text, size_t size)
{
	static char block[BLOCK];
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = text[i % size];
	while (send(sock, block, sizeof(block) / size * size, MSG_NOSIGNAL) >= 0)
		if (++n == MUCH)
			tell("takes much");
	tell(strerrorname_np(errno));
}

void
greet(uint16_t version, uint8_t other, size_t size)
{
	BnHello hello = { .version = version, .boot_id = BOOT_ID };
	uint8_t payload[BN_HELLO_SIZE], frame[BN_FRAME_MAX];

	memcpy(hello.nonce, reset->payload + 4, BN_FRAME_NONCE);
	hello.nonce[0] ^= other;
	bn_hello_render(&hello, payload);
	(void)bn_frame_render(frame, BN_FRAME_HELLO, 0, payload, sizeof(payload));
	send_all(channels.agent, frame, size);
}

void
serve(uint16_t stream)
{
	send_frame(BN_FRAME_DATA, stream, "\1served\n", 8);
	send_frame(BN_FRAME_EXITED, stream, "\0\0", 2);
}

static bool
start_absent(uint16_t stream)
{
	wait_for_ever();
}

static bool
start_quits(uint16_t stream)
{
	_exit(0);
}

static bool
start_crashes(uint16_t stream)
{
	return raise(SIGSEGV) == 0;
}

static bool
start_stops(uint16_t stream)
{
	return raise(SIGSTOP) == 0;
}

static bool
start_closes(uint16_t stream)
{
	(void)close(FD_AGENT);
	(void)close(FD_CONTROL);
	wait_for_ever();
}

static bool
start_stays(uint16_t stream)
{
	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_IGN);
	return true;
}

static bool
hello_then_words(uint16_t stream)
{
	(void)close(channels.agent);
	channels.agent = -1;
	flood(channels.console, "words, words\n", 13);
	return false;
}

static bool
hello_quits(uint16_t stream)
{
	_exit(0);
}

static bool
command_babbles(uint16_t stream)
{
	static const char block[BLOCK];

	for (size_t i = 0; i < MUCH; i++)
		send_all(channels.console, block, sizeof(block));
	send_text(channels.console, ESCAPES);
	return true;
}

static bool
command_drops_console(uint16_t stream)
{
	(void)close(channels.console);
	channels.console = -1;
	return true;
}

static bool
command_deserts(uint16_t stream)
{
	(void)close(FD_AGENT);
	(void)close(FD_CONTROL);
	return true;
}

static bool
command_passes(uint16_t stream)
{
	for (int i = 0; i < 100; i++)
		try_pass(NULL);
	return true;
}

static bool
command_panics(uint16_t stream)
{
	send_text(channels.console, "Kernel panic - not syncing: " ESCAPES "\n");
	_exit(1);
}

static bool
command_ends(uint16_t stream)
{
	_exit(1);
}

static const Manner vmm_manners[] = {
	{ "absent", AT_START, start_absent },
	{ "quits", AT_START, start_quits },
	{ "crashes", AT_START, start_crashes },
	{ "stops", AT_START, start_stops },
	{ "closes", AT_START, start_closes },
	{ "stays", AT_START, start_stays },
	{ "talks-and-goes", AT_HELLO, hello_then_words },
	{ "half-reads", AT_HELLO, hello_quits },
	{ "babbles", AT_COMMAND, command_babbles },
	{ "no-console", AT_COMMAND, command_drops_console },
	{ "deserts", AT_COMMAND, command_deserts },
	{ "passes", AT_COMMAND, command_passes },
	{ "panics", AT_COMMAND, command_panics },
	{ "ends", AT_COMMAND, command_ends },
	{ "leaves", AT_COMMAND, start_quits },
	{ "falls", AT_COMMAND, start_crashes },
	{},
};

static const char *manner;

static bool
find(const Manner *m, Point point, uint16_t stream)
{
	for (; m->name; m++)
		if (m->point == point && strcmp(m->name, manner) == 0)
			return !m->act(stream);
	return false;
}

/* True where there is nothing else to be done here. */
static bool
misbehave(Point point, uint16_t stream)
{
	return find(vmm_manners, point, stream) || find(control_manners, point, stream) ||
	       find(guest_manners, point, stream);
}

static void
answer(const BnFrame *frame)
{
	uint8_t lies[48];

	memset(lies, 0xff, sizeof(lies));
	switch (frame->type) {
	case BN_FRAME_RESET:
		reset = frame;
		if (!misbehave(AT_HELLO, 0))
			greet(BN_FRAME_VERSION, 0, BN_FRAME_HEADER + BN_HELLO_SIZE + 1);
		break;
	case BN_FRAME_CLOCK:
		send_frame(BN_FRAME_DONE, frame->stream, "", 0);
		break;
	case BN_FRAME_RUN:
		if (!misbehave(AT_COMMAND, frame->stream))
			serve(frame->stream);
		break;
	case BN_FRAME_SIGNAL:
		tell("signalled");
		break;
	case BN_FRAME_HANGUP:
		tell("nobody listens");
		break;
	case BN_FRAME_QUERY:
		send_frame(BN_FRAME_STATUS, frame->stream, lies, sizeof(lies));
		break;
	case BN_FRAME_SHUTDOWN:
		if (misbehave(AT_SHUTDOWN, frame->stream))
			break;
		send_frame(BN_FRAME_DONE, frame->stream, "", 0);
		_exit(0);
	default:
		break;
	}
}

/* True while the host is there. */
static bool
hear_agent(void)
{
	static uint8_t in[4 * BN_FRAME_MAX];
	static size_t size;
	ssize_t n = read(channels.agent, in + size, sizeof(in) - size);
	size_t used = 0, at = 0;
	BnFrame frame;

	if (n <= 0) {
		size = 0;
		return false;
	}
	size += (size_t)n;
	while (bn_frame_parse(in + at, size - at, &frame, &used) > 0) {
		answer(&frame);
		at += used;
	}
	/* Zeros in front of what is not there yet. */
	at += used;
	size -= at;
	memmove(in, in + at, size);
	return true;
}

/* All of its commands are answered alike, as by a guest that runs; the one that would let it go on never is. */
static bool
hear_control(void)
{
	char text[4096], said[128];
	ssize_t n = read(channels.control, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *id = strstr(line, "\"id\":");

		if (strstr(line, "\"cont\""))
			continue;
		(void)snprintf(said, sizeof(said),
			       "{\"return\": {\"status\": \"running\"}, \"id\": %d}\n",
			       id ? atoi(id + 5) : 0);
		send_text(channels.control, said);
	}
	return true;
}

/* Until the host has closed both. */
static void
hear(void)
{
	bool agent = true, control = true;

	while (agent || control) {
		struct pollfd fds[] = {
			{ .fd = agent ? channels.agent : -1, .events = POLLIN },
			{ .fd = control ? channels.control : -1, .events = POLLIN },
		};

		(void)poll(fds, 2, -1);
		if (fds[0].revents)
			agent = hear_agent();
		if (fds[1].revents)
			control = hear_control();
	}
}

_Noreturn void
behave(const char *name)
{
	manner = name;
	(void)misbehave(AT_START, 0);
	channels.console = accept(FD_CONSOLE, NULL, NULL);
	channels.out = fopen("/dev/null", "w");
	send_text(channels.console, "console " ESCAPES "\n");
	for (;;) {
		channels.agent = accept(FD_AGENT, NULL, NULL);
		channels.control = accept(FD_CONTROL, NULL, NULL);
		sessions++;
		if (!misbehave(AT_CONTROL, 0))
			send_text(channels.control, "{\"QMP\": {}}\n");
		hear();
		(void)close(channels.agent);
		(void)close(channels.control);
	}
}
