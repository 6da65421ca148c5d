/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger-image-writer: the child process in which bytes from outside become a filesystem. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/image.h"
#include "shared/base/clock.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"
#include "shared/base/macro.h"
#include "shared/base/sandbox.h"
#include "shared/base/str-util.h"

static const char usage[] =
	"banger-image-writer --input FD --output FD [--status FD] [--max-bytes N] [--max-entries N]\n"
	"banger-image-writer --blank --output FD --size BYTES [--label L] [--overlay] [--status FD]\n"
	"\n"
	"Makes an ext4 filesystem in an empty regular file that is open for reading and writing.\n"
	"The numbers name inherited descriptors; all others are closed.\n"
	"\n"
	"  --input FD       a tar archive, plain or compressed by gzip, bzip2, xz, zstd or lz4;\n"
	"                   a file or a pipe, read to its end\n"
	"  --output FD      the image; after a failure it is empty\n"
	"  --status FD      where lines go (default: standard output)\n"
	"  --max-bytes N    largest image (default 256 GiB)\n"
	"  --max-entries N  most entries in the archive (default 2000000)\n"
	"  --blank          no archive: an empty filesystem with a journal\n"
	"  --size BYTES     its size\n"
	"  --label L        its volume name, at most 16 bytes\n"
	"  --overlay        with the directories that overlayfs writes to: upper and work\n"
	"\n"
	"Lines: \"progress BYTES ENTRIES\" (bytes of the input, as it came), at most ten a second;\n"
	"then one of\n"
	"  done DIGEST IMAGE-BYTES ALLOCATED-BYTES ENTRIES HAS-INIT INIT-PATH\n"
	"  error KEYWORD TEXT\n"
	"DIGEST is the SHA-256 of the archive after decompression, \"-\" for a blank filesystem;\n"
	"HAS-INIT is 0 or 1; INIT-PATH is \"-\" where there is none. KEYWORD is one of FORMAT CORRUPT\n"
	"TRUNCATED EMPTY NAME CONFLICT LINK TYPE OWNER XATTR TOO_LARGE TOO_MANY READ WRITE NO_SPACE\n"
	"NO_MEMORY CANCELLED INVALID INTERNAL. The image is synced when \"done\" is written, a blank one is not.\n"
	"Exit status: 0 done, 1 error, 2 wrong usage.\n";

#define PROGRESS_NS UINT64_C(100000000)

typedef struct Options {
	int input, output, status;
	uint64_t max_bytes, max_entries, size;
	const char *label;
	bool blank, overlay;
} Options;

typedef struct Progress {
	int status;
	uint64_t last_ns;
} Progress;

/* One write per line, so that a reader sees whole ones. */
static int _printf_(2, 3) say(int status, const char *format, ...)
{
	char line[BN_IMAGE_ERROR_TEXT + 64];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	return bn_io_write_all(status, line, BN_MIN((size_t)n, sizeof(line) - 1));
}

/* Looks at the clock when there is something to say; no timer says when. A status that nobody reads
 * any more ends the work: whoever started it is gone. */
static int
report_progress(void *userdata, uint64_t bytes, uint64_t entries)
{
	Progress *progress = userdata;
	uint64_t now = bn_clock_ns();

	if (now - progress->last_ns < PROGRESS_NS)
		return 0;
	progress->last_ns = now;
	return say(progress->status, "progress %llu %llu\n", (unsigned long long)bytes,
		   (unsigned long long)entries);
}

static int
say_done(const Options *o, const BnImageResult *result)
{
	char digest[2 * BN_IMAGE_DIGEST_SIZE + 1] = "-";

	if (!o->blank)
		bn_str_hex(result->digest, sizeof(result->digest), digest);
	return say(o->status, "done %s %llu %llu %llu %d %s\n", digest,
		   (unsigned long long)result->bytes, (unsigned long long)result->allocated_bytes,
		   (unsigned long long)result->entries, result->has_init,
		   result->has_init ? result->init : "-");
}

static int
run(const Options *o)
{
	Progress progress = { .status = o->status };
	BnImageRequest image = { .input = o->input,
				 .output = o->output,
				 .max_bytes = o->max_bytes,
				 .max_entries = o->max_entries,
				 .progress = report_progress,
				 .userdata = &progress };
	BnBlankRequest blank = {
		.output = o->output, .size_bytes = o->size, .label = o->label, .overlay = o->overlay
	};
	BnImageResult result;
	BnImageError error;
	int r = o->blank ? bn_blank_write(&blank, &result, &error)
			 : bn_image_write(&image, &result, &error);

	if (r >= 0)
		return say_done(o, &result) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	(void)say(o->status, "error %s %s\n", bn_image_fault_to_string(error.fault), error.text);
	return EXIT_FAILURE;
}

static int
parse_fd(const char *text, int *ret)
{
	uint64_t value;
	int r = bn_str_parse_u64(text, 1 << 20, &value);

	if (r >= 0 && fcntl((int)value, F_GETFD) < 0)
		r = bn_errno();
	if (r >= 0)
		*ret = (int)value;
	return r;
}

static int
parse_option(Options *o, int option, const char *value)
{
	switch (option) {
	case 'i':
		return parse_fd(value, &o->input);
	case 'o':
		return parse_fd(value, &o->output);
	case 's':
		return parse_fd(value, &o->status);
	case 'b':
		return bn_str_parse_u64(value, INT64_MAX, &o->max_bytes);
	case 'e':
		return bn_str_parse_u64(value, BN_IMAGE_ENTRIES_MAX, &o->max_entries);
	case 'z':
		return bn_str_parse_u64(value, INT64_MAX, &o->size);
	case 'l':
		o->label = value;
		return 0;
	case 'B':
		o->blank = true;
		return 0;
	case 'O':
		o->overlay = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static int
parse_options(int argc, char **argv, Options *o)
{
	static const struct option options[] = {
		{ "input", required_argument, NULL, 'i' },
		{ "output", required_argument, NULL, 'o' },
		{ "status", required_argument, NULL, 's' },
		{ "max-bytes", required_argument, NULL, 'b' },
		{ "max-entries", required_argument, NULL, 'e' },
		{ "blank", no_argument, NULL, 'B' },
		{ "overlay", no_argument, NULL, 'O' },
		{ "size", required_argument, NULL, 'z' },
		{ "label", required_argument, NULL, 'l' },
		{},
	};
	int option, index = 0;

	while ((option = getopt_long(argc, argv, "", options, &index)) >= 0) {
		int r = option == '?' ? -EINVAL : parse_option(o, option, optarg);

		if (r < 0 && option != '?')
			(void)dprintf(STDERR_FILENO, "banger-image-writer: --%s %s: %s\n",
				      options[index].name, optarg, strerror(-r));
		if (r < 0)
			return r;
	}
	if (optind < argc || o->output < 0 || o->blank == (o->input >= 0) ||
	    o->blank != (o->size > 0))
		return -EINVAL;
	return 0;
}

int
main(int argc, char **argv)
{
	Options o = { .input = -1, .output = -1, .status = STDOUT_FILENO };
	int fds[3], r;
	size_t n = 0;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return bn_io_write_all(STDOUT_FILENO, usage, strlen(usage)) < 0;
	if (parse_options(argc, argv, &o) < 0) {
		(void)dprintf(STDERR_FILENO, "%s", usage);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	/* Over RLIMIT_FSIZE a write shall fail, and be told, rather than kill. */
	(void)signal(SIGXFSZ, SIG_IGN);
	/* libarchive turns the UTF-8 of extended headers into the locale's characters: so that every
	 * name comes out as the bytes it is, whatever the caller's language. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	if (o.input >= 0)
		fds[n++] = o.input;
	fds[n++] = o.output;
	fds[n++] = o.status;
	r = bn_sandbox_enter(fds, n,
			     o.blank       ? o.size
			     : o.max_bytes ? o.max_bytes
					   : BN_IMAGE_BYTES_MAX);
	if (r < 0) {
		(void)say(o.status, "error INTERNAL the sandbox could not be entered: %s\n",
			  strerror(-r));
		return EXIT_FAILURE;
	}
	return run(&o);
}
