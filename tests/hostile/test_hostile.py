# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs one of the tests beside it as root in the world of tools/try, without image or kernel: NAME [TEST...]."""

import os
import subprocess
import sys
import tempfile

SOURCE = os.environ['BANGER_SOURCE']
sys.path.insert(0, SOURCE + '/tools')
from trial import Trial  # noqa: E402

TESTS, BUILT, DISKS = '/usr/src/banger-tests', '/usr/src/banger-built-tests', '/srv/disks'


def main():
    trial = Trial(os.environ.get('BANGER_TRY_CACHE'))
    trial.make(yes=True, bare=True)
    name, *tests = sys.argv[1:]
    told = [word for variable in ('BANGER_LONG', 'BANGER_SLICE', 'BANGER_TEST') if variable in os.environ
            for word in ('--setenv', f'{variable}={os.environ[variable]}')]
    # On a real disk: a tmpfs, which the world's files are in, bounds what others do not.
    with tempfile.TemporaryDirectory(prefix='banger-hostile-', dir='/var/tmp') as disks:
        os.chmod(disks, 0o755)
        argv = trial.command(['/usr/bin/python3', '-B', f'{TESTS}/hostile/{name}.py', *tests], '--user', 'root', *told,
                             '--parent', str(os.getpid()), '--bind', f'{disks}:{DISKS}',
                             '--bind-ro', f'{SOURCE}/tests:{TESTS}',
                             '--bind-ro', f'{os.environ["BANGER_BUILT_TESTS"]}:{BUILT}')
        return subprocess.run(argv, check=False).returncode


sys.exit(main())
