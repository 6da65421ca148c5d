# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs one of the programs beside it as root in the world of tools/try, whose network is its own: NAME [TEST...]."""

import os
import sys

SOURCE = os.environ['BANGER_SOURCE']
sys.path.insert(0, SOURCE + '/tools')
from trial import Trial  # noqa: E402

TESTS, BUILT = '/usr/src/banger-tests', '/usr/src/banger-built-tests'


def main():
    trial = Trial(os.environ.get('BANGER_TRY_CACHE'))
    trial.make(yes=True, bare=True)
    name, *tests = sys.argv[1:]
    told = [word for variable in ('BANGER_LONG', 'BANGER_TEST') if variable in os.environ
            for word in ('--setenv', f'{variable}={os.environ[variable]}')]
    trial.become(['/usr/bin/python3', '-B', f'{TESTS}/net/{name}.py', *tests], '--user', 'root', *told,
                 '--bind-ro', f'{SOURCE}/tests:{TESTS}', '--bind-ro', f'{os.environ["BANGER_BUILT_TESTS"]}:{BUILT}')


main()
