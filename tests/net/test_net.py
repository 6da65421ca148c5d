# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs one of the programs beside it as root in the world of tools/try, whose network is its own: NAME [TEST...]."""

import hashlib
import os
import shutil
import sys

SOURCE = os.environ['BANGER_SOURCE']
sys.path.insert(0, SOURCE + '/tools')
import toolbox  # noqa: E402
import trial  # noqa: E402

# Never installed: who installs a firewall has it running.
FIREWALLS = ('firewalld', 'python3-firewall', 'python3-nftables', 'python3-cap-ng', 'ufw', 'iptables', 'libip4tc2',
             'libip6tc2', 'libxtables12', 'libnfnetlink0', 'libnetfilter-conntrack3')
TESTS, BUILT = '/usr/src/banger-tests', '/usr/src/banger-built-tests'


def fetch_firewalls(shared):
    """The directory with the packages, fetched once for each list of them. Held until we end, and only ever read."""
    key = hashlib.sha256(' '.join(FIREWALLS).encode()).hexdigest()[:12]
    directory = shared.path('firewalls')
    path, new = os.path.join(directory, key), os.path.join(directory, '.new')
    with toolbox.locked(shared.path('lock'), 'building'):
        os.makedirs(directory, exist_ok=True)
        if not os.path.isdir(path):
            toolbox.say('preparing (once): firewalls')
            shutil.rmtree(new, ignore_errors=True)
            os.mkdir(new)
            toolbox.run_quietly(['/usr/bin/apt-get', '-q', 'update'], shared.log)
            toolbox.run_quietly(['/usr/bin/env', '-C', new, 'apt-get', '-q', 'download', *FIREWALLS], shared.log)
            os.rename(new, path)
        trial.hold(path)
        trial.drop_others(directory, '', [path])
    return path


def main():
    shared = trial.Trial(os.environ.get('BANGER_TRY_CACHE'))
    shared.make(yes=True, bare=True)
    name, *tests = sys.argv[1:]
    told = [word for variable in ('BANGER_LONG', 'BANGER_TEST') if variable in os.environ
            for word in ('--setenv', f'{variable}={os.environ[variable]}')]
    if name == 'firewalls':
        told += ['--bind-ro', f'{fetch_firewalls(shared)}:/usr/src/banger-firewalls']
    shared.become(['/usr/bin/python3', '-B', f'{TESTS}/net/{name}.py', *tests], '--user', 'root', *told, *trial.tools(),
                 '--bind-ro', f'{SOURCE}/tests:{TESTS}', '--bind-ro', f'{os.environ["BANGER_BUILT_TESTS"]}:{BUILT}')


main()
