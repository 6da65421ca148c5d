/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger-image-writer: an archive becomes an ext4 image; or a blank disk is made. A child of bangerd, so that what
 * parses foreign bytes is nobody's daemon.
 *
 * It reports on the descriptor given by --status: "progress BYTES ENTRIES", then "done DIGEST SIZE ALLOCATED ENTRIES
 * HAS-INIT INIT" or "error KEYWORD text". */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/import.h"
#include "shared/base/str-util.h"
#include "shared/rules/limits.h"

typedef struct Options {
	bool blank;
	uint64_t input, output, status;
	uint64_t size;
	const char *label;
} Options;

static int report_fd = STDERR_FILENO;

static void
on_progress(uint64_t bytes, uint64_t entries)
{
	(void)dprintf(report_fd, "progress %ju %ju\n", (uintmax_t)bytes, (uintmax_t)entries);
}

static int
report_error(const ImageError *error)
{
	(void)dprintf(report_fd, "error %s %s\n", error->keyword, error->text);
	return 1;
}

static int
run_import(const Options *options)
{
	ImportResult result;
	ImageError error = {};
	struct stat st = {};

	if (import_archive((int)options->input, (int)options->output, on_progress, &result,
			   &error) < 0)
		return report_error(&error);
	(void)fstat((int)options->output, &st);
	(void)dprintf(report_fd, "done %s %ju %ju %ju %d %s\n", result.digest,
		      (uintmax_t)st.st_size, (uintmax_t)st.st_blocks * 512,
		      (uintmax_t)result.entries, *result.init != '\0',
		      *result.init ? result.init : "-");
	return 0;
}

static int
run_blank(const Options *options)
{
	ImageError error = {};

	if (ext4_create_blank((int)options->output, options->size, options->label, &error) < 0)
		return report_error(&error);
	(void)dprintf(report_fd, "done\n");
	return 0;
}

static int
usage(FILE *out)
{
	(void)fputs(
		"usage: banger-image-writer --input FD --output FD [--status FD]\n"
		"       banger-image-writer --blank --size BYTES [--label TEXT] --output FD [--status FD]\n"
		"Makes an ext4 image of a tar archive, or an empty ext4 disk. Run by bangerd.\n",
		out);
	return out == stdout ? 0 : 2;
}

int
main(int argc, char **argv)
{
	static const struct option table[] = {
		{ "blank", no_argument, NULL, 'b' },
		{ "input", required_argument, NULL, 'i' },
		{ "output", required_argument, NULL, 'o' },
		{ "status", required_argument, NULL, 's' },
		{ "size", required_argument, NULL, 'z' },
		{ "label", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	Options options = { .input = UINT64_MAX, .output = UINT64_MAX, .status = UINT64_MAX };
	int c, r = 0;

	while ((c = getopt_long(argc, argv, "", table, NULL)) >= 0 && r >= 0) {
		if (c == 'b')
			options.blank = true;
		else if (c == 'i')
			r = bn_str_parse_u64(optarg, 1023, &options.input);
		else if (c == 'o')
			r = bn_str_parse_u64(optarg, 1023, &options.output);
		else if (c == 's')
			r = bn_str_parse_u64(optarg, 1023, &options.status);
		else if (c == 'z')
			r = bn_str_parse_u64(optarg, BN_DISK_MAX, &options.size);
		else if (c == 'l')
			options.label = optarg;
		else
			return usage(c == 'h' ? stdout : stderr);
	}
	if (r < 0 || optind != argc || options.output == UINT64_MAX ||
	    (options.blank ? options.size < BN_DISK_MIN : options.input == UINT64_MAX))
		return usage(stderr);
	if (options.status != UINT64_MAX)
		report_fd = (int)options.status;
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return options.blank ? run_blank(&options) : run_import(&options);
}
