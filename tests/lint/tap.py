# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs tests of Python and says so in TAP: a test returns what is wrong, or something empty. BANGER_TEST=NAME runs that
one alone."""

import os


def run(tests):
    """`tests` yields (name, function); returns the program's exit status."""
    number, failed = 0, 0
    wanted = ((name, test) for name, test in tests if name == os.environ.get('BANGER_TEST', name))
    for number, (name, test) in enumerate(wanted, 1):
        trouble = test()
        failed += bool(trouble)
        print(f'{"not ok" if trouble else "ok"} {number} - {name}')
        if trouble:
            print(f'# {trouble}')
    print(f'1..{number}')
    return 1 if failed else 0
