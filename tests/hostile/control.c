/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a VMM may say on its control connection that QEMU does not. */
#include <string.h>
#include <unistd.h>

#include "manners.h"

static bool
control_silent(uint16_t stream)
{
	return false;
}

static bool
control_garbage(uint16_t stream)
{
	send_text(channels.control, "\xff\xfe" ESCAPES "\n{\n");
	return true;
}

static bool
control_endless(uint16_t stream)
{
	send_text(channels.control, "{\"QMP\": \"");
	flood(channels.control, "endless, ", 9);
	return true;
}

static bool
control_nested(uint16_t stream)
{
	flood(channels.control, "[", 1);
	return true;
}

/* Whole, and short enough for a line. */
static bool
control_deep(uint16_t stream)
{
	static char line[60002];

	memset(line, '[', 30000);
	memset(line + 30000, ']', 30000);
	line[60000] = '\n';
	send_text(channels.control, line);
	return true;
}

/* Numbers nobody asked with, answers of no kind, events that mean nothing here: nothing of it is a reason to end. */
static bool
control_strange(uint16_t stream)
{
	send_text(
		channels.control,
		"{\"return\": {}}\n{\"return\": {}, \"id\": 77}\n{\"return\": 1, \"id\": 2}\n"
		"{\"return\": {\"status\": []}, \"id\": 2}\n{\"return\": \"\", \"id\": 3}\n"
		"{\"return\": [1, {\"io-status\": 7}], \"id\": 3}\n{\"error\": {}, \"id\": 4}\n"
		"{\"id\": {}}\n{\"id\": \"2\"}\n{\"id\": null}\n{\"id\": 1e99}\n{\"event\": []}\n"
		"{\"event\": \"VNC_CONNECTED\", \"data\": \"\\u001b[2J\"}\n{}\n"
		"{\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"action\": \"stop\", \"reason\": {}}}\n");
	return true;
}

static bool
control_ended(uint16_t stream)
{
	send_text(channels.control,
		  "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": "
		  "\"guest-shutdown\"}}\n");
	return true;
}

static bool
control_gone(uint16_t stream)
{
	(void)close(channels.control);
	channels.control = -1;
	return false;
}

static bool
hello_paused(uint16_t stream)
{
	send_text(channels.control, "{\"event\": \"STOP\"}\n");
	return false;
}

/* QEMU's words for a disk that failed, and for the guest standing still. */
static bool
command_pauses(uint16_t stream)
{
	send_text(channels.control,
		  "{\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"action\": \"stop\", \"reason\": "
		  "\"\\u001b]0;owned\\u0007\\u001b[2J\"}}\n{\"event\": \"STOP\"}\n");
	return true;
}

static bool
command_flaps(uint16_t stream)
{
	serve(stream);
	flood(channels.control, "{\"event\":\"STOP\"}\n{\"event\":\"RESUME\"}\n", 36);
	return false;
}

static bool
command_chatters(uint16_t stream)
{
	serve(stream);
	flood(channels.control, "{\"event\":\"X\"}\n", 14);
	return false;
}

const Manner control_manners[] = {
	{ "no-greeting", AT_CONTROL, control_silent },
	{ "garbage", AT_CONTROL, control_garbage },
	{ "endless", AT_CONTROL, control_endless },
	{ "nested", AT_CONTROL, control_nested },
	{ "deep", AT_CONTROL, control_deep },
	{ "strange", AT_CONTROL, control_strange },
	{ "ended-in-words", AT_CONTROL, control_ended },
	{ "no-control", AT_CONTROL, control_gone },
	{ "stands-still", AT_HELLO, hello_paused },
	{ "pauses", AT_COMMAND, command_pauses },
	{ "flaps", AT_COMMAND, command_flaps },
	{ "chatters", AT_COMMAND, command_chatters },
	{},
};
