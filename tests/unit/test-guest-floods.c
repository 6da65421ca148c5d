/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest that says too much, or does not listen, behind well-formed frames. */
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fakes/guest-rig.h"
#include "service/base/error.h"
#include "shared/base/cleanup.h"
#include "shared/base/fd-util.h"
#include "shared/base/io-util.h"

#define FLOOD_SIZE ((size_t)64 << 20)

static size_t
drain(int fd)
{
	char bytes[65536];
	size_t all = 0;
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		all += (size_t)n;
	return all;
}

/* What became of requests that nobody looks at one by one. */
typedef struct Counted {
	unsigned answers;
	unsigned refused;
	GError *error; /* the first command's that was refused */
} Counted;

static void
on_command(GObject *source, GAsyncResult *result, gpointer data)
{
	Counted *counted = data;
	BangerGuest *guest = BANGER_GUEST(source);
	BangerExecResult ended;

	counted->answers++;
	counted->refused += !BANGER_GUEST_GET_IFACE(guest)->exec_finish(
		guest, result, &ended, counted->error ? NULL : &counted->error);
}

static void
on_statistics(GObject *source, GAsyncResult *result, gpointer data)
{
	Counted *counted = data;
	BangerGuest *guest = BANGER_GUEST(source);
	BangerGuestStatistics statistics;

	counted->answers++;
	counted->refused += !BANGER_GUEST_GET_IFACE(guest)->get_statistics_finish(
		guest, result, &statistics, NULL);
}

static void
on_shutdown(GObject *source, GAsyncResult *result, gpointer data)
{
	Counted *counted = data;
	BangerGuest *guest = BANGER_GUEST(source);

	counted->answers++;
	counted->refused += !BANGER_GUEST_GET_IFACE(guest)->shutdown_finish(guest, result, NULL);
}

/* Output of `size` bytes, in frames. */
static void
rig_say_output(Rig *rig, size_t size)
{
	static uint8_t payload[BN_FRAME_PAYLOAD_MAX] = { BN_CHANNEL_OUT };

	while (size > 0) {
		size_t n = MIN(size, sizeof(payload) - 1);

		rig_say_frame(rig, BN_FRAME_DATA, OF_EXEC, payload, n + 1);
		size -= n;
	}
}

static void
test_output_when_nobody_reads_it_then_a_window_and_not_a_byte_more(void)
{
	size_t piped;
	Rig rig;

	rig_start(&rig);
	piped = (size_t)fcntl(rig.outputs, F_GETPIPE_SZ);
	/* What the pipe took was given back as credit, but for a part of a portion. */
	rig_say_output(&rig, BN_FRAME_WINDOW);
	check(!rig.closed);
	rig_say_output(&rig, piped + BN_FRAME_WINDOW);
	check_str(rig.closed, RIG_BROKEN);
	check(drain(rig.outputs) <= piped);
	rig_done(&rig);
}

/* The host notices in the middle of passing something on. */
static void
test_guest_when_it_stops_listening_then_hung_up_at_the_next_word(void)
{
	Rig rig;

	(void)signal(SIGPIPE, SIG_IGN);
	rig_start(&rig);
	check_int(shutdown(rig.far, SHUT_RD), 0);
	/* Credit is returned for what the command's caller took. */
	rig_say_output(&rig, BN_FRAME_WINDOW / 8);
	(void)drain(rig.outputs);
	rig_say_output(&rig, BN_FRAME_WINDOW / 8);
	check_str(rig.closed, RIG_CUT);
	rig_done(&rig);
	rig_start(&rig);
	check_int(shutdown(rig.far, SHUT_RD), 0);
	check_int(bn_io_write_all(rig.input, "more", 4), 0);
	rig_turn();
	check_str(rig.closed, RIG_CUT);
	rig_done(&rig);
	rig_start(&rig);
	check_int(shutdown(rig.far, SHUT_RD), 0);
	/* The caller takes no more output: the command would be hung up. */
	bn_closep(&rig.outputs);
	rig_turn();
	check_str(rig.closed, RIG_CUT);
	rig_done(&rig);
	rig_start(&rig);
	check_int(shutdown(rig.far, SHUT_RD), 0);
	g_cancellable_cancel(rig.command);
	rig_turn();
	check_str(rig.closed, RIG_CUT);
	rig_done(&rig);
}

/* Asks for so many more; their callers are of no interest. */
static void
rig_ask_more(Rig *rig, unsigned commands, unsigned statistics, Counted *counted)
{
	const char *argv[] = { "true", NULL }, *none[] = { NULL };
	const BangerExecSpec spec = { .argv = argv, .environment = none };

	for (unsigned i = 0; i < commands; i++) {
		int fds[3];

		for (size_t j = 0; j < G_N_ELEMENTS(fds); j++)
			fds[j] = open("/dev/null", O_RDWR | O_CLOEXEC);
		(void)rig_iface(rig)->exec(rig->guest, &spec, fds, NULL, on_command, counted);
	}
	for (unsigned i = 0; i < statistics; i++)
		rig_iface(rig)->get_statistics(rig->guest, on_statistics, counted);
	rig_turn();
}

static void
test_guest_when_as_much_runs_as_may_then_it_can_still_be_told_to_shut_down(void)
{
	Counted counted = {};
	Rig rig;

	rig_init(&rig);
	rig_greet(&rig);
	rig_ask_more(&rig, 0, 2 * BN_FRAME_STREAMS, &counted);
	rig_ask_more(&rig, BN_FRAME_STREAMS, 0, &counted);
	check_int(counted.answers, 0);
	rig_ask_more(&rig, 1, 0, &counted);
	check_int(counted.refused, 1);
	check(g_error_matches(counted.error, BANGER_ERROR, BANGER_ERROR_COMMAND_REFUSED));
	g_clear_error(&counted.error);
	rig_iface(&rig)->shutdown(rig.guest, NULL, on_shutdown, &counted);
	rig_turn();
	check_int(counted.answers, 1);
	(void)rig_hear(&rig, BN_FRAME_SHUTDOWN);
	rig_done(&rig);
	check_int(counted.answers, 3 * BN_FRAME_STREAMS + 2);
	g_clear_error(&counted.error);
}

static void
test_statistics_when_asked_for_by_many_then_the_guest_is_asked_once(void)
{
	uint8_t payload[48] = {};
	Counted counted = {};
	Rig rig;

	rig_start(&rig);
	rig_ask_more(&rig, 0, 9, &counted);
	rig_say_frame(&rig, BN_FRAME_STATUS, OF_STATISTICS, payload, sizeof(payload));
	check_int(rig.answers[STATISTICS], 1);
	check_int(counted.answers, 9);
	check_int(counted.refused, 0);
	/* The next one asks anew: the guest has no other stream for it. */
	rig_ask_more(&rig, 0, 2, &counted);
	rig_say_frame(&rig, BN_FRAME_FAILED, OF_NONE, "no", 2);
	check_int(counted.answers, 11);
	check_int(counted.refused, 2);
	rig_done(&rig);
}

/* Whoever made the connection has a copy of it, and with it the flag that keeps us from waiting. */
static void
test_connection_when_made_to_block_by_who_shares_it_then_nobody_waits(void)
{
	static const char block[2 * BN_FRAME_WINDOW];
	size_t written = 0;
	ssize_t n = 0;
	Rig rig;

	rig_start(&rig);
	check_int(bn_fd_set_nonblock(rig.input, true), 0);
	check_int(bn_fd_set_nonblock(rig.copy, false), 0);
	/* A window is more than a connection holds whose other end does not read. */
	for (int i = 0; i < 100; i++) {
		n = write(rig.input, block, sizeof(block));
		written += n > 0 ? (size_t)n : 0;
		rig_turn();
	}
	check(n < 0 && written >= BN_FRAME_WINDOW / 2);
	rig_done(&rig);
}

/* Credit is what it may say without having heard from us: who never listens has no more of it. */
static void
test_output_when_the_guest_never_listens_then_hung_up(void)
{
	static uint8_t bytes[BN_FRAME_MAX], payload[BN_FRAME_PAYLOAD_MAX] = { BN_CHANNEL_OUT };
	size_t size = bn_frame_render(bytes, BN_FRAME_DATA, OF_EXEC, payload, sizeof(payload));
	size_t at = 0;
	Rig rig;

	rig_start(&rig);
	while (!rig.closed) {
		ssize_t n = send(rig.far, bytes + at, size - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		at = n > 0 ? (at + (size_t)n) % size : at;
		rig_turn();
		(void)drain(rig.outputs);
	}
	check_str(rig.closed, RIG_BROKEN);
	rig_done(&rig);
}

/* A process that says the same again and again, as fast as it is heard; counts the bytes. */
static pid_t
flood(const Rig *rig, const GByteArray *said, size_t *shared)
{
	pid_t pid = fork();

	check(pid >= 0);
	while (pid == 0) {
		ssize_t n = send(rig->far, said->data, said->len, MSG_NOSIGNAL);

		if (n <= 0)
			_exit(0);
		*shared += (size_t)n;
	}
	return pid;
}

typedef struct Flood {
	const char *name;
	bool greets;
	Said said;
	size_t zeros; /* before it */
} Flood;

/* As much as fits one write. */
static GByteArray *
flood_make(const Flood *f)
{
	GByteArray *said = g_byte_array_new();
	uint8_t frame[BN_FRAME_MAX] = {};
	size_t size = f->said.size;

	if (f->said.type == 0)
		memcpy(frame, f->said.bytes, size);
	else
		size = bn_frame_render(frame, f->said.type, f->said.stream, f->said.bytes, size);
	while (said->len < 65536) {
		guint end = said->len;

		g_byte_array_set_size(said, end + (guint)f->zeros);
		if (f->zeros > 0)
			memset(said->data + end, 0, f->zeros);
		g_byte_array_append(said, frame, (guint)size);
	}
	return said;
}

static void
meet_flood(const Flood *f, size_t *shared)
{
	g_autoptr(GByteArray) said = flood_make(f);
	Rig rig, other;
	size_t before;
	pid_t pid;

	rig_init(&rig);
	if (f->greets) {
		rig_greet(&rig);
		rig_ask(&rig);
	}
	*(volatile size_t *)shared = 0;
	before = mallinfo2().uordblks;
	pid = flood(&rig, said, shared);
	/* Another guest is served meanwhile. */
	rig_start(&other);
	rig_say_frame(&other, BN_FRAME_EXITED, OF_EXEC, "\0\7", 2);
	check_int(other.answers[EXEC], 1);
	rig_done(&other);
	while (*(volatile size_t *)shared < FLOOD_SIZE && !rig.closed)
		(void)g_main_context_iteration(NULL, TRUE);
	printf("# %s: %zu MiB taken no notice of, %zd KiB more held\n", f->name, *shared >> 20,
	       ((ssize_t)mallinfo2().uordblks - (ssize_t)before) / 1024);
	check(!rig.closed);
	check((ssize_t)mallinfo2().uordblks - (ssize_t)before < 1 << 20);
	(void)kill(pid, SIGKILL);
	check_int(waitpid(pid, NULL, 0), pid);
	rig_done(&rig);
}

static void
test_guest_when_it_floods_then_others_are_served_and_nothing_is_kept(void)
{
	static const Flood floods[] = {
		{ "zeros", true, RAW("\0\0\0\0\0\0\0\0"), 65536 },
		{ "credit of nothing", true, FRAME(CREDIT, OF_EXEC, "\0\0\0\0\0"), 0 },
		{ "output of no command", true,
		  FRAME(DATA, OF_NONE, "\1xxxxxxxxxxxxxxxxxxxxxxxxxxx"), 0 },
		{ "zeros before it greets", false, RAW("\0\0\0\0\0\0\0\0"), 65536 },
		{ "noise before it greets", false, RAW("\377\377\377\377noise"), 0 },
		{ "frames before it greets", false, FRAME(DONE, 1, ""), 0 },
		{ "zeros and frames before it greets", false, FRAME(DONE, 1, ""), 65000 },
		{ "beginnings of a greeting", false, RAW("\2\0\0\0\0\100\0\0"), 0 },
	};
	size_t *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	check(shared != MAP_FAILED);
	for (size_t i = 0; i < G_N_ELEMENTS(floods); i++)
		meet_flood(&floods[i], shared);
}

TEST_MAIN(TEST(test_output_when_nobody_reads_it_then_a_window_and_not_a_byte_more),
	  TEST(test_guest_when_it_stops_listening_then_hung_up_at_the_next_word),
	  TEST(test_guest_when_as_much_runs_as_may_then_it_can_still_be_told_to_shut_down),
	  TEST(test_statistics_when_asked_for_by_many_then_the_guest_is_asked_once),
	  TEST(test_connection_when_made_to_block_by_who_shares_it_then_nobody_waits),
	  TEST(test_output_when_the_guest_never_listens_then_hung_up),
	  TEST(test_guest_when_it_floods_then_others_are_served_and_nothing_is_kept))
