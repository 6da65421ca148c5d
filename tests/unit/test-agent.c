/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The real agent's session in another process, and a host that is not ours. */
#include "test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/session.h"
#include "shared/base/io-util.h"
#include "shared/base/macro.h"
#include "shared/rules/frame.h"
#include "shared/rules/limits.h"

static void
say(int fd, BnFrameType type, uint16_t stream, const void *payload, size_t size)
{
	uint8_t bytes[BN_FRAME_MAX];

	check_int(bn_io_write_all(fd, bytes, bn_frame_render(bytes, type, stream, payload, size)),
		  0);
}

static void
reset_agent(int fd)
{
	const uint8_t reset[4 + BN_FRAME_NONCE] = { 1, 0, 1, 0 };

	say(fd, BN_FRAME_RESET, 0, reset, sizeof(reset));
}

/* As where no init is to be asked: nothing comes after it. */
static void
power_off(void *data)
{
	_exit(0);
}

/* Its line; it has been greeted. */
static int
start_agent(pid_t *ret_pid)
{
	int pair[2];

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	*ret_pid = fork();
	if (*ret_pid == 0) {
		(void)close(pair[0]);
		check(fcntl(pair[1], F_SETFL, O_NONBLOCK) == 0);
		_exit(agent_session_run(&(AgentConfig){
			      .fd = pair[1], .ready_fd = -1, .power_off = power_off }) != 0);
	}
	(void)close(pair[1]);
	reset_agent(pair[0]);
	return pair[0];
}

static void
say_command(int fd, uint16_t stream, const uint8_t *description, size_t size)
{
	for (size_t at = 0; at < size; at += BN_FRAME_PAYLOAD_MAX)
		say(fd, BN_FRAME_EXEC, stream, description + at,
		    BN_MIN(size - at, (size_t)BN_FRAME_PAYLOAD_MAX));
	say(fd, BN_FRAME_RUN, stream, NULL, 0);
}

/* Types and streams of its frames, in the order of their coming, and the words of failures, up to the `last`. */
static const char *
hear(int fd, const char *last)
{
	static char heard[1024];
	uint8_t bytes[2 * BN_FRAME_MAX];
	size_t size = 0, used = 0, length = 0;

	while (length < strlen(last) || strcmp(heard + length - strlen(last), last) != 0) {
		BnFrame frame;
		ssize_t n = read(fd, bytes + size, sizeof(bytes) - size);

		check(n > 0);
		size += (size_t)n;
		while (bn_frame_parse(bytes, size, &frame, &used) == 1) {
			const char *words =
				frame.type == BN_FRAME_FAILED ? (const char *)frame.payload : "";

			length += (size_t)snprintf(heard + length, sizeof(heard) - length,
						   " %d/%u%.*s", (int)frame.type, frame.stream,
						   (int)strnlen(words, frame.length), words);
			check(length < sizeof(heard));
			size -= used;
			memmove(bytes, bytes + used, size);
		}
	}
	return heard;
}

static void
end_agent(int fd, pid_t pid)
{
	(void)close(fd);
	check_int(waitpid(pid, NULL, 0), pid);
}

/* An end of output that it does not read would also wake it for ever. */
static void
test_agent_when_command_closes_its_output_then_both_ends_are_told(void)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)"exec >&- 2>&-; exec sleep 1000",
			 NULL };
	const BnExecRequest request = { .user = (char *)"", .workdir = (char *)"", .argv = argv };
	uint8_t bytes[256];
	pid_t pid;
	int fd = start_agent(&pid);

	say_command(fd, 1, bytes, (size_t)bn_exec_request_render(&request, bytes, sizeof(bytes)));
	check_str(hear(fd, " 6/1 6/1"), " 2/0 6/1 6/1");
	end_agent(fd, pid);
}

/* Whose host has gone. What it says of its end goes past the agent. */
static void
test_agent_when_reset_then_commands_are_hung_up(void)
{
	char *argv[] = { (char *)"sh", (char *)"-c", NULL, NULL };
	BnExecRequest request = { .user = (char *)"", .workdir = (char *)"", .argv = argv };
	uint8_t bytes[256];
	char script[128], word[4] = "";
	int said[2], fd;
	pid_t pid;

	check(pipe(said) == 0);
	(void)snprintf(script, sizeof(script),
		       "trap 'echo hup >&%1$d' HUP; exec 2>&-; read x; echo end >&%1$d", said[1]);
	argv[2] = script;
	fd = start_agent(&pid);
	say_command(fd, 1, bytes, (size_t)bn_exec_request_render(&request, bytes, sizeof(bytes)));
	check_str(hear(fd, " 6/1"), " 2/0 6/1");
	reset_agent(fd);
	check_int(bn_io_read_all(said[0], word, 3), 3);
	check_str(word, "hup");
	end_agent(fd, pid);
	(void)close(said[0]);
	(void)close(said[1]);
}

/* Whoever is its host: it does not depend on what that has checked. */
static void
test_agent_when_a_command_is_beyond_the_bound_then_only_that_is_refused(void)
{
	static uint8_t bytes[BN_FRAME_EXEC_MAX];
	static char large[BN_EXEC_BYTES_MAX + 1];
	char *argv[] = { (char *)"true", NULL };
	const BnExecRequest request = { .user = (char *)"", .workdir = (char *)"", .argv = argv };
	BnPack pack = { .data = bytes, .size = sizeof(bytes), .at = 1 + 2 + 2 + 4 + 4 };
	pid_t pid;
	int fd = start_agent(&pid);

	memset(large, 'x', sizeof(large) - 1);
	bn_pack_put_uint(&pack, 1, 2);
	bn_pack_put_string(&pack, large);
	bn_pack_put_uint(&pack, 0, 2);
	check(!pack.bad);
	say_command(fd, 1, bytes, pack.at);
	say_command(fd, 2, bytes, (size_t)bn_exec_request_render(&request, bytes, sizeof(bytes)));
	check(strstr(hear(fd, " 11/2"), " 12/1the command cannot be read: Argument list too long"));
	end_agent(fd, pid);
}

static void
test_agent_when_it_shuts_down_and_never_returns_then_has_answered(void)
{
	pid_t pid;
	int fd = start_agent(&pid);

	say(fd, BN_FRAME_SHUTDOWN, 7, NULL, 0);
	check_str(hear(fd, "18/7"), " 2/0 18/7");
	end_agent(fd, pid);
}

TEST_MAIN(TEST(test_agent_when_command_closes_its_output_then_both_ends_are_told),
	  TEST(test_agent_when_reset_then_commands_are_hung_up),
	  TEST(test_agent_when_a_command_is_beyond_the_bound_then_only_that_is_refused),
	  TEST(test_agent_when_it_shuts_down_and_never_returns_then_has_answered))
