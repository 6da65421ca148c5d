/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's agent may say, or not, against the rules of the channel. */
#include <string.h>
#include <sys/socket.h>

#include "manners.h"

static bool
hello_mute(uint16_t stream)
{
	return false;
}

static bool
hello_old(uint16_t stream)
{
	greet(0, 0, BN_FRAME_HEADER + BN_HELLO_SIZE + 1);
	return false;
}

static bool
hello_stranger(uint16_t stream)
{
	greet(BN_FRAME_VERSION, 1, BN_FRAME_HEADER + BN_HELLO_SIZE + 1);
	return false;
}

static bool
hello_half(uint16_t stream)
{
	greet(BN_FRAME_VERSION, 0, BN_FRAME_HEADER + BN_HELLO_SIZE / 2);
	(void)shutdown(channels.agent, SHUT_WR);
	return false;
}

static bool
hello_zeros(uint16_t stream)
{
	flood(channels.agent, "\0", 1);
	return false;
}

static bool
hello_noise(uint16_t stream)
{
	flood(channels.agent, "\2\0\0\0\0\100\0\0", 8);
	return false;
}

static bool
hello_hangs_up(uint16_t stream)
{
	send_text(channels.console, "last words " ESCAPES "\n");
	(void)shutdown(channels.agent, SHUT_RDWR);
	return false;
}

/* A later one's. */
static bool
hello_forgets(uint16_t stream)
{
	return sessions == 1;
}

static bool
command_silent(uint16_t stream)
{
	tell("asked");
	return false;
}

static bool
command_half(uint16_t stream)
{
	send_all(channels.agent, "\13\0\1\0\2\0\0\0\0", 9);
	return command_silent(stream);
}

static bool
command_floods(uint16_t stream)
{
	flood(channels.agent, "\5\0\377\377\2\0\0\0\1x\245", 11);
	return false;
}

static bool
command_greets(uint16_t stream)
{
	send_frame(BN_FRAME_HELLO, 0, "", 0);
	return false;
}

static bool
command_asks(uint16_t stream)
{
	send_frame(BN_FRAME_RUN, stream, "", 0);
	return false;
}

static bool
command_oversized(uint16_t stream)
{
	send_all(channels.agent, "\5\0\1\0\1\100\0\0", 8);
	return false;
}

static bool
command_fails(uint16_t stream)
{
	send_frame(BN_FRAME_FAILED, stream, ESCAPES, sizeof(ESCAPES) - 1);
	return false;
}

static bool
command_speaks(uint16_t stream)
{
	send_frame(BN_FRAME_DATA, stream, "\1" ESCAPES, sizeof(ESCAPES));
	send_frame(BN_FRAME_EXITED, stream, "\0\7", 2);
	return false;
}

static bool
command_killed(uint16_t stream)
{
	send_frame(BN_FRAME_EXITED, stream, "\1\11", 2);
	return false;
}

static bool
command_killed_by_none(uint16_t stream)
{
	send_frame(BN_FRAME_EXITED, stream, "\1\101", 2);
	return false;
}

/* More than it has credit for. */
static bool
command_greedy(uint16_t stream)
{
	static uint8_t payload[BN_FRAME_PAYLOAD_MAX] = { BN_CHANNEL_OUT };
	uint8_t frame[BN_FRAME_MAX];

	flood(channels.agent, (char *)frame,
	      bn_frame_render(frame, BN_FRAME_DATA, stream, payload, sizeof(payload)));
	return false;
}

/* A window of output, which is within its credit. */
static bool
command_deaf(uint16_t stream)
{
	static uint8_t payload[BN_FRAME_PAYLOAD_MAX] = { BN_CHANNEL_OUT };

	(void)shutdown(channels.agent, SHUT_RD);
	for (size_t sent = 0; sent + sizeof(payload) <= BN_FRAME_WINDOW; sent += sizeof(payload))
		send_frame(BN_FRAME_DATA, stream, payload, sizeof(payload));
	return false;
}

static bool
command_one_way(uint16_t stream)
{
	(void)shutdown(channels.agent, SHUT_WR);
	return false;
}

static bool
shutdown_sulks(uint16_t stream)
{
	return false;
}

static bool
shutdown_stays(uint16_t stream)
{
	send_frame(BN_FRAME_DONE, stream, "", 0);
	return false;
}

const Manner guest_manners[] = {
	{ "mute", AT_HELLO, hello_mute },
	{ "old", AT_HELLO, hello_old },
	{ "stranger", AT_HELLO, hello_stranger },
	{ "half-greets", AT_HELLO, hello_half },
	{ "zeros", AT_HELLO, hello_zeros },
	{ "noise", AT_HELLO, hello_noise },
	{ "hangs-up", AT_HELLO, hello_hangs_up },
	{ "forgets", AT_HELLO, hello_forgets },
	{ "silent", AT_COMMAND, command_silent },
	{ "half", AT_COMMAND, command_half },
	{ "floods", AT_COMMAND, command_floods },
	{ "greets-twice", AT_COMMAND, command_greets },
	{ "asks", AT_COMMAND, command_asks },
	{ "oversized", AT_COMMAND, command_oversized },
	{ "fails", AT_COMMAND, command_fails },
	{ "speaks", AT_COMMAND, command_speaks },
	{ "killed", AT_COMMAND, command_killed },
	{ "killed-by-none", AT_COMMAND, command_killed_by_none },
	{ "greedy", AT_COMMAND, command_greedy },
	{ "deaf", AT_COMMAND, command_deaf },
	{ "one-way", AT_COMMAND, command_one_way },
	{ "sulks", AT_SHUTDOWN, shutdown_sulks },
	{ "stays", AT_SHUTDOWN, shutdown_stays },
	{},
};
