/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest that says too much, or does not listen, behind well-formed frames. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fakes/guest-rig.h"
#include "shared/base/cleanup.h"
#include "shared/base/fd-util.h"
#include "shared/base/io-util.h"

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

TEST_MAIN(TEST(test_output_when_nobody_reads_it_then_a_window_and_not_a_byte_more),
	  TEST(test_guest_when_it_stops_listening_then_hung_up_at_the_next_word),
	  TEST(test_connection_when_made_to_block_by_who_shares_it_then_nobody_waits),
	  TEST(test_output_when_the_guest_never_listens_then_hung_up))
