/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A serial port, its log, and those who look on: some read, some do not, some go. */
#include "test.h"

#include <glib/gstdio.h>
#include <linux/sockios.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/adapters/console-log.h"
#include "service/base/error.h"
#include "shared/base/cleanup.h"
#include "shared/base/fd-util.h"
#include "shared/base/io-util.h"

typedef struct Rig {
	char *path;
	int port; /* the guest's end of the serial port, or -1 */
	BangerConsole *console;
} Rig;

static void
rig_open(Rig *rig, bool fresh)
{
	int pair[2];

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	rig->port = pair[0];
	rig->console = banger_console_log_new(rig->path, pair[1], fresh);
}

static void
rig_init(Rig *rig)
{
	static unsigned n;

	(void)signal(SIGPIPE, SIG_IGN);
	rig->path = g_strdup_printf("%s/banger-console-%d-%u", g_get_tmp_dir(), getpid(), n++);
	rig_open(rig, /* fresh= */ true);
}

static void
rig_done(Rig *rig)
{
	bn_closep(&rig->port);
	g_clear_object(&rig->console);
	(void)g_unlink(rig->path);
	g_free(rig->path);
}

static void
turn(void)
{
	while (g_main_context_iteration(NULL, FALSE))
		;
}

/* The guest writes; the loop turns whenever the port is full. */
static void
rig_say(Rig *rig, const char *data, size_t size)
{
	for (size_t done = 0; done < size; turn()) {
		ssize_t n = send(rig->port, data + done, size - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		done += n > 0 ? (size_t)n : 0;
	}
}

static int
rig_log(Rig *rig, bool follow)
{
	g_autoptr(GError) error = NULL;
	int fd = BANGER_CONSOLE_GET_IFACE(rig->console)->open_log(rig->console, follow, &error);

	check(fd >= 0);
	return fd;
}

static int
rig_look(Rig *rig, GError **error)
{
	return BANGER_CONSOLE_GET_IFACE(rig->console)->open(rig->console, error);
}

/* All there is up to the end. Takes `fd`. */
static GString *
read_to_end(int fd)
{
	GString *all = g_string_new(NULL);
	char buffer[65536];

	check_int(bn_fd_set_nonblock(fd, true), 0);
	for (;;) {
		ssize_t n = read(fd, buffer, sizeof(buffer));

		if (n == 0)
			break;
		if (n > 0)
			g_string_append_len(all, buffer, n);
		turn();
	}
	close(fd);
	return all;
}

/* Lines that tell where they are: nothing is lost, doubled or out of order unseen. */
static GString *
make_lines(size_t size)
{
	GString *lines = g_string_new(NULL);

	for (unsigned i = 0; lines->len < size; i++)
		g_string_append_printf(lines, "line %u of the guest\n", i);
	g_string_truncate(lines, size);
	return lines;
}

static void
check_same(const GString *a, const char *b, size_t size)
{
	check_int(a->len, size);
	check(memcmp(a->str, b, size) == 0);
}

static void
test_log_when_guest_wrote_then_a_copy_that_ends(void)
{
	g_autoptr(GString) lines = make_lines(300 * 1000);
	g_autoptr(GString) all = NULL;
	Rig rig = {};

	rig_init(&rig);
	rig_say(&rig, lines->str, lines->len);
	all = read_to_end(rig_log(&rig, /* follow= */ false));
	check_same(all, lines->str, lines->len);
	rig_done(&rig);
}

static void
test_log_when_too_long_then_its_end_is_kept(void)
{
	g_autoptr(GString) lines = make_lines(3 * BANGER_CONSOLE_LOG_MAX + 12345);
	g_autoptr(GString) all = NULL;
	Rig rig = {};

	rig_init(&rig);
	rig_say(&rig, lines->str, lines->len);
	all = read_to_end(rig_log(&rig, /* follow= */ false));
	check(all->len >= BANGER_CONSOLE_LOG_MAX / 2 && all->len <= BANGER_CONSOLE_LOG_MAX);
	check_same(all, lines->str + lines->len - all->len, all->len);
	rig_done(&rig);
}

static void
test_log_when_started_again_then_fresh_or_continued(void)
{
	g_autoptr(GString) kept = NULL, none = NULL;
	Rig rig = {};

	rig_init(&rig);
	rig_say(&rig, "one\n", 4);
	g_clear_object(&rig.console);
	close(rig.port);
	rig_open(&rig, /* fresh= */ false);
	rig_say(&rig, "two\n", 4);
	kept = read_to_end(rig_log(&rig, /* follow= */ false));
	check_str(kept->str, "one\ntwo\n");
	g_clear_object(&rig.console);
	close(rig.port);
	rig_open(&rig, /* fresh= */ true);
	none = read_to_end(rig_log(&rig, /* follow= */ false));
	check_str(none->str, "");
	rig_done(&rig);
}

/* A whole log is kept and as much again comes, before the first byte is read; then the guest ends. */
static void
test_follow_when_reader_is_slow_then_all_and_an_end(void)
{
	g_autoptr(GString) lines = make_lines(2 * BANGER_CONSOLE_LOG_MAX - 4096);
	g_autoptr(GString) all = NULL;
	Rig rig = {};
	int far;

	rig_init(&rig);
	rig_say(&rig, lines->str, BANGER_CONSOLE_LOG_MAX - 4096);
	far = rig_log(&rig, /* follow= */ true);
	rig_say(&rig, lines->str + BANGER_CONSOLE_LOG_MAX - 4096, BANGER_CONSOLE_LOG_MAX);
	bn_closep(&rig.port);
	turn();
	g_clear_object(&rig.console);
	all = read_to_end(far);
	check_same(all, lines->str, lines->len);
	rig_done(&rig);
}

static void
test_follow_when_nobody_reads_then_only_that_one_is_dropped(void)
{
	g_autoptr(GString) lines = make_lines(8 * BANGER_CONSOLE_LOG_MAX);
	g_autoptr(GString) silent = NULL, seen = g_string_new(NULL);
	char buffer[65536];
	Rig rig = {};
	int sleeper, reader;

	rig_init(&rig);
	sleeper = rig_log(&rig, /* follow= */ true);
	reader = rig_log(&rig, /* follow= */ true);
	check_int(bn_fd_set_nonblock(reader, true), 0);
	for (size_t at = 0; at < lines->len; at += 65536) {
		ssize_t n;

		rig_say(&rig, lines->str + at, 65536);
		while ((n = read(reader, buffer, sizeof(buffer))) > 0)
			g_string_append_len(seen, buffer, n);
	}
	check_same(seen, lines->str, lines->len);
	silent = read_to_end(sleeper);
	check(silent->len < lines->len);
	check_same(silent, lines->str, silent->len);
	close(reader);
	rig_done(&rig);
}

static void
test_viewers_when_they_go_then_their_place_is_free(void)
{
	g_autoptr(GError) error = NULL;
	Rig rig = {};
	int fds[16];

	rig_init(&rig);
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
			fds[i] = i % 2 ? rig_log(&rig, /* follow= */ true) : rig_look(&rig, NULL);
		check_int(rig_look(&rig, &error), -1);
		check(g_error_matches(error, BANGER_ERROR, BANGER_ERROR_QUOTA_REACHED));
		g_clear_error(&error);
		for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
			check(close(fds[i]) == 0);
		turn();
	}
	rig_done(&rig);
}

static void
test_console_when_typed_then_the_guest_reads_it_and_followers_type_nothing(void)
{
	char buffer[64];
	Rig rig = {};
	int look, follow;

	rig_init(&rig);
	look = rig_look(&rig, NULL);
	follow = rig_log(&rig, /* follow= */ true);
	check_int(send(follow, "no", 2, MSG_NOSIGNAL), 2);
	check_int(send(look, "yes\n", 4, MSG_NOSIGNAL), 4);
	turn();
	check_int(recv(rig.port, buffer, sizeof(buffer), MSG_DONTWAIT), 4);
	check(memcmp(buffer, "yes\n", 4) == 0);
	rig_say(&rig, "echo", 4);
	check_int(recv(look, buffer, sizeof(buffer), MSG_DONTWAIT), 4);
	check_int(recv(follow, buffer, sizeof(buffer), MSG_DONTWAIT), 4);
	close(look);
	close(follow);
	rig_done(&rig);
}

/* Its VMM may be there still, and go on faster than it is listened to. */
static void
test_last_words_when_it_never_stops_talking_then_told_all_the_same(void)
{
	g_autoptr(GString) lines = make_lines(2 * BANGER_CONSOLE_LOG_MAX);
	int size = 2 * (int)lines->len, left = 0;
	g_autofree char *words = NULL;
	Rig rig = {};

	rig_init(&rig);
	check_int(setsockopt(rig.port, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)), 0);
	check_int(send(rig.port, lines->str, lines->len, MSG_DONTWAIT), lines->len);
	words = BANGER_CONSOLE_GET_IFACE(rig.console)->get_last_words(rig.console);
	check(words);
	/* It has not waited for the end. */
	check_int(ioctl(rig.port, SIOCOUTQ, &left), 0);
	check(left > 0);
	rig_done(&rig);
}

static void
test_console_when_guest_is_gone_then_refused_and_the_log_stays(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GString) all = NULL;
	Rig rig = {};

	rig_init(&rig);
	rig_say(&rig, "last words\n", 11);
	bn_closep(&rig.port);
	turn();
	check_int(rig_look(&rig, &error), -1);
	check(g_error_matches(error, BANGER_ERROR, BANGER_ERROR_INVALID_STATE));
	all = read_to_end(rig_log(&rig, /* follow= */ true));
	check_str(all->str, "last words\n");
	rig_done(&rig);
}

static void
check_last_words(Rig *rig, const char *said, const char *expected)
{
	g_autofree char *words = NULL;

	if (*said)
		check_int(send(rig->port, said, strlen(said), MSG_NOSIGNAL), strlen(said));
	words = BANGER_CONSOLE_GET_IFACE(rig->console)->get_last_words(rig->console);
	if (expected)
		check_str(words, expected);
	else
		check(!words);
}

static void
test_last_words_when_asked_then_what_matters_and_safe_to_show(void)
{
	g_autoptr(GString) much = make_lines(100 * 1000);
	Rig rig = {};

	rig_init(&rig);
	check_last_words(&rig, "", NULL);
	check_last_words(&rig, "\r\n\r\n", NULL);
	check_last_words(&rig, "one\r\ntwo \033[2J\r\n\r\n", "two \\x1b[2J");
	/* How it went down, not why. */
	check_last_words(&rig, "mounting: no\r\n[    1.3] reboot: Power down\r\n", "mounting: no");
	check_last_words(
		&rig, "[    1.2] Kernel panic - not syncing: no init\r\n[    1.2] ---[ end ]\r\n",
		"Kernel panic - not syncing: no init");
	/* Long ago. */
	rig_say(&rig, much->str, much->len);
	check_last_words(&rig, "\nlast\n", "last");
	/* Also when it has ended before anybody looked. */
	check_int(send(rig.port, "bye\n", 4, MSG_NOSIGNAL), 4);
	bn_closep(&rig.port);
	check_last_words(&rig, "", "bye");
	rig_done(&rig);
}

TEST_MAIN(TEST(test_log_when_guest_wrote_then_a_copy_that_ends),
	  TEST(test_log_when_too_long_then_its_end_is_kept),
	  TEST(test_log_when_started_again_then_fresh_or_continued),
	  TEST(test_follow_when_reader_is_slow_then_all_and_an_end),
	  TEST(test_follow_when_nobody_reads_then_only_that_one_is_dropped),
	  TEST(test_viewers_when_they_go_then_their_place_is_free),
	  TEST(test_console_when_typed_then_the_guest_reads_it_and_followers_type_nothing),
	  TEST(test_last_words_when_asked_then_what_matters_and_safe_to_show),
	  TEST(test_last_words_when_it_never_stops_talking_then_told_all_the_same),
	  TEST(test_console_when_guest_is_gone_then_refused_and_the_log_stays))
