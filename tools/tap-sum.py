#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sums what meson's test runs found into one last line: `N passed, N failed`.

    tap-sum.py [--allow-skip NAME]… TESTLOG.json…

Each line of a TAP program counts as one test, any other program as one. A skip is a failure, because a test that
quietly does not run proves nothing: but for NAME, a program ("kernel / jail") or one test of it ("jail: needs KVM"),
whose skips are named and not counted. So are programs that ended otherwise than their lines say.
"""

import argparse
import json
import re
import sys

TAP_LINE = re.compile(r'(?P<result>ok|not ok)\b *\d*(?: *-)? *(?P<name>[^#\n]*?) *'
                      r'(?:# *(?P<skip>SKIP)\b[^\n]*)?', re.I)
PASSED = ('OK', 'EXPECTEDFAIL')


class Sum:
    def __init__(self, allowed):
        self.passed, self.failures, self.skips = 0, [], []
        self.allowed = set(allowed)

    def add(self, record):
        """One line of testlog.json: one program."""
        # meson says "project:suite / name".
        program = re.sub(r'^[^:/ ]+:', '', record['name'])
        result = record['result']
        before = len(self.failures)
        lines = [TAP_LINE.fullmatch(line) for line in record.get('stdout', '').splitlines()]
        lines = [line for line in lines if line]
        for line in lines:
            self._add_line(program, line)
        if result == 'SKIP' and not any(line['skip'] for line in lines):
            self._skip(program)
        elif result not in PASSED + ('SKIP',) and len(self.failures) == before:
            self.failures.append(f'{program}: {result.lower()}')
        elif result in PASSED and not lines:
            self.passed += 1

    def _add_line(self, program, line):
        name = f'{program}: {line["name"]}' if line['name'] else program
        if line['skip']:
            self._skip(name)
        elif line['result'].lower() == 'ok':
            self.passed += 1
        else:
            self.failures.append(name)

    def _skip(self, name):
        program, _, test = name.rpartition(': ')
        short = name.rpartition(' / ')[2]
        if {name, short, program, program.rpartition(' / ')[2], test} & self.allowed:
            self.skips.append(name)
        else:
            self.failures.append(f'{name}: skipped')


def main():
    parser = argparse.ArgumentParser(description='Sums test results into "N passed, N failed".')
    parser.add_argument('--allow-skip', action='append', default=[], metavar='NAME')
    parser.add_argument('logs', nargs='+', metavar='TESTLOG.json')
    arguments = parser.parse_args()
    total = Sum(arguments.allow_skip)
    for path in arguments.logs:
        try:
            with open(path, encoding='utf-8') as log:
                for line in filter(str.strip, log):
                    total.add(json.loads(line))
        except (OSError, ValueError, KeyError) as error:
            # A run that was cut short must not look green.
            total.failures.append(f'{path}: {error!r}')
    for name in total.skips:
        print(f'skipped: {name}')
    for name in total.failures:
        print(f'FAILED: {name}')
    if not total.passed and not total.failures:
        total.failures.append('nothing ran')
        print('FAILED: nothing ran')
    print(f'{total.passed} passed, {len(total.failures)} failed')
    return 1 if total.failures else 0


if __name__ == '__main__':
    sys.exit(main())
