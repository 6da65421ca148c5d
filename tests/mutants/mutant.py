# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a mutant says of itself: its patch and the words before it.

    Breaks: what no longer holds, in plain words, as many lines as it takes
    Test: SUITE/PROGRAM [NAME]     must fail on it: one test of a program, or where it has no names the program;
                                   may be repeated, each must fail
    Dies: why                      only where it ends the program by a signal
    Hangs: why                     only where it makes the test wait for ever: costs its whole time limit
"""

import pathlib
import re
from typing import NamedTuple

HERE = pathlib.Path(__file__).resolve().parent
# A threat's number, and which of its mutants this is where there are several.
OF_THREAT = re.compile(r'(t\d\d)(-[a-z0-9-]+)?')


class Malformed(Exception):
    """Is no mutant, for this reason."""


class Test(NamedTuple):
    suite: str
    program: str
    name: str  # '' for the whole program

    def __str__(self):
        return f'{self.suite}/{self.program} {self.name}'.rstrip()


class Mutant(NamedTuple):
    path: pathlib.Path
    breaks: str
    tests: list
    dies: bool
    hangs: bool
    files: list  # that it changes

    @property
    def name(self):
        return self.path.stem

    @property
    def threat(self):
        """'t08', or None."""
        match = OF_THREAT.fullmatch(self.name)
        return match and match[1]


def read_header(text):
    """(key, value) of each entry before the patch; a value goes on over lines without a key."""
    entries = []
    for line in text.splitlines():
        match = re.match(r'([A-Z][a-z]+): +(\S.*)', line)
        if match:
            entries.append([match[1], match[2]])
        elif line.strip() and entries:
            entries[-1][1] += ' ' + line.strip()
        elif line.strip():
            raise Malformed(f'"{line}" is no entry')
    return entries


def read_test(value):
    match = re.fullmatch(r'([a-z]+)/([a-z0-9-]+)(?: +(\S.*))?', value)
    if not match:
        raise Malformed(f'Test: "{value}" is not SUITE/PROGRAM [NAME]')
    return Test(match[1], match[2], match[3] or '')


def read(path):
    header, found, patch = path.read_text(encoding='utf-8').partition('\ndiff --git ')
    if not found:
        raise Malformed('no "diff --git" in it')
    entries = read_header(header)
    keys = [key for key, _ in entries]
    for key in keys:
        if key not in ('Breaks', 'Test', 'Dies', 'Hangs') or key != 'Test' and keys.count(key) > 1:
            raise Malformed(f'{key}: is unknown, or there twice')
    if 'Breaks' not in keys or 'Test' not in keys:
        raise Malformed('says not both what it breaks ("Breaks:") and which test must fail ("Test:")')
    files = re.findall(r'^a/(\S+) b/\1$', f'{patch}'.replace('\ndiff --git ', '\n'), re.M)
    return Mutant(path, dict(entries)['Breaks'], [read_test(value) for key, value in entries if key == 'Test'],
                  'Dies' in keys, 'Hangs' in keys, files)


def paths(directory=HERE):
    return sorted(directory.glob('*.patch'))
