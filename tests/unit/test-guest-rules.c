/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest that breaks the rules of the agent channel (shared/rules/frame.h), one at a time: the host hangs up with a
 * reason or takes no notice, and whatever was asked of the guest is answered once. */
#include <string.h>

#include "fakes/guest-rig.h"
#include "service/base/error.h"

#define BOOT_ID "01234567-89ab-cdef-0123-456789abcdef"

typedef struct Rule {
	const char *name;
	Said said[4];
} Rule;

static void
break_rule(const Rule *rule)
{
	Rig rig;

	rig_start(&rig);
	rig_say_all(&rig, rule->said, G_N_ELEMENTS(rule->said));
	printf("# %s: %s\n", rule->name, rig.closed ? rig.closed : "not noticed");
	check_str(rig.closed, RIG_BROKEN);
	for (int i = 0; i < N_REQUESTS; i++)
		check(!rig.errors[i] || g_str_equal(rig.errors[i]->message, RIG_BROKEN));
	rig_done(&rig);
}

static void
test_t31_guest_when_it_asks_or_answers_what_nobody_asked_then_hung_up(void)
{
	static const Rule rules[] = {
		{ "begins a session", { FRAME(RESET, 0, "") } },
		{ "greets again", { FRAME(HELLO, 0, "") } },
		{ "greets on a stream of its own", { FRAME(HELLO, OF_NONE, "") } },
		{ "describes a command", { FRAME(EXEC, OF_EXEC, "x") } },
		{ "runs a command", { FRAME(RUN, OF_EXEC, "") } },
		{ "sends a signal", { FRAME(SIGNAL, OF_EXEC, "\11") } },
		{ "resizes a terminal", { FRAME(RESIZE, OF_EXEC, "\1\0\1\0") } },
		{ "hangs up on a command", { FRAME(HANGUP, OF_EXEC, "") } },
		{ "asks for a sync", { FRAME(SYNC, OF_CLOCK, "") } },
		{ "asks for a shutdown", { FRAME(SHUTDOWN, OF_SHUTDOWN, "") } },
		{ "sets a clock", { FRAME(CLOCK, OF_CLOCK, "\0\0\0\0\0\0\0\0") } },
		{ "asks for statistics", { FRAME(QUERY, OF_STATISTICS, "") } },
		{ "answers a command with done", { FRAME(DONE, OF_EXEC, "") } },
		{ "answers a command with statistics", { FRAME(STATUS, OF_EXEC, "") } },
		{ "answers the clock with an exit", { FRAME(EXITED, OF_CLOCK, "\0\0") } },
		{ "answers the clock with statistics", { FRAME(STATUS, OF_CLOCK, "") } },
		{ "answers statistics with done", { FRAME(DONE, OF_STATISTICS, "") } },
		{ "answers a shutdown with output", { FRAME(DATA, OF_SHUTDOWN, "\1x") } },
		{ "gives statistics credit", { FRAME(CREDIT, OF_STATISTICS, "\0\0\0\0\0") } },
		{ "answers on no stream", { FRAME(DONE, 0, "") } },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rules); i++)
		break_rule(&rules[i]);
}

static void
test_guest_when_its_frame_is_none_then_hung_up(void)
{
	static const Rule rules[] = {
		{ "a type that is none", { RAW("\23\0\2\0\0\0\0\0\245") } },
		{ "the last type there could be", { RAW("\377\0\2\0\0\0\0\0\245") } },
		{ "a second byte that is not zero", { RAW("\5\1\2\0\2\0\0\0\1x\245") } },
		{ "one byte more than a frame may have", { RAW("\5\0\2\0\1\100\0\0") } },
		{ "4 GiB", { RAW("\5\0\2\0\377\377\377\377") } },
		{ "another byte at its end", { RAW("\5\0\2\0\2\0\0\0\1x\244") } },
		{ "a zero at its end", { RAW("\5\0\2\0\2\0\0\0\1x\0") } },
		{ "noise", { RAW("noise, noise, noise") } },
		{ "a frame, then noise",
		  { FRAME(DATA, OF_EXEC, "\1x"), RAW("\377\377\377\377\377\377\377\377") } },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rules); i++)
		break_rule(&rules[i]);
}

static void
test_guest_when_its_stream_breaks_a_rule_then_hung_up(void)
{
	static const Rule rules[] = {
		{ "output on the input's channel", { FRAME(DATA, OF_EXEC, "\0x") } },
		{ "output on a channel that is none", { FRAME(DATA, OF_EXEC, "\3x") } },
		{ "output on the last channel there could be", { FRAME(DATA, OF_EXEC, "\377x") } },
		{ "output without a channel", { FRAME(DATA, OF_EXEC, "") } },
		{ "no output", { FRAME(DATA, OF_EXEC, "\1") } },
		{ "end of the input", { FRAME(END, OF_EXEC, "\0") } },
		{ "end of a channel that is none", { FRAME(END, OF_EXEC, "\3") } },
		{ "end of no channel", { FRAME(END, OF_EXEC, "") } },
		{ "end of two channels", { FRAME(END, OF_EXEC, "\1\2") } },
		{ "an end twice", { FRAME(END, OF_EXEC, "\1"), FRAME(END, OF_EXEC, "\1") } },
		{ "output behind its end",
		  { FRAME(END, OF_EXEC, "\2"), FRAME(DATA, OF_EXEC, "\2x") } },
		{ "credit for the output", { FRAME(CREDIT, OF_EXEC, "\1\1\0\0\0") } },
		{ "credit of four bytes", { FRAME(CREDIT, OF_EXEC, "\0\1\0\0") } },
		{ "credit for more than was sent", { FRAME(CREDIT, OF_EXEC, "\0\6\0\0\0") } },
		{ "credit for it twice",
		  { FRAME(CREDIT, OF_EXEC, "\0\5\0\0\0"), FRAME(CREDIT, OF_EXEC, "\0\1\0\0\0") } },
		{ "credit of 4 GiB", { FRAME(CREDIT, OF_EXEC, "\0\377\377\377\377") } },
		{ "credit that wraps around",
		  { FRAME(CREDIT, OF_EXEC, "\0\5\0\0\0"),
		    FRAME(CREDIT, OF_EXEC, "\0\373\377\377\377") } },
		{ "an exit without a status", { FRAME(EXITED, OF_EXEC, "\0") } },
		{ "an exit with two", { FRAME(EXITED, OF_EXEC, "\0\0\0") } },
		{ "an exit of a kind that is none", { FRAME(EXITED, OF_EXEC, "\2\0") } },
		{ "an end by signal 0", { FRAME(EXITED, OF_EXEC, "\1\0") } },
		{ "an end by signal 65", { FRAME(EXITED, OF_EXEC, "\1\101") } },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rules); i++)
		break_rule(&rules[i]);
}

/* Of a command that was given up, for all the host knows, or meaning nothing. */
static void
test_guest_when_it_says_what_is_nobodys_then_no_notice_is_taken(void)
{
	static const Rule rules[] = {
		{ "a session begun as a request", { FRAME(RESET, OF_NONE, "") } },
		{ "zeros between frames", { RAW("\0\0\0\0\0\0\0\0\0\0\0\0\0") } },
		{ "output of no command", { FRAME(DATA, OF_NONE, "\1x") } },
		{ "output of the last stream there could be", { FRAME(DATA, 65535, "\1x") } },
		{ "an exit of no command", { FRAME(EXITED, OF_NONE, "\0\0") } },
		{ "words of no command", { FRAME(FAILED, OF_NONE, "\033[2J") } },
		{ "credit for no command", { FRAME(CREDIT, OF_NONE, "\0\377\377\377\377") } },
		{ "credit of nothing", { FRAME(CREDIT, OF_EXEC, "\0\0\0\0\0") } },
		{ "half a frame", { RAW("\5\0\2\0\5\0\0\0\1x") } },
		{ "half a header", { RAW("\5\0\2") } },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rules); i++) {
		Rig rig;

		rig_start(&rig);
		rig_say_all(&rig, rules[i].said, G_N_ELEMENTS(rules[i].said));
		printf("# %s: %s\n", rules[i].name, rig.closed ? rig.closed : "not noticed");
		check(!rig.closed);
		rig_check_unanswered(&rig);
		rig_done(&rig);
	}
}

static void
test_exit_when_said_before_or_twice_then_the_first_counts(void)
{
	Rig rig;

	rig_start(&rig);
	rig_say_frame(&rig, BN_FRAME_EXITED, OF_EXEC, "\0\7", 2);
	check_int(rig.answers[EXEC], 1);
	check_int(rig.exec.status, 7);
	/* The stream is nobody's now. */
	rig_say_frame(&rig, BN_FRAME_EXITED, OF_EXEC, "\0\10", 2);
	rig_say_frame(&rig, BN_FRAME_DATA, OF_EXEC, "\1late", 5);
	check(!rig.closed);
	check_int(rig.exec.status, 7);
	rig_done(&rig);
}

static void
test_hello_when_not_the_answer_then_waited_for(void)
{
	static const struct {
		const char *name;
		uint16_t version;
		uint8_t nonce; /* changes it */
		int size;      /* changes it */
		const char *boot_id;
	} hellos[] = {
		{ "version 0", 0, 0, 0, BOOT_ID },
		{ "a version to come", BN_FRAME_VERSION + 1, 0, 0, BOOT_ID },
		{ "the last version", 65535, 0, 0, BOOT_ID },
		{ "another number", BN_FRAME_VERSION, 1, 0, BOOT_ID },
		{ "a byte less", BN_FRAME_VERSION, 0, -1, BOOT_ID },
		{ "a byte more", BN_FRAME_VERSION, 0, 1, BOOT_ID },
		{ "a boot id that escapes", BN_FRAME_VERSION, 0, 0,
		  "\033[2J4567-89ab-cdef-0123-456789abcdef" },
		{ "a boot id that is no text", BN_FRAME_VERSION, 0, 0,
		  "\377\376234567-89ab-cdef-0123-456789abcdef" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(hellos); i++) {
		BnHello hello = { .version = hellos[i].version };
		uint8_t payload[BN_HELLO_SIZE + 1] = {};
		Rig rig;

		rig_init(&rig);
		memcpy(hello.nonce, rig.nonce, sizeof(hello.nonce));
		hello.nonce[15] ^= hellos[i].nonce;
		memcpy(hello.boot_id, hellos[i].boot_id, BN_FRAME_BOOT_ID);
		bn_hello_render(&hello, payload);
		rig_say_frame(&rig, BN_FRAME_HELLO, 0, payload,
			      (size_t)(BN_HELLO_SIZE + hellos[i].size));
		rig_say_frame(&rig, BN_FRAME_DONE, 1, "", 0);
		printf("# %s: %s\n", hellos[i].name, rig.opened ? "taken" : "waited for");
		check(!rig.opened && !rig.closed);
		rig_greet(&rig);
		rig_done(&rig);
	}
}

static void
test_guest_when_silent_then_the_wait_can_be_cancelled(void)
{
	Rig rig;

	rig_init(&rig);
	g_cancellable_cancel(rig.opening);
	rig_turn();
	check_str(rig.closed, "cancelled");
	rig_done(&rig);
	rig_start(&rig);
	/* Half of an answer, and no more. */
	rig_say(&rig, "\13\0\2\0\2\0\0\0\0", 9);
	g_cancellable_cancel(rig.command);
	/* Who asked for the command is gone, and the guest has been told. */
	check_int(rig_hear(&rig, BN_FRAME_HANGUP).stream, OF_EXEC);
	rig_check_unanswered(&rig);
	rig_done(&rig);
}

static void
on_second_clock(GObject *source, GAsyncResult *result, gpointer data)
{
	BangerGuest *guest = BANGER_GUEST(source);

	check(!BANGER_GUEST_GET_IFACE(guest)->set_clock_finish(guest, result, data));
}

static void
test_request_when_given_up_then_only_that_one(void)
{
	g_autoptr(GCancellable) cancellable = g_cancellable_new();
	g_autoptr(GError) error = NULL, at_once = NULL;
	Rig rig;

	rig_start(&rig);
	/* Its greeting has come: that is not waited for any more. */
	g_cancellable_cancel(rig.opening);
	rig_iface(&rig)->set_clock(rig.guest, cancellable, on_second_clock, &error);
	rig_turn();
	check(!error && !rig.closed);
	g_cancellable_cancel(cancellable);
	rig_turn();
	check(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
	rig_iface(&rig)->set_clock(rig.guest, cancellable, on_second_clock, &at_once);
	rig_turn();
	check(g_error_matches(at_once, G_IO_ERROR, G_IO_ERROR_CANCELLED));
	rig_say_frame(&rig, BN_FRAME_DONE, OF_NONE, "", 0);
	check(!rig.closed);
	rig_check_unanswered(&rig);
	rig_done(&rig);
}

/* Lies within the form are lies about itself. */
static void
test_t39_statistics_when_of_any_value_then_told_as_they_are(void)
{
	uint8_t payload[48];
	Rig rig;

	memset(payload, 0xff, sizeof(payload));
	rig_start(&rig);
	rig_say_frame(&rig, BN_FRAME_STATUS, OF_STATISTICS, payload, sizeof(payload));
	check_int(rig.answers[STATISTICS], 1);
	check(!rig.errors[STATISTICS] && !rig.closed);
	check(rig.statistics.memory_total == UINT64_MAX && rig.statistics.uptime_us == UINT64_MAX);
	check(rig.statistics.processes == UINT32_MAX && rig.statistics.load < 4294968);
	rig_done(&rig);
	rig_start(&rig);
	rig_say_frame(&rig, BN_FRAME_STATUS, OF_STATISTICS, payload, sizeof(payload) - 1);
	check_int(rig.errors[STATISTICS]->code, BANGER_ERROR_GUEST_UNREACHABLE);
	check(!rig.closed);
	rig_done(&rig);
}

static void
test_t39_words_when_hostile_then_escaped_and_bounded(void)
{
	static const char *const words[] = { "\033]0;title\a\033[2J\r\n\t",
					     "\xff\xfe\xc0\x80\xed\xa0\x80",
					     "\xc2\x9b"
					     "31mred",
					     "%n%s%x",
					     "",
					     NULL /* as long as can be */ };
	static const uint16_t streams[N_REQUESTS] = { OF_CLOCK, OF_EXEC, OF_STATISTICS,
						      OF_SHUTDOWN };
	g_autofree char *longest = g_strnfill(BN_FRAME_PAYLOAD_MAX, '\033');

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		const char *text = words[i] ? words[i] : longest;
		Rig rig;

		rig_start(&rig);
		for (int r = 0; r < N_REQUESTS; r++)
			rig_say_frame(&rig, BN_FRAME_FAILED, streams[r], text, strlen(text));
		check(!rig.closed);
		for (int r = 0; r < N_REQUESTS; r++) {
			const char *message = rig.errors[r]->message;

			check(g_utf8_validate(message, -1, NULL) && strlen(message) <= 260);
			for (const char *p = message; *p; p = g_utf8_next_char(p))
				check(!g_unichar_iscntrl(g_utf8_get_char(p)));
		}
		rig_done(&rig);
	}
}

TEST_MAIN(TEST(test_t31_guest_when_it_asks_or_answers_what_nobody_asked_then_hung_up),
	  TEST(test_guest_when_its_frame_is_none_then_hung_up),
	  TEST(test_guest_when_its_stream_breaks_a_rule_then_hung_up),
	  TEST(test_guest_when_it_says_what_is_nobodys_then_no_notice_is_taken),
	  TEST(test_exit_when_said_before_or_twice_then_the_first_counts),
	  TEST(test_hello_when_not_the_answer_then_waited_for),
	  TEST(test_guest_when_silent_then_the_wait_can_be_cancelled),
	  TEST(test_request_when_given_up_then_only_that_one),
	  TEST(test_t39_statistics_when_of_any_value_then_told_as_they_are),
	  TEST(test_t39_words_when_hostile_then_escaped_and_bounded))
