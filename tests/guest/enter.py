# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs one of the tests below inside/ as root in the world of tools/try: enter.py NAME [TEST...]."""

import os
import sys

SOURCE = os.environ['BANGER_SOURCE']
sys.path.insert(0, SOURCE + '/tools')
from trial import Trial, world  # noqa: E402

INSIDE = '/usr/src/banger-tests'
# Tests that want somebody around the host.
AROUND = ('test_outside',)


def main():
    trial = Trial(os.environ.get('BANGER_TRY_CACHE'))
    trial.make(yes=True)
    name, *tests = sys.argv[1:]
    long = ['--setenv', 'BANGER_LONG=1'] if os.environ.get('BANGER_LONG') else []
    trial.become(['/usr/bin/python3', '-B', f'{INSIDE}/guest/inside/{name}.py', *tests], '--user', 'root',
                  '--session', 'dev2', '--session', 'outsider', *long, *(world() if name in AROUND else ()),
                  '--bind-ro', f'{SOURCE}/tests:{INSIDE}')


main()
