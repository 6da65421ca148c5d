/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/rules/conf.h"

#include <errno.h>

#include "test.h"

static char seen[512];

static const char *
note_key(void *data, const char *group, const char *key, const char *value)
{
	size_t used = strlen(seen);

	if (strcmp(key, "bad") == 0)
		return "unknown key";
	(void)snprintf(seen + used, sizeof(seen) - used, "%s.%s=%s;", group, key, value);
	return NULL;
}

static int
parse(const char *text, BnConfError *reterr)
{
	seen[0] = '\0';
	memset(reterr, 0, sizeof(*reterr));
	return bn_conf_parse(text, strlen(text), note_key, NULL, reterr);
}

static void
test_conf_when_well_formed_then_every_key_in_order(void)
{
	BnConfError e;

	check_int(parse("# comment\n\n[a]\nx=1\n y-2 =  two words \r\n[b]\nx=\nz=a=b#c", &e), 0);
	check_str(seen, "a.x=1;a.y-2=two words;b.x=;b.z=a=b#c;");
	check_int(parse("", &e), 0);
	check_str(seen, "");
}

static void
test_conf_when_malformed_then_refused_with_its_line(void)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *part;
	} cases[] = {
		{ "x=1\n", 1, "before the first group" },
		{ "[a]\n\nnonsense\n", 3, "key=value" },
		{ "[a\nx=1\n", 1, "\"]\"" },
		{ "[]\n", 1, "group" },
		{ "[A]\n", 1, "group" },
		{ "[a]\n=1\n", 2, "key" },
		{ "[a]\nX=1\n", 2, "key" },
		{ "[a]\nx=1\nx=2\n", 3, "twice" },
		{ "[a]\nx=1\n[b]\n[a]\nx=2\n", 5, "twice" },
		{ "[a]\nbad=1\n", 2, "[a] bad: unknown key" },
		{ "[0123456789012345678901234567890123456789012345678901234567890123]\n", 1,
		  "group" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		BnConfError e;

		check_int(parse(cases[i].text, &e), -EINVAL);
		check_int(e.line, cases[i].line);
		check(strstr(e.text, cases[i].part));
	}
}

static void
test_conf_when_hostile_then_bounded(void)
{
	static char text[100000];
	BnConfError e;

	memset(text, 'a', sizeof(text));
	check_int(bn_conf_parse(text, sizeof(text), note_key, NULL, &e), -EINVAL);
	check_int(bn_conf_parse("[a]\nx=\0y\n", 9, note_key, NULL, &e), -EINVAL);
	check(strstr(e.text, "NUL"));
	strcpy(text, "[a]\n");
	for (int i = 0; i < 100; i++)
		(void)snprintf(text + strlen(text), 32, "x%d=1\n", i);
	check_int(bn_conf_parse(text, strlen(text), note_key, NULL, &e), -EINVAL);
	check(strstr(e.text, "more than"));
}

TEST_MAIN(TEST(test_conf_when_well_formed_then_every_key_in_order),
	  TEST(test_conf_when_malformed_then_refused_with_its_line),
	  TEST(test_conf_when_hostile_then_bounded))
