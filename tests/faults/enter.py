# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a test as root in the world of tools/try, without image or kernel: enter.py DIRECTORY [TEST...] runs
DIRECTORY/inside.py.

With BANGER_LONG it does all that it could, otherwise a slice that is another every day; BANGER_SLICE=N says which.
"""

import os
import sys

SOURCE = os.environ['BANGER_SOURCE']
sys.path.insert(0, SOURCE + '/tools')
from trial import Trial  # noqa: E402

TESTS, BUILT = '/usr/src/banger-tests', '/usr/src/banger-built-tests'


def main():
    trial = Trial(os.environ.get('BANGER_TRY_CACHE'))
    trial.make(yes=True, bare=True)
    told = [word for name in ('BANGER_LONG', 'BANGER_SLICE') if name in os.environ
            for word in ('--setenv', f'{name}={os.environ[name]}')]
    name, *tests = sys.argv[1:]
    trial.become(['/usr/bin/python3', '-B', f'{TESTS}/{name}/inside.py', *tests], '--user', 'root', *told,
                 '--bind-ro', f'{SOURCE}/tests:{TESTS}', '--bind-ro', f'{os.environ["BANGER_BUILT_TESTS"]}:{BUILT}')


main()
