/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A control connection whose other end we are: what QEMU says, and what it never would. */
#include "test.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/adapters/vmm-qemu.h"
#include "service/base/error.h"
#include "shared/base/io-util.h"

#define FULL "the host's disk is full: free some space, then start the VM again"

typedef struct Rig {
	int fd; /* QEMU's end */
	BangerVmm *vmm;
	GString *told; /* what it signalled */
} Rig;

static void
on_paused(BangerVmm *vmm, const GError *why, Rig *rig)
{
	/* A remedy is named for each. */
	check_int(g_error_matches(why, BANGER_ERROR, BANGER_ERROR_NO_SPACE),
		  g_str_equal(why->message, FULL));
	g_string_append_printf(rig->told, "paused: %s\n", why->message);
}

static void
on_resumed(BangerVmm *vmm, Rig *rig)
{
	g_string_append(rig->told, "resumed\n");
}

static void
rig_say(Rig *rig, const char *line)
{
	check_int(bn_io_write_all(rig->fd, line, strlen(line)), 0);
	check_int(bn_io_write_all(rig->fd, "\r\n", 2), 0);
	while (g_main_context_iteration(NULL, FALSE))
		;
}

/* What it has sent since the last look: "" nothing, NULL that it has hung up. */
static const char *
rig_hear(Rig *rig)
{
	static char text[4096];
	ssize_t n = recv(rig->fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno == ECONNRESET)) /* it has not read all */
		return NULL;
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
rig_check_told(Rig *rig, const char *expected)
{
	check_str(rig->told->str, expected);
	g_string_truncate(rig->told, 0);
}

/* Greets, and is in this state. */
static void
rig_init(Rig *rig, const char *status)
{
	g_autofree char *answer =
		g_strdup_printf("{\"return\": {\"status\": \"%s\"}, \"id\": 2}", status);
	int pair[2];

	/* Whatever it says is no fault of ours. */
	g_log_set_always_fatal(G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	rig->fd = pair[0];
	rig->told = g_string_new(NULL);
	rig->vmm = banger_vmm_qemu_new(pair[1]);
	g_signal_connect(rig->vmm, "paused", G_CALLBACK(on_paused), rig);
	g_signal_connect(rig->vmm, "resumed", G_CALLBACK(on_resumed), rig);
	rig_say(rig, "{\"QMP\": {\"version\": {}, \"capabilities\": []}}");
	check_str(rig_hear(rig), "{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
	rig_say(rig, "{\"return\": {}, \"id\": 1}");
	check_str(rig_hear(rig), "{\"execute\":\"query-status\",\"id\":2}\n");
	rig_say(rig, answer);
}

static void
rig_done(Rig *rig)
{
	g_object_unref(rig->vmm);
	(void)close(rig->fd);
	(void)g_string_free(rig->told, TRUE);
}

static void
rig_say_disk_error(Rig *rig, const char *action, const char *more)
{
	g_autofree char *line = g_strdup_printf(
		"{\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"device\": \"\", \"node-name\": \"disk1\", "
		"\"operation\": \"write\", \"action\": \"%s\"%s}}",
		action, more);

	rig_say(rig, line);
}

static void
on_answer(GObject *source, GAsyncResult *result, gpointer data)
{
	*(GAsyncResult **)data = g_object_ref(result);
}

/* The daemon lets it go on, and it does. */
static void
rig_resume(Rig *rig)
{
	g_autoptr(GAsyncResult) result = NULL;

	BANGER_VMM_GET_IFACE(rig->vmm)->resume(rig->vmm, NULL, on_answer, &result);
	check_str(rig_hear(rig), "{\"execute\":\"cont\",\"id\":4}\n");
	rig_say(rig, "{\"event\": \"RESUME\"}");
	rig_say(rig, "{\"return\": {}, \"id\": 4}");
	check(result && BANGER_VMM_GET_IFACE(rig->vmm)->resume_finish(rig->vmm, result, NULL));
}

static void
test_pause_when_a_disk_had_an_error_then_told_which(void)
{
	Rig rig;

	rig_init(&rig, "running");
	rig_check_told(&rig, "");
	rig_say_disk_error(&rig, "stop",
			   ", \"nospace\": true, \"reason\": \"No space left on device\"");
	rig_say(&rig, "{\"event\": \"STOP\"}");
	rig_check_told(&rig, "paused: " FULL "\n");
	rig_resume(&rig);
	rig_check_told(&rig, "resumed\n");
	rig_say_disk_error(&rig, "stop",
			   ", \"nospace\": false, \"reason\": \"Input/output error\"");
	rig_say(&rig, "{\"event\": \"STOP\"}");
	rig_check_told(&rig, "paused: a disk of the VM failed on the host: Input/output error\n");
	rig_resume(&rig);
	rig_say_disk_error(&rig, "stop", "");
	rig_say(&rig, "{\"event\": \"STOP\"}");
	rig_check_told(&rig, "resumed\npaused: a disk of the VM failed on the host\n");
	rig_done(&rig);
}

static void
test_pause_when_no_disk_stopped_it_then_none_is_blamed(void)
{
	const char *told = "paused: the VMM was told to pause it: start the VM to go on\n";
	Rig rig;

	rig_init(&rig, "running");
	/* What the guest alone was told, and what is long mended. */
	rig_say_disk_error(&rig, "report", ", \"nospace\": true");
	rig_say(&rig, "{\"event\": \"STOP\"}");
	rig_check_told(&rig, told);
	rig_done(&rig);
	rig_init(&rig, "paused");
	rig_check_told(&rig, told);
	rig_done(&rig);
}

static void
test_status_when_a_disk_failed_before_we_came_then_it_is_asked_which(void)
{
	static const struct {
		const char *disks, *told;
	} cases[] = {
		{ "[{\"io-status\": \"ok\"}, {\"io-status\": \"nospace\"}]", "paused: " FULL "\n" },
		{ "[{\"io-status\": \"ok\"}, {\"io-status\": \"failed\"}]",
		  "paused: a disk of the VM failed on the host\n" },
		/* It stands still all the same. */
		{ "[1, [], {\"io-status\": 5}, {}]",
		  "paused: a disk of the VM failed on the host\n" },
		{ "{\"io-status\": \"nospace\"}", "paused: a disk of the VM failed on the host\n" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *answer =
			g_strdup_printf("{\"return\": %s, \"id\": 3}", cases[i].disks);
		Rig rig;

		rig_init(&rig, "io-error");
		check_str(rig_hear(&rig), "{\"execute\":\"query-block\",\"id\":3}\n");
		rig_check_told(&rig, "");
		rig_say(&rig, answer);
		rig_check_told(&rig, cases[i].told);
		rig_done(&rig);
	}
}

static void
test_status_when_it_goes_on_before_the_answer_then_not_paused(void)
{
	Rig rig;

	rig_init(&rig, "io-error");
	rig_say(&rig, "{\"event\": \"RESUME\"}");
	rig_say(&rig, "{\"return\": [{\"io-status\": \"nospace\"}], \"id\": 3}");
	rig_check_told(&rig, "");
	/* Nor does an answer to what nobody asked. */
	rig_say(&rig, "{\"return\": [{\"io-status\": \"nospace\"}], \"id\": 3}");
	rig_check_told(&rig, "");
	rig_done(&rig);
}

static void
test_t39_words_when_hostile_then_escaped_bounded_or_the_end(void)
{
	g_autofree char *much = g_strnfill(70000, ' '), *words = g_strnfill(1000, 'w');
	g_autofree char *reason = g_strconcat(", \"reason\": \"\\u001b[31m", words, "\"", NULL);
	Rig rig;

	rig_init(&rig, "running");
	rig_say_disk_error(&rig, "stop", reason);
	rig_say(&rig, "{\"event\": \"STOP\", \"data\": 7}");
	check(g_str_has_prefix(rig.told->str,
			       "paused: a disk of the VM failed on the host: \\x1b[31mww"));
	check(rig.told->len < 200);
	rig_say(&rig, "[1, 2");
	check(!rig_hear(&rig));
	rig_done(&rig);
	rig_init(&rig, "running");
	rig_say(&rig, much);
	check(!rig_hear(&rig));
	rig_done(&rig);
}

static void
test_message_when_of_wrong_kinds_then_no_notice_is_taken(void)
{
	static const char *const lines[] = {
		"{}",
		"{\"id\": {}}",
		"{\"id\": [2]}",
		"{\"id\": null}",
		"{\"id\": \"2\", \"return\": {\"status\": \"paused\"}}",
		"{\"id\": 1e99}",
		"{\"id\": 77, \"return\": {}}",
		"{\"id\": 2, \"return\": [\"paused\"]}",
		"{\"id\": 2, \"return\": {\"status\": [\"paused\"]}}",
		"{\"id\": 3, \"return\": \"nospace\"}",
		"{\"id\": 4, \"error\": 0}",
		"{\"event\": []}",
		"{\"event\": {\"STOP\": 1}}",
		"{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": {}}}",
		"{\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"action\": \"stop\", \"reason\": 0}}",
		"{\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"action\": \"stop\", \"nospace\": []}}",
	};
	Rig rig;

	rig_init(&rig, "running");
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		rig_say(&rig, lines[i]);
		rig_check_told(&rig, "");
		check_str(rig_hear(&rig), "");
	}
	check_str(BANGER_VMM_GET_IFACE(rig.vmm)->get_end_reason(rig.vmm), "");
	rig_done(&rig);
}

/* Each time is on disk and on the bus before the next is looked at. */
static void
test_guest_when_it_goes_on_again_and_again_untold_then_the_end(void)
{
	Rig rig;

	rig_init(&rig, "running");
	rig_say(&rig, "{\"event\": \"STOP\"}");
	/* A daemon before this one may have told it. */
	rig_say(&rig, "{\"event\": \"RESUME\"}");
	rig_say(&rig, "{\"event\": \"STOP\"}");
	rig_resume(&rig);
	rig_say(&rig, "{\"event\": \"STOP\"}");
	g_string_truncate(rig.told, 0);
	rig_say(&rig, "{\"event\": \"RESUME\"}");
	rig_check_told(&rig, "");
	check(!rig_hear(&rig));
	rig_done(&rig);
}

static void
test_resume_when_cancelled_then_not_waited_for_and_heard_when_it_comes(void)
{
	g_autoptr(GCancellable) cancellable = g_cancellable_new();
	g_autoptr(GAsyncResult) result = NULL;
	g_autoptr(GError) error = NULL;
	Rig rig;

	rig_init(&rig, "paused");
	g_string_truncate(rig.told, 0);
	BANGER_VMM_GET_IFACE(rig.vmm)->resume(rig.vmm, cancellable, on_answer, &result);
	check_str(rig_hear(&rig), "{\"execute\":\"cont\",\"id\":4}\n");
	g_cancellable_cancel(cancellable);
	while (g_main_context_iteration(NULL, FALSE))
		;
	check(result && !BANGER_VMM_GET_IFACE(rig.vmm)->resume_finish(rig.vmm, result, &error));
	check(banger_error_is_cancelled(error));
	rig_say(&rig, "{\"event\": \"RESUME\"}");
	rig_check_told(&rig, "resumed\n");
	rig_say(&rig, "{\"return\": {}, \"id\": 4}");
	rig_done(&rig);
}

/* A parser that calls itself for each level runs out of stack. */
static void
test_message_when_nested_deep_then_the_end(void)
{
	for (size_t depth = 900; depth <= 32000; depth += 31100) {
		g_autofree char *begins = g_strnfill(depth, '['), *ends = g_strnfill(depth, ']');
		g_autofree char *line =
			g_strdup_printf("{\"event\": \"STOP\", \"data\": %s%s}", begins, ends);
		Rig rig;

		rig_init(&rig, "running");
		rig_say(&rig, line);
		check((rig.told->len > 0) == (depth == 900));
		check((rig_hear(&rig) != NULL) == (depth == 900));
		rig_done(&rig);
	}
}

TEST_MAIN(TEST(test_guest_when_it_goes_on_again_and_again_untold_then_the_end),
	  TEST(test_resume_when_cancelled_then_not_waited_for_and_heard_when_it_comes),
	  TEST(test_message_when_nested_deep_then_the_end),
	  TEST(test_message_when_of_wrong_kinds_then_no_notice_is_taken),
	  TEST(test_pause_when_a_disk_had_an_error_then_told_which),
	  TEST(test_pause_when_no_disk_stopped_it_then_none_is_blamed),
	  TEST(test_status_when_a_disk_failed_before_we_came_then_it_is_asked_which),
	  TEST(test_status_when_it_goes_on_before_the_answer_then_not_paused),
	  TEST(test_t39_words_when_hostile_then_escaped_bounded_or_the_end))
