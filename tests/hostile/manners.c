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

#include "hostile.h"
#include "shared/rules/frame.h"

#define BOOT_ID "01234567-89ab-cdef-0123-456789abcdef"
/* What a terminal would obey: its title, clearing, a colour by a byte that is no UTF-8. */
#define ESCAPES                                                                                    \
	"\033]0;owned\a\033[2J\x9b"                                                                \
	"31m"

static const char *manner;

static bool
is(const char *name)
{
	return strcmp(manner, name) == 0;
}

/* Whoever is gone is heard of elsewhere. */
static void
send_all(int sock, const void *data, size_t size)
{
	for (size_t at = 0; at < size;) {
		ssize_t n = send(sock, (const char *)data + at, size - at, MSG_NOSIGNAL);

		if (n < 0)
			return;
		at += (size_t)n;
	}
}

static void
send_text(int sock, const char *text)
{
	send_all(sock, text, strlen(text));
}

static void
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

/* For as long as somebody takes it. */
static _Noreturn void
flood(int sock, const char *text, size_t size)
{
	static char block[65536];

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = text[i % size];
	while (send(sock, block, sizeof(block) / size * size, MSG_NOSIGNAL) >= 0)
		;
	wait_for_ever();
}

static void
greet(const BnFrame *reset)
{
	BnHello hello = { .version = is("old") ? 0 : BN_FRAME_VERSION, .boot_id = BOOT_ID };
	uint8_t payload[BN_HELLO_SIZE];

	if (is("zeros"))
		flood(channels.agent, "\0", 1);
	if (is("noise"))
		flood(channels.agent, "\2\0\0\0\0\100\0\0", 8);
	if (is("talks-and-goes"))
		(void)close(channels.agent);
	if (is("talks-and-goes"))
		flood(channels.console, "words, words\n", 13);
	if (is("hangs-up")) {
		send_text(channels.console, "last words " ESCAPES "\n");
		(void)shutdown(channels.agent, SHUT_RDWR);
	}
	if (is("mute") || is("hangs-up"))
		return;
	memcpy(hello.nonce, reset->payload + 4, BN_FRAME_NONCE);
	hello.nonce[0] ^= is("stranger");
	bn_hello_render(&hello, payload);
	send_frame(BN_FRAME_HELLO, 0, payload, sizeof(payload));
}

/* A window of output, which is within its credit. */
static void
send_much(uint16_t stream)
{
	static uint8_t payload[BN_FRAME_PAYLOAD_MAX] = { BN_CHANNEL_OUT };

	for (size_t sent = 0; sent + sizeof(payload) <= BN_FRAME_WINDOW; sent += sizeof(payload))
		send_frame(BN_FRAME_DATA, stream, payload, sizeof(payload));
}

/* QEMU's words for a disk that failed, and for the guest standing still. */
static void
send_pause(void)
{
	send_text(channels.control,
		  "{\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"action\": \"stop\", \"reason\": "
		  "\"\\u001b]0;owned\\u0007\\u001b[2J\"}}\n{\"event\": \"STOP\"}\n");
}

/* A command, until it should begin; true where it goes on as any other. */
static bool
begin(uint16_t stream)
{
	if (is("half"))
		send_all(channels.agent, "\13\0\1\0\2\0\0\0\0", 9);
	if (is("silent") || is("half"))
		return false;
	if (is("twice"))
		send_frame(BN_FRAME_HELLO, 0, "", 0);
	if (is("asks"))
		send_frame(BN_FRAME_RUN, stream, "", 0);
	if (is("fails"))
		send_frame(BN_FRAME_FAILED, stream, ESCAPES, sizeof(ESCAPES) - 1);
	if (is("deaf")) {
		(void)shutdown(channels.agent, SHUT_RD);
		send_much(stream);
		return false;
	}
	return !is("twice") && !is("asks") && !is("fails");
}

static void
run(uint16_t stream)
{
	if (!begin(stream))
		return;
	if (is("pauses"))
		send_pause();
	if (is("flaps"))
		flood(channels.control, "{\"event\":\"STOP\"}\n{\"event\":\"RESUME\"}\n", 36);
	if (is("long"))
		flood(channels.control, "{\"long\": ", 9);
	if (is("panics"))
		send_text(channels.console, "Kernel panic - not syncing: " ESCAPES "\n");
	if (is("panics") || is("ends"))
		_exit(1);
	for (int i = 0; i < 100 && is("passes"); i++)
		try_pass(NULL);
	send_frame(BN_FRAME_DATA, stream, "\1served\n", 8);
	send_frame(BN_FRAME_EXITED, stream, "\0\0", 2);
}

static void
answer(const BnFrame *frame)
{
	uint8_t lies[48];

	memset(lies, 0xff, sizeof(lies));
	switch (frame->type) {
	case BN_FRAME_RESET:
		greet(frame);
		break;
	case BN_FRAME_CLOCK:
		send_frame(BN_FRAME_DONE, frame->stream, "", 0);
		break;
	case BN_FRAME_RUN:
		run(frame->stream);
		break;
	case BN_FRAME_QUERY:
		send_frame(BN_FRAME_STATUS, frame->stream, lies, sizeof(lies));
		break;
	case BN_FRAME_SHUTDOWN:
		send_frame(BN_FRAME_DONE, frame->stream, "", 0);
		if (!is("stays"))
			_exit(0);
		break;
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
	if (is("absent"))
		wait_for_ever();
	for (int i = 1; i < NSIG && is("stays"); i++)
		(void)signal(i, SIG_IGN);
	channels.console = accept(FD_CONSOLE, NULL, NULL);
	channels.out = fopen("/dev/null", "w");
	send_text(channels.console, "console " ESCAPES "\n");
	for (;;) {
		channels.agent = accept(FD_AGENT, NULL, NULL);
		channels.control = accept(FD_CONTROL, NULL, NULL);
		send_text(channels.control, "{\"QMP\": {}}\n");
		if (is("nested"))
			flood(channels.control, "[", 1);
		hear();
		(void)close(channels.agent);
		(void)close(channels.control);
	}
}
