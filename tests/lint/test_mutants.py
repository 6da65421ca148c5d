#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each mutant of tests/mutants applies, breaks the product alone and names a test that is there; what the threat model
calls tested has both a test and a mutant of its number; and run.py tells a bug that is found from all others.

    test_mutants.py SOURCE BUILD
"""

import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import tap

SOURCE, BUILD = (pathlib.Path(argument) for argument in sys.argv[1:3])
sys.path.insert(0, str(SOURCE / 'tests' / 'mutants'))
sys.dont_write_bytecode = True

import mutant as mutants  # noqa: E402
import run  # noqa: E402

NUMBER = re.compile(r'(?:^|[_ ])(t\d\d)(?=[_ -])')

ANSWER = 'int answer(void);\n\nint\nanswer(void)\n{\n\treturn 42;\n}\n'
PROGRAM = """\
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int answer(void);

int
main(void)
{
	if (answer() == 6)
		abort();
	while (answer() == 7)
		(void)pause();
	printf("1..3\\n%s 1 - test_answer\\nok 2 - test_other\\n", answer() == 42 ? "ok" : "not ok");
	printf("not ok 3 - test_broken\\n");
	return 1;
}
"""
MESON = """\
project('tiny', 'c')
test('answer', executable('answer', 'src/answer.c', 'tests/answer.c'), suite: 'unit', protocol: 'tap', timeout: 1)
"""
FOUND = 'Breaks: the answer.\nTest: unit/answer test_answer\n'

PATCH = """\
diff --git a/src/answer.c b/src/answer.c
--- a/src/answer.c
+++ b/src/answer.c
@@ -5,3 +5,3 @@
 {{
-	return 42;
+	return {value};
 }}
"""

# Name → header, what 42 becomes, and what run.py says: '' where the bug is found.
TRIALS = {
    'found': (FOUND, '43', ''),
    'found-again': (FOUND, '44', ''),
    'survives': (FOUND, '42 + 0', 'test_answer passes on it'),
    'other-test': ('Breaks: it.\nTest: unit/answer test_other\n', '43', 'test_other passes on it'),
    'one-of-two': (FOUND + 'Test: unit/answer test_other\n', '43', 'test_other passes on it'),
    'fails-anyway': ('Breaks: it.\nTest: unit/answer test_broken\n', '43', 'does not pass without it'),
    'unheard-of': ('Breaks: it.\nTest: unit/answer test_new\n', '43', 'does not pass without it'),
    'no-program': ('Breaks: it.\nTest: unit/question test_answer\n', '43', 'there is no unit/question'),
    'does-not-build': (FOUND, '42 +', 'does not build'),
    'dies': (FOUND, '6', 'ended by signal 6'),
    'dies-as-said': (FOUND + 'Dies: of it\n', '6', ''),
    'hangs': (FOUND, '7', 'did not end'),
    'hangs-as-said': (FOUND + 'Hangs: for ever\n', '7', ''),
    'no-test': ('Breaks: the answer.\n', '43', 'says not both'),
    'unknown-key': (FOUND + 'Note: well\n', '43', 'Note: is unknown'),
}


@functools.cache
def known_tests():
    text = (BUILD / 'meson-info' / 'intro-tests.json').read_text(encoding='utf-8')
    return {(test['suite'][0].rpartition(':')[2], test['name']) for test in json.loads(text)}


@functools.cache
def text_of_tests():
    paths = [path for top in ('tests', 'tools') for path in (SOURCE / top).rglob('*') if path.suffix in ('.c', '.py')]
    return '\n'.join(path.read_text(encoding='utf-8') for path in paths)


@functools.cache
def named_tests():
    """Names of tests that begin with the numbers of threats."""
    return set(re.findall(r'\b(?:test_)?(?:t\d\d_)+\w+|\bt\d\d-[a-z-]+', text_of_tests()))


def trouble_of_test(mutant, test):
    if (test.suite, test.program) not in known_tests():
        return f'there is no {test.suite}/{test.program}'
    if not re.search(rf'\b{re.escape(test.name.rpartition(".")[2])}\b', text_of_tests()):
        return f'no test is called {test.name}'
    if mutant.threat and mutant.threat not in NUMBER.findall(test.name.rpartition('.')[2]):
        return f'{test.name} is not named after {mutant.threat}'
    return ''


def test_patch(path):
    try:
        mutant = mutants.read(path)
    except mutants.Malformed as error:
        return str(error)
    if not mutant.files or any(name.startswith('tests/') for name in mutant.files):
        return f'changes {mutant.files}: not the product'
    trouble = next(filter(None, (trouble_of_test(mutant, test) for test in mutant.tests)), '')
    applied = run.git(SOURCE, 'apply', '--check', str(path))
    return trouble or (applied.stderr if applied.returncode else '')


def test_threats():
    text = (SOURCE / 'docs' / 'threat-model.md').read_text(encoding='utf-8')
    rows = dict(re.findall(r'^\| T(\d+) \|[^|]*\| *([^|]*?) *\|$', text, re.M))
    tested = {f't{int(number):02}' for number, answer in rows.items() if answer == 'tested'}
    with_test = {number for name in named_tests() for number in NUMBER.findall(name)}
    with_mutant = {found[1] for path in mutants.paths() if (found := mutants.OF_THREAT.fullmatch(path.stem))}
    lists = {'called tested': tested, 'with a test': with_test, 'with a mutant': with_mutant}
    everything = set.union(*lists.values())
    wrong = [f'not {what}: ' + ' '.join(sorted(everything - numbers)) for what, numbers in lists.items()
             if everything - numbers]
    return '; '.join(wrong) if rows else 'the threat model has no table'


def lay_tiny(directory):
    files = {'meson.build': MESON, 'src/answer.c': ANSWER, 'tests/answer.c': PROGRAM}
    for name, (header, value, _) in TRIALS.items():
        files[f'tests/mutants/{name}.patch'] = f'{header}\n{PATCH.format(value=value)}'
    files['tests/mutants/out-of-date.patch'] = files['tests/mutants/found.patch'].replace('return 42', 'return 41')
    for name, text in files.items():
        path = pathlib.Path(directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    run.git(pathlib.Path(directory), 'init', '-q')


def status(directory):
    return run.git(pathlib.Path(directory), 'status', '--short', '-uall').stdout


def test_run():
    expected = {name: said for name, (_, _, said) in TRIALS.items()} | {'out-of-date': 'does not apply'}
    with tempfile.TemporaryDirectory() as source, tempfile.TemporaryDirectory() as cache:
        lay_tiny(source)
        before = status(source)
        command = [sys.executable, '-B', str(SOURCE / 'tests' / 'mutants' / 'run.py'), '--source', source]
        done = subprocess.run([*command, '--cache', cache], capture_output=True, text=True, check=False)
        again = subprocess.run([*command, '--cache', cache, 'found'], capture_output=True, text=True, check=False)
        if status(source) != before:
            return 'changed the tree'
    said = re.findall(r'^(ok|not ok) \d+ - (\S+)\n((?:#.*\n)*)', done.stdout, re.M)
    wrong = [(result, name, text) for result, name, text in said
             if (result == 'ok') == bool(expected[name]) or expected[name] not in text]
    if wrong or len(said) != len(expected) or (done.returncode, again.returncode) != (1, 0):
        return f'{wrong} of {len(said)}: {done.returncode}, {again.returncode}: {done.stderr}'.replace('\n', '\n# ')
    return ''


def tests():
    yield 'threats called tested have a test and a mutant', test_threats
    yield 'run.py tells what is found' + ('' if os.geteuid() == 0 else ' # SKIP needs root'), \
        test_run if os.geteuid() == 0 else lambda: ''
    for path in mutants.paths():
        yield f'{path.stem} applies and names its tests', functools.partial(test_patch, path)


if __name__ == '__main__':
    sys.exit(tap.run(tests()))
