#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tap-sum.py counts what ran, and lets nothing that did not pass as if it had."""

import json
import pathlib
import subprocess
import sys
import tempfile

import tap

TAP_SUM = pathlib.Path(__file__).resolve().parent.parent.parent / 'tools' / 'tap-sum.py'

TWO = {'name': 'banger:rules / names', 'result': 'OK', 'stdout': '1..2\nok 1 - test_a\nok 2 - test_b\n'}
PLAIN = {'name': 'banger:lint / lint-tree', 'result': 'OK', 'stdout': 'ok, it says\n'}
ONE_BAD = {'name': 'banger:unit / ledger', 'result': 'FAIL', 'stdout': '1..2\nok 1 - test_a\nnot ok 2 - test_b\n'}
DIED = {'name': 'banger:unit / died', 'result': 'ERROR', 'stdout': '1..2\nok 1 - test_a\n'}
LATE = {'name': 'banger:unit / late', 'result': 'TIMEOUT', 'stdout': ''}
SOME = {'name': 'banger:kernel / jail', 'result': 'OK', 'stdout': '1..2\nok 1 - test_a\nok 2 - test_b # SKIP no KVM\n'}
SKIPPED = {'name': 'banger:guest / run', 'result': 'SKIP', 'stdout': ''}
ALL_SKIPPED = {'name': 'banger:guest / run', 'result': 'SKIP', 'stdout': '1..0 # SKIP no qemu\n'}
SURPRISE = {'name': 'banger:unit / x', 'result': 'UNEXPECTEDPASS', 'stdout': ''}
NESTED = {'name': 'banger:unit / x', 'result': 'OK', 'stdout': '1..1\n    not ok 1 - inner\nok 1 - outer\n'}

CASES = (
    # name, records, options, status, lines
    ('tap lines and plain programs', (TWO, PLAIN), (), 0, ['3 passed, 0 failed']),
    ('a failing line', (TWO, ONE_BAD), (), 1, ['FAILED: unit / ledger: test_b', '3 passed, 1 failed']),
    ('a program that died after its last line', (DIED,), (), 1, ['FAILED: unit / died: error', '1 passed, 1 failed']),
    ('a program that took too long', (LATE,), (), 1, ['FAILED: unit / late: timeout', '0 passed, 1 failed']),
    ('a skipped line', (SOME,), (), 1, ['FAILED: kernel / jail: test_b: skipped', '1 passed, 1 failed']),
    ('a skipped line, allowed', (SOME,), ('--allow-skip', 'test_b'), 0,
     ['skipped: kernel / jail: test_b', '1 passed, 0 failed']),
    ('a skipped line, its program allowed', (SOME,), ('--allow-skip', 'jail'), 0,
     ['skipped: kernel / jail: test_b', '1 passed, 0 failed']),
    ('a skipped line, another allowed', (SOME,), ('--allow-skip', 'test_a'), 1,
     ['FAILED: kernel / jail: test_b: skipped', '1 passed, 1 failed']),
    ('a skipped program', (TWO, SKIPPED), (), 1, ['FAILED: guest / run: skipped', '2 passed, 1 failed']),
    ('a skipped program, allowed', (TWO, SKIPPED), ('--allow-skip', 'guest / run'), 0,
     ['skipped: guest / run', '2 passed, 0 failed']),
    ('a plan of nothing', (TWO, ALL_SKIPPED), (), 1, ['FAILED: guest / run: skipped', '2 passed, 1 failed']),
    ('a pass that was not expected', (SURPRISE,), (), 1, ['FAILED: unit / x: unexpectedpass', '0 passed, 1 failed']),
    ('lines of an inner test', (NESTED,), (), 0, ['1 passed, 0 failed']),
    ('nothing ran', (), (), 1, ['FAILED: nothing ran', '0 passed, 1 failed']),
)


def run(text, options):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, 'testlog.json')
        if text is not None:
            path.write_text(text, encoding='utf-8')
        command = [sys.executable, str(TAP_SUM), *options, str(path)]
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        return result.returncode, result.stdout.splitlines()


def test_case(records, options, status, lines):
    found = run('\n'.join(map(json.dumps, records)), options)
    return '' if found == (status, lines) else f'found {found}'


def test_damaged(text):
    status, lines = run(text, ())
    return '' if status == 1 and lines[-1].endswith(', 1 failed') else f'{status} {lines}'


def tests():
    for name, *case in CASES:
        yield name, lambda case=case: test_case(*case)
    yield 'a log cut short', lambda: test_damaged(json.dumps(TWO) + '\n{"name": "x')
    yield 'a log of something else', lambda: test_damaged('{}\n')
    yield 'no log', lambda: test_damaged(None)


if __name__ == '__main__':
    sys.exit(tap.run(tests()))
