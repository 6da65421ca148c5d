/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Both ends of the agent channel: the host's with the real agent's session in another process, and with guests that
 * break the rules. */
#include "test.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/session.h"
#include "service/adapters/guest-agent.h"
#include "service/base/error.h"
#include "shared/base/io-util.h"
#include "shared/rules/frame.h"
#include "shared/rules/limits.h"

#define BOOT_ID "01234567-89ab-cdef-0123-456789abcdef"

typedef struct Answer {
	GAsyncResult *result;
} Answer;

static void
on_answer(GObject *source, GAsyncResult *result, gpointer data)
{
	((Answer *)data)->result = g_object_ref(result);
}

static GAsyncResult *
wait_for(Answer *answer)
{
	while (!answer->result)
		(void)g_main_context_iteration(NULL, TRUE);
	return answer->result;
}

static BangerGuestInterface *
iface(BangerGuest *guest)
{
	return BANGER_GUEST_GET_IFACE(guest);
}

/* The code of the error, or -1. */
static int
open_guest(BangerGuest *guest, BangerGuestHello *ret)
{
	Answer answer = {};
	g_autoptr(GAsyncResult) result = NULL;
	g_autoptr(GError) error = NULL;

	iface(guest)->open(guest, NULL, on_answer, &answer);
	result = wait_for(&answer);
	if (iface(guest)->open_finish(guest, result, ret, &error))
		return -1;
	check(error->domain == BANGER_ERROR);
	return error->code;
}

/* The host's end, to be cut. */
static int line;

/* A session of the real agent; it ends with our end of the socket. */
static BangerGuest *
real_guest(pid_t *ret_pid)
{
	int pair[2];
	BangerGuestHello hello = {};
	BangerGuest *guest;

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	*ret_pid = fork();
	if (*ret_pid == 0) {
		(void)close(pair[0]);
		_exit(agent_session_run(&(AgentConfig){
			      .fd = pair[1], .ready_fd = -1, .boot_id = BOOT_ID }) == 0
			      ? 0
			      : 1);
	}
	(void)close(pair[1]);
	line = dup(pair[0]);
	guest = banger_guest_agent_new(pair[0]);
	check_int(open_guest(guest, &hello), -1);
	check_str(hello.boot_id, BOOT_ID);
	return guest;
}

static void
end_guest(BangerGuest *guest, pid_t pid)
{
	int status;

	(void)shutdown(line, SHUT_RDWR);
	(void)close(line);
	g_object_unref(guest);
	check_int(waitpid(pid, &status, 0), pid);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What a command was given and gave. */
typedef struct Run {
	Answer answer;
	int in;
	GString *out;
	GSource *reading, *writing;
	size_t to_write;
	uint32_t handle;
} Run;

static gboolean
on_output(int fd, GIOCondition condition, gpointer data)
{
	Run *run = data;
	char buffer[65536];
	ssize_t n = read(fd, buffer, sizeof(buffer));

	if (n > 0) {
		g_string_append_len(run->out, buffer, n);
		return G_SOURCE_CONTINUE;
	}
	(void)close(fd);
	run->reading = NULL;
	return G_SOURCE_REMOVE;
}

static gboolean
on_input(int fd, GIOCondition condition, gpointer data)
{
	static const char block[65536] = { 'x' };
	Run *run = data;
	ssize_t n = run->to_write ? write(fd, block, MIN(sizeof(block), run->to_write)) : 0;

	if (n > 0)
		run->to_write -= (size_t)n;
	if (n > 0 && run->to_write > 0)
		return G_SOURCE_CONTINUE;
	(void)close(fd);
	run->writing = NULL;
	return G_SOURCE_REMOVE;
}

static GSource *
watch(int fd, GIOCondition condition, GUnixFDSourceFunc callback, Run *run)
{
	GSource *source = g_unix_fd_source_new(fd, condition);

	g_source_set_callback(source, G_SOURCE_FUNC(callback), run, NULL);
	(void)g_source_attach(source, NULL);
	g_source_unref(source);
	return source;
}

/* Whether anybody takes what commands write. */
static bool reads = true;

static void
begin(BangerGuest *guest, Run *run, const BangerExecSpec *spec, GCancellable *cancellable)
{
	int in[2], out[2], fds[3];

	check(g_unix_open_pipe(in, FD_CLOEXEC, NULL) && g_unix_open_pipe(out, FD_CLOEXEC, NULL));
	run->out = g_string_new(NULL);
	fds[0] = in[0];
	fds[1] = out[1];
	fds[2] = dup(out[1]);
	check(g_unix_set_fd_nonblocking(in[1], TRUE, NULL));
	run->writing = watch(in[1], G_IO_OUT | G_IO_ERR, on_input, run);
	if (reads)
		run->reading = watch(out[0], G_IO_IN | G_IO_HUP, on_output, run);
	run->handle = iface(guest)->exec(guest, spec, fds, cancellable, on_answer, &run->answer);
}

static char *last_words;

/* Exit status, 128 + signal, or -1 - the error's code. */
static int
finish(BangerGuest *guest, Run *run)
{
	g_autoptr(GAsyncResult) result = wait_for(&run->answer);
	BangerExecResult ended = {};
	g_autoptr(GError) error = NULL;

	if (run->writing)
		g_source_destroy(run->writing);
	while (run->reading)
		(void)g_main_context_iteration(NULL, TRUE);
	if (!iface(guest)->exec_finish(guest, result, &ended, &error)) {
		g_free(last_words);
		last_words = g_strdup(error->message);
		return -1 - error->code;
	}
	return ended.signal_number ? 128 + (int)ended.signal_number : (int)ended.status;
}

static int
shell(BangerGuest *guest, const char *script, const char *expected)
{
	const char *argv[] = { "sh", "-c", script, NULL }, *none[] = { NULL };
	BangerExecSpec spec = { .argv = argv, .environment = none };
	Run run = {};
	int status;

	begin(guest, &run, &spec, NULL);
	status = finish(guest, &run);
	if (expected)
		check_str(run.out->str, expected);
	(void)g_string_free(run.out, TRUE);
	return status;
}

static void
test_exec_when_command_ends_then_status_and_output(void)
{
	pid_t pid;
	BangerGuest *guest = real_guest(&pid);

	check_int(shell(guest, "echo hello", "hello\n"), 0);
	check_int(shell(guest, "exit 42", ""), 42);
	check_int(shell(guest, "kill -TERM $$", ""), 128 + SIGTERM);
	check_int(shell(guest, "cd /usr; /no/such/file 2>/dev/null", ""), 127);
	end_guest(guest, pid);
}

static void
test_exec_when_options_given_then_command_has_them(void)
{
	const char *argv[] = { "sh", "-c", "echo $A:$PWD; stty size 2>/dev/null || echo none",
			       NULL };
	const char *who[] = { "sh", "-c", "echo $(id -u) $(id -g) $(id -G)", NULL };
	const char *environment[] = { "A=b c", NULL };
	BangerExecSpec spec = { .argv = argv, .environment = environment, .workdir = "/usr" };
	Run run = {};
	pid_t pid;
	BangerGuest *guest = real_guest(&pid);

	begin(guest, &run, &spec, NULL);
	check_int(finish(guest, &run), 0);
	check_str(run.out->str, "b c:/usr\nnone\n");
	(void)g_string_free(run.out, TRUE);
	spec.tty = true;
	spec.rows = 33;
	spec.columns = 99;
	run = (Run){};
	begin(guest, &run, &spec, NULL);
	check_int(finish(guest, &run), 0);
	check_str(run.out->str, "b c:/usr\r\n33 99\r\n");
	(void)g_string_free(run.out, TRUE);
	spec = (BangerExecSpec){ .argv = who, .environment = environment, .user = "nobody" };
	run = (Run){};
	begin(guest, &run, &spec, NULL);
	check_int(finish(guest, &run), 0);
	check_str(run.out->str, "65534 65534 65534\n");
	(void)g_string_free(run.out, TRUE);
	spec.user = "no-such-user";
	run = (Run){};
	begin(guest, &run, &spec, NULL);
	check_int(finish(guest, &run), -1 - BANGER_ERROR_COMMAND_REFUSED);
	check_str(last_words, "there is no user 'no-such-user' in the guest");
	(void)g_string_free(run.out, TRUE);
	end_guest(guest, pid);
}

static void
test_exec_when_a_variable_is_given_twice_then_the_last_is_the_only_one(void)
{
	const char *argv[] = { "/usr/bin/env", NULL };
	const char *environment[] = { "A=1", "HOME=/elsewhere", "SHELL=/x", "AB=3", "A=2", NULL };
	BangerExecSpec spec = { .argv = argv, .environment = environment, .workdir = "/" };
	Run run = {};
	pid_t pid;
	BangerGuest *guest = real_guest(&pid);

	begin(guest, &run, &spec, NULL);
	check_int(finish(guest, &run), 0);
	check_str(run.out->str,
		  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
		  "USER=root\nLOGNAME=root\nHOME=/elsewhere\nSHELL=/x\nAB=3\nA=2\n");
	(void)g_string_free(run.out, TRUE);
	end_guest(guest, pid);
}

static void
test_exec_when_much_both_ways_then_whole_and_others_are_served(void)
{
	const size_t size = 16 * 1024 * 1024;
	const char *argv[] = { "cat", NULL }, *none[] = { NULL };
	BangerExecSpec spec = { .argv = argv, .environment = none };
	Run run = { .to_write = size };
	pid_t pid;
	BangerGuest *guest = real_guest(&pid);

	begin(guest, &run, &spec, NULL);
	for (int i = 0; i < 5; i++)
		check_int(shell(guest, "echo still here", "still here\n"), 0);
	check_int(finish(guest, &run), 0);
	check_int(run.out->len, size);
	(void)g_string_free(run.out, TRUE);
	end_guest(guest, pid);
}

static void
test_exec_when_twenty_at_once_then_each_its_own(void)
{
	Run runs[20] = {};
	const char *none[] = { NULL };
	pid_t pid;
	BangerGuest *guest = real_guest(&pid);

	for (int i = 0; i < 20; i++) {
		g_autofree char *script = g_strdup_printf("echo %d; exit %d", i, i);
		const char *argv[] = { "sh", "-c", script, NULL };

		begin(guest, &runs[i], &(BangerExecSpec){ .argv = argv, .environment = none },
		      NULL);
	}
	for (int i = 0; i < 20; i++) {
		check_int(finish(guest, &runs[i]), i);
		check_int(atoi(runs[i].out->str), i);
		(void)g_string_free(runs[i].out, TRUE);
	}
	end_guest(guest, pid);
}

static void
test_exec_when_given_up_or_host_gone_then_command_is_hung_up(void)
{
	int told[2];
	char byte;
	pid_t pid;
	BangerGuest *guest;

	/* The commands hold the pipe's other end: its end is theirs. */
	check(g_unix_open_pipe(told, 0, NULL));
	guest = real_guest(&pid);
	(void)close(told[1]);
	for (int i = 0; i < 2; i++) {
		const char *argv[] = { "sh", "-c", "echo up; exec sleep 1000", NULL },
			   *none[] = { NULL };
		BangerExecSpec spec = { .argv = argv, .environment = none };
		g_autoptr(GCancellable) cancellable = g_cancellable_new();
		Run run = {};

		begin(guest, &run, &spec, cancellable);
		while (run.out->len == 0)
			(void)g_main_context_iteration(NULL, TRUE);
		if (i == 0) {
			g_cancellable_cancel(cancellable);
			check(finish(guest, &run) != 0);
		} else {
			g_object_ref(guest);
			end_guest(guest, pid);
			check_int(read(told[0], &byte, 1), 0);
			check(finish(guest, &run) < 0);
			g_object_unref(guest);
		}
		(void)g_string_free(run.out, TRUE);
	}
	(void)close(told[0]);
}

static void
test_exec_when_its_strings_are_around_the_bound_then_run_or_refused(void)
{
	static char argument[BN_EXEC_BYTES_MAX], variable[BN_EXEC_BYTES_MAX];
	const char *argv[] = { "true", argument, NULL }, *environment[] = { variable, NULL };
	BangerExecSpec spec = { .argv = argv, .environment = environment };
	const size_t max = BN_EXEC_BYTES_MAX - sizeof("true");
	pid_t pid;
	BangerGuest *guest = real_guest(&pid);

	/* Each as long as it can be, and both together. */
	for (size_t i = 0; i < 9; i++) {
		size_t length = max - 1 + i % 3, first = i < 3   ? 1
							 : i < 6 ? length / 2
								 : length - 3;
		Run run = {};
		int status;

		memset(argument, 'a', sizeof(argument));
		memset(variable, '=', sizeof(variable));
		memcpy(variable, "A", 1);
		argument[first - 1] = '\0';
		variable[length - first - 1] = '\0';
		begin(guest, &run, &spec, NULL);
		status = finish(guest, &run);
		check_int(status, length > max ? -1 - BANGER_ERROR_INVALID_ARGUMENT : 0);
		(void)g_string_free(run.out, TRUE);
	}
	end_guest(guest, pid);
}

/* What comes out of a pipe of a command's, to its end; the loop turns meanwhile. */
static char *
read_to_end(int fd, const Answer *answer)
{
	Run reader = { .out = g_string_new(NULL) };

	reader.reading = watch(fd, G_IO_IN | G_IO_HUP, on_output, &reader);
	while (reader.reading) {
		check(!answer->result);
		(void)g_main_context_iteration(NULL, TRUE);
	}
	return g_string_free(reader.out, FALSE);
}

static void
test_exec_when_command_closes_an_output_then_its_reader_sees_the_end(void)
{
	const char *script =
		"head -c 300000 /dev/zero; exec >&-; echo late >&2; exec 2>&-; read x; exit 7";
	const char *argv[] = { "sh", "-c", script, NULL }, *none[] = { NULL };
	BangerExecSpec spec = { .argv = argv, .environment = none };
	int in[2], pipes[2][2], fds[3];
	Run run = {};
	pid_t pid;
	BangerGuest *guest = real_guest(&pid);
	g_autofree char *out = NULL, *err = NULL;

	check(g_unix_open_pipe(in, FD_CLOEXEC, NULL));
	fds[0] = in[0];
	for (int i = 0; i < 2; i++) {
		check(g_unix_open_pipe(pipes[i], FD_CLOEXEC, NULL));
		fds[1 + i] = pipes[i][1];
	}
	run.handle = iface(guest)->exec(guest, &spec, fds, NULL, on_answer, &run.answer);
	/* The command goes on: it waits for its input. */
	out = read_to_end(pipes[0][0], &run.answer);
	err = read_to_end(pipes[1][0], &run.answer);
	check_str(err, "late\n");
	(void)close(in[1]);
	check_int(finish(guest, &run), 7);
	end_guest(guest, pid);
}

/* What our RESET asks of whoever answers it. */
static void
hear_reset(int fd, uint8_t ret_nonce[static BN_FRAME_NONCE])
{
	uint8_t in[BN_FRAME_MAX * 2];
	BnFrame frame = {};
	size_t n = 0, used;

	while (bn_frame_parse(in, n, &frame, &used) != 1)
		n += (size_t)read(fd, in + n, sizeof(in) - n);
	check_int(frame.type, BN_FRAME_RESET);
	memcpy(ret_nonce, frame.payload + 4, BN_FRAME_NONCE);
}

static void
say_hello(int fd, const uint8_t nonce[static BN_FRAME_NONCE], const char *boot_id)
{
	uint8_t out[BN_FRAME_MAX], payload[BN_HELLO_SIZE];
	BnHello hello = { .version = BN_FRAME_VERSION };

	memcpy(hello.nonce, nonce, BN_FRAME_NONCE);
	(void)g_strlcpy(hello.boot_id, boot_id, sizeof(hello.boot_id));
	bn_hello_render(&hello, payload);
	check_int(
		bn_io_write_all(fd, out,
				bn_frame_render(out, BN_FRAME_HELLO, 0, payload, sizeof(payload))),
		0);
}

static void
test_hello_when_it_answers_another_reset_then_not_taken(void)
{
	uint8_t nonces[2][BN_FRAME_NONCE];

	for (size_t i = 0; i < 2; i++) {
		g_autoptr(GAsyncResult) result = NULL;
		BangerGuestHello got = {};
		Answer opened = {};
		BangerGuest *guest;
		int pair[2];

		check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
		guest = banger_guest_agent_new(pair[0]);
		iface(guest)->open(guest, NULL, on_answer, &opened);
		hear_reset(pair[1], nonces[i]);
		nonces[i][BN_FRAME_NONCE - 1] ^= 1;
		say_hello(pair[1], nonces[i], "ffffffff-ffff-ffff-ffff-ffffffffffff");
		nonces[i][BN_FRAME_NONCE - 1] ^= 1;
		say_hello(pair[1], nonces[i], BOOT_ID);
		result = wait_for(&opened);
		check(iface(guest)->open_finish(guest, result, &got, NULL));
		check_str(got.boot_id, BOOT_ID);
		g_object_unref(guest);
		(void)close(pair[1]);
	}
	/* Nobody can have the answer ready. */
	check(memcmp(nonces[0], nonces[1], BN_FRAME_NONCE) != 0);
}

/* A guest that is these bytes, behind a proper hello. */
static int
meet(const void *bytes, size_t size, bool greets)
{
	const char *argv[] = { "true", NULL }, *none[] = { NULL };
	uint8_t nonce[BN_FRAME_NONCE];
	BangerExecSpec spec = { .argv = argv, .environment = none };
	BangerGuestHello got;
	Answer opened = {};
	Run run = {};
	int pair[2], code = 0;
	pid_t writer;
	BangerGuest *guest;
	g_autoptr(GError) error = NULL;

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	guest = banger_guest_agent_new(pair[0]);
	iface(guest)->open(guest, NULL, on_answer, &opened);
	hear_reset(pair[1], nonce);
	if (greets)
		say_hello(pair[1], nonce, BOOT_ID);
	if (greets) {
		g_autoptr(GAsyncResult) result = wait_for(&opened);

		check(iface(guest)->open_finish(guest, result, &got, NULL));
		begin(guest, &run, &spec, NULL);
	}
	/* By somebody else: the host may stop reading, or hang up, at any byte. */
	writer = fork();
	if (writer == 0) {
		(void)close(pair[0]);
		_exit(bn_io_write_all(pair[1], bytes, size) < 0);
	}
	if (greets) {
		code = -1 - finish(guest, &run);
		(void)g_string_free(run.out, TRUE);
	} else {
		g_autoptr(GAsyncResult) result = NULL;

		(void)close(pair[1]);
		result = wait_for(&opened);
		check(!iface(guest)->open_finish(guest, result, &got, &error));
		code = error->code;
	}
	if (greets)
		(void)close(pair[1]);
	g_object_unref(guest);
	check_int(waitpid(writer, NULL, 0), writer);
	return code;
}

/* Behind the frame comes the end of the command, for a host that has let the frame pass. */
static int
meet_frame(BnFrameType type, uint16_t stream, const void *payload, size_t size)
{
	uint8_t bytes[2 * BN_FRAME_MAX];
	size_t n = bn_frame_render(bytes, type, stream, payload, size);

	n += bn_frame_render(bytes + n, BN_FRAME_EXITED, 1, "\0\0", 2);
	return meet(bytes, n, /* greets= */ true);
}

static void
test_t31_guest_when_it_breaks_a_rule_then_only_it_is_ended(void)
{
	static const uint8_t zeros[64];
	const int unreachable = BANGER_ERROR_GUEST_UNREACHABLE;
	const struct {
		BnFrameType type;
		uint16_t stream;
		const char *payload;
		size_t size;
	} lies[] = {
		{ BN_FRAME_RESET, 0, "", 0 },
		{ BN_FRAME_HELLO, 0, "", 0 },
		{ BN_FRAME_HELLO, 1, "", 0 },
		{ BN_FRAME_EXEC, 1, "x", 1 },
		{ BN_FRAME_RUN, 1, "", 0 },
		{ BN_FRAME_DATA, 1, "", 0 },
		{ BN_FRAME_DATA, 1, "\0x", 2 },
		{ BN_FRAME_DATA, 1, "\3x", 2 },
		{ BN_FRAME_DATA, 0, "\1x", 2 },
		{ BN_FRAME_END, 1, "\0", 1 },
		{ BN_FRAME_END, 1, "\7", 1 },
		{ BN_FRAME_END, 1, "", 0 },
		{ BN_FRAME_CREDIT, 1, "\0\1\0\0\0", 5 },
		{ BN_FRAME_CREDIT, 1, "\0\377\377\377\377", 5 },
		{ BN_FRAME_CREDIT, 1, "\1", 1 },
		{ BN_FRAME_EXITED, 1, "", 0 },
		{ BN_FRAME_EXITED, 1, "\2\0", 2 },
		{ BN_FRAME_SIGNAL, 1, "\1", 1 },
		{ BN_FRAME_STATUS, 1, "", 0 },
		{ BN_FRAME_DONE, 1, "", 0 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(lies); i++) {
		int code = meet_frame(lies[i].type, lies[i].stream, lies[i].payload, lies[i].size);

		if (code != unreachable)
			fprintf(stderr, "lie %zu: type %d\n", i, lies[i].type);
		check_int(code, unreachable);
	}
	check_int(meet("\377\377\377\377\377\377\377\377", 8, true), unreachable);
	/* Silence and noise in the place of a hello wait for the end. */
	check_int(meet(zeros, sizeof(zeros), false), unreachable);
	check_int(meet("\2\0\0\0\0\0\0\0\377garbage", 16, false), unreachable);
}

static void
test_guest_when_it_goes_on_behind_the_end_of_an_output_then_ended(void)
{
	static const struct {
		BnFrameType type;
		const char *payload;
		size_t size;
		int code;
	} seconds[] = {
		{ BN_FRAME_END, "\1", 1, BANGER_ERROR_GUEST_UNREACHABLE },
		{ BN_FRAME_DATA, "\1x", 2, BANGER_ERROR_GUEST_UNREACHABLE },
		/* The other output, and the command's end, have nothing to do with it. */
		{ BN_FRAME_END, "\2", 1, -1 - 7 },
		{ BN_FRAME_DATA, "\2x", 2, -1 - 7 },
	};
	uint8_t bytes[3 * BN_FRAME_MAX];

	for (size_t i = 0; i < G_N_ELEMENTS(seconds); i++) {
		size_t n = bn_frame_render(bytes, BN_FRAME_END, 1, "\1", 1);

		n += bn_frame_render(bytes + n, seconds[i].type, 1, seconds[i].payload,
				     seconds[i].size);
		n += bn_frame_render(bytes + n, BN_FRAME_EXITED, 1, "\0\7", 2);
		check_int(meet(bytes, n, /* greets= */ true), seconds[i].code);
	}
}

static void
test_guest_when_it_sends_beyond_its_credit_then_ended(void)
{
	static uint8_t payload[BN_FRAME_PAYLOAD_MAX] = { BN_CHANNEL_OUT };
	static uint8_t bytes[BN_FRAME_MAX];
	size_t n = bn_frame_render(bytes, BN_FRAME_DATA, 1, payload, sizeof(payload));
	g_autoptr(GByteArray) flood = g_byte_array_new();

	/* Nobody reads what comes out, so none is returned but what the pipe holds. */
	for (size_t sent = 0; sent <= 3 * BN_FRAME_WINDOW; sent += sizeof(payload))
		g_byte_array_append(flood, bytes, (guint)n);
	n = bn_frame_render(bytes, BN_FRAME_FAILED, 1, "taken", 5);
	g_byte_array_append(flood, bytes, (guint)n);
	reads = false;
	check_int(meet(flood->data, flood->len, true), BANGER_ERROR_GUEST_UNREACHABLE);
	reads = true;
}

static void
test_t12_t39_guest_when_its_words_are_hostile_then_escaped_and_bounded(void)
{
	static char words[BN_FRAME_PAYLOAD_MAX];

	memset(words, '\033', sizeof(words));
	memcpy(words, "\xff\xfe%n%s", 6);
	check(meet_frame(BN_FRAME_FAILED, 1, words, sizeof(words)) >= 0);
	check(last_words && g_utf8_validate(last_words, -1, NULL));
	check(strlen(last_words) < 4096 && !strchr(last_words, '\033'));
}

TEST_MAIN(TEST(test_exec_when_command_ends_then_status_and_output),
	  TEST(test_exec_when_options_given_then_command_has_them),
	  TEST(test_exec_when_a_variable_is_given_twice_then_the_last_is_the_only_one),
	  TEST(test_exec_when_much_both_ways_then_whole_and_others_are_served),
	  TEST(test_exec_when_twenty_at_once_then_each_its_own),
	  TEST(test_exec_when_given_up_or_host_gone_then_command_is_hung_up),
	  TEST(test_exec_when_its_strings_are_around_the_bound_then_run_or_refused),
	  TEST(test_exec_when_command_closes_an_output_then_its_reader_sees_the_end),
	  TEST(test_hello_when_it_answers_another_reset_then_not_taken),
	  TEST(test_t31_guest_when_it_breaks_a_rule_then_only_it_is_ended),
	  TEST(test_guest_when_it_goes_on_behind_the_end_of_an_output_then_ended),
	  TEST(test_guest_when_it_sends_beyond_its_credit_then_ended),
	  TEST(test_t12_t39_guest_when_its_words_are_hostile_then_escaped_and_bounded))
