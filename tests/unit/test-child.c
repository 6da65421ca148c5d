/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Children that report, that do not, and that never end a line. */
#include "test.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "service/adapters/child.h"
#include "service/base/error.h"
#include "shared/base/fd-util.h"

#define KIB_MAX 16384

typedef struct Run {
	GAsyncResult *result;
	GString *progress;
} Run;

static void
on_progress(const char *words, void *data)
{
	g_string_append_printf(((Run *)data)->progress, "%s\n", words);
}

static void
on_end(GObject *source, GAsyncResult *result, gpointer data)
{
	((Run *)data)->result = g_object_ref(result);
}

/* What is behind "done", or what went wrong; *ret_progress is what it said on the way. */
static char *
run(const char *script, bool reports, char **ret_progress)
{
	g_autoptr(BangerChild) child = banger_child_new("/bin/sh");
	g_autoptr(GError) error = NULL;
	Run run = { .progress = g_string_new(NULL) };
	char *done;

	banger_child_add(child, "-c");
	banger_child_add(child, script);
	banger_child_add(child, "sh");
	/* The script finds its report behind "--status". */
	banger_child_run_async(child, reports, BANGER_ERROR_IMAGE_INVALID, on_progress, &run,
			       /* cancellable= */ NULL, on_end, &run);
	while (!run.result)
		(void)g_main_context_iteration(NULL, TRUE);
	done = banger_child_run_finish(child, run.result, &error);
	if (!done) {
		check(error->domain == BANGER_ERROR);
		done = g_strdup(error->message);
	}
	g_object_unref(run.result);
	if (ret_progress)
		*ret_progress = run.progress->str;
	(void)g_string_free(run.progress, ret_progress == NULL);
	return done;
}

static void
check_run(const char *script, bool reports, const char *end, const char *progress)
{
	g_autofree char *said = NULL, *done = run(script, reports, &said);

	check_str(done, end);
	check_str(said, progress);
}

static void
test_child_when_it_reports_then_its_words(void)
{
	check_run("printf 'progress a b\\nprogress c\\r\\n\\ndone d e' >&$2", true, "d e",
		  "a b\nc\n");
	check_run("echo error NO_SPACE the disk is full >&$2; exit 1", true, "the disk is full",
		  "");
	check_run("echo last words >&2; exit 1", true, "/bin/sh failed: last words", "");
	check_run("kill -9 $$", true, "/bin/sh was ended by signal 9", "");
	check_run("echo done >&$2; exit 1", true, "/bin/sh failed: no reason given", "");
	check_run("echo donexyz >&$2", true, "/bin/sh failed: no reason given", "");
	check_run("echo error >&$2", true, "error", "");
}

static void
test_child_when_descriptors_were_raised_then_it_has_those_of_before(void)
{
	struct rlimit limit, few;

	check_int(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = limit;
	few.rlim_cur = 123;
	check_int(setrlimit(RLIMIT_NOFILE, &few), 0);
	bn_fd_raise_limit();
	check_run("echo done $(ulimit -Sn) >&$2", true, "123", "");
	check_int(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void
test_child_when_it_does_not_report_then_its_errors_are_progress(void)
{
	check_run("printf 'one\\n\\ntw\\033o\\nthree' >&2", false, "", "one\ntw\\x1bo\nthree\n");
	check_run("echo one >&2; exit 3", false, "/bin/sh failed: one", "one\n");
}

static long
peak_kib(void)
{
	struct rusage usage;

	check_int(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

static void
test_child_when_a_line_is_at_the_bound_and_over_then_whole_and_cut(void)
{
	const char *script = "printf '%04096d\\n%04097d\\nnext\\n' 1 1 >&2";
	g_autofree char *said = NULL, *done = run(script, /* reports= */ false, &said);
	g_auto(GStrv) lines = g_strsplit(said, "\n", -1);

	check_str(done, "");
	check_int(strlen(lines[0]), 4096);
	check(g_str_has_suffix(lines[0], "01"));
	check(g_str_has_suffix(lines[1], "00… (cut: a line of more than 4096 bytes)"));
	check_str(lines[2], "next");
}

static void
test_child_when_its_errors_have_no_end_of_line_then_cut_in_bounded_memory(void)
{
	long before = peak_kib();
	g_autofree char *done = run("head -c 32M /dev/zero | tr '\\0' x >&2; exit 1",
				    /* reports= */ false, NULL);

	check(g_str_has_suffix(done, "(cut: a line of more than 4096 bytes)"));
	check(strlen(done) < 2 * 4096);
	check(peak_kib() - before < KIB_MAX);
}

static void
test_child_when_its_report_has_no_end_of_line_then_it_is_ended_and_named(void)
{
	const char *words = "/bin/sh reports a line of more than 4096 bytes";
	g_autofree char *done = run("printf 'progress %04087d\\ndone' 1 >&$2", true, NULL);

	check_str(done, "");
	check_run("printf 'progress %04088d\\ndone\\n' 1 >&$2", true, words, "");
	/* Without an end of its own. */
	check_run("exec tr '\\0' x < /dev/zero >&$2", true, words, "");
	check_run("echo done >&$2; printf 'error INTERNAL %05000d\\nerror NO_SPACE x\\n' 1 >&$2",
		  true, words, "");
}

static void
test_child_when_a_child_of_its_own_outlives_it_then_not_waited_for(void)
{
	g_autofree char *said = NULL,
			*done = run("sleep 1000 & echo $! >&2; echo last words >&2; exit 3",
				    /* reports= */ false, &said);

	check_str(done, "/bin/sh failed: last words");
	check_int(kill((pid_t)g_ascii_strtoll(said, NULL, 10), SIGKILL), 0);
}

static void
on_up(const char *words, void *data)
{
	g_cancellable_cancel(data);
}

/* One of ours that does not want to go, with one that it has started; or a foreign one. */
static void
check_cancelled(const char *script, bool reports)
{
	g_autoptr(BangerChild) child = banger_child_new("/bin/sh");
	g_autoptr(GCancellable) cancellable = g_cancellable_new();
	g_autoptr(GError) error = NULL;
	Run run = {};
	int held[2];
	char byte;

	check_int(pipe(held), 0);
	banger_child_add(child, "-c");
	banger_child_add(child, script);
	banger_child_add_fd(child, NULL, held[1]);
	banger_child_run_async(child, reports, BANGER_ERROR_FAILED, on_up, cancellable, cancellable,
			       on_end, &run);
	while (!run.result)
		(void)g_main_context_iteration(NULL, TRUE);
	check(!banger_child_run_finish(child, run.result, &error));
	check(g_error_matches(error, BANGER_ERROR, BANGER_ERROR_CANCELLED));
	(void)close(held[1]);
	/* The end comes when nobody is left. */
	check_int(read(held[0], &byte, 1), 0);
	(void)close(held[0]);
	g_object_unref(run.result);
}

static void
test_child_when_cancelled_then_ends_with_all_that_it_has_started(void)
{
	check_cancelled("trap '' TERM; sleep 1000 & echo progress up >&$2; wait", true);
	check_cancelled("sleep 1000 & echo up >&2; wait", false);
}

/* apt(8) and mmdebstrap(1) say so, and then what follows from it. */
static void
test_child_when_it_says_several_errors_then_the_first_is_the_cause(void)
{
	check_run("echo 'W: odd' >&2; echo 'E: no network' >&2; echo 'E: so it failed' >&2; exit 1",
		  false, "/bin/sh failed: E: no network",
		  "W: odd\nE: no network\nE: so it failed\n");
}

TEST_MAIN(TEST(test_child_when_descriptors_were_raised_then_it_has_those_of_before),
	  TEST(test_child_when_it_says_several_errors_then_the_first_is_the_cause),
	  TEST(test_child_when_it_reports_then_its_words),
	  TEST(test_child_when_it_does_not_report_then_its_errors_are_progress),
	  TEST(test_child_when_a_line_is_at_the_bound_and_over_then_whole_and_cut),
	  TEST(test_child_when_its_errors_have_no_end_of_line_then_cut_in_bounded_memory),
	  TEST(test_child_when_its_report_has_no_end_of_line_then_it_is_ended_and_named),
	  TEST(test_child_when_a_child_of_its_own_outlives_it_then_not_waited_for),
	  TEST(test_child_when_cancelled_then_ends_with_all_that_it_has_started))
