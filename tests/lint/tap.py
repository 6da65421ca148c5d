# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs tests of Python and says so in TAP: a test returns what is wrong, or something empty."""


def run(tests):
    """`tests` yields (name, function); returns the program's exit status."""
    number, failed = 0, 0
    for number, (name, test) in enumerate(tests, 1):
        trouble = test()
        failed += bool(trouble)
        print(f'{"not ok" if trouble else "ok"} {number} - {name}')
        if trouble:
            print(f'# {trouble}')
    print(f'1..{number}')
    return 1 if failed else 0
