# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs one of the tests of this directory in namespaces of its own: enter.py NAME [TEST...].

Makes before what they share: the product's installation and a home with image and kernel (tools/trial.py), and a Debian
root whose packages are those below. It is made once for each list of packages.
"""

import hashlib
import os
import shutil
import sys

SOURCE = os.environ['BANGER_SOURCE']
sys.path.insert(0, SOURCE + '/tools')
import cage  # noqa: E402
import toolbox  # noqa: E402
import trial  # noqa: E402

PACKAGES = (
    'systemd', 'systemd-sysv', 'libpam-systemd',   # the init; sessions for whoever logs in
    'dbus', 'dbus-user-session', 'polkitd',
    'systemd-resolved',                            # whom the host asks for names of machines
    'openssh-server',                              # and with it the client
    'libglib2.0-bin',                              # gdbus
    'qemu-system-x86',
    'libarchive13', 'libext2fs2', 'libjson-glib-1.0-0', 'libnettle8', 'libsqlite3-0',
    'libldns3', 'libnftables1', 'libnl-route-3-200',
)
MMDEBSTRAP = ['/usr/bin/mmdebstrap', '--mode=root', '--variant=minbase', '--include=' + ','.join(PACKAGES), 'bookworm']
MIRROR = 'http://deb.debian.org/debian'


def make_root(cache, log):
    """The directory of a Debian root as its packages leave it. Held until we end, and only ever read."""
    key = hashlib.sha256(' '.join([*MMDEBSTRAP, MIRROR]).encode()).hexdigest()[:12]
    directory = os.path.join(cache, 'host')
    path, new = os.path.join(directory, key), os.path.join(directory, '.new')
    os.makedirs(directory, exist_ok=True)
    if not os.path.isdir(path):
        toolbox.say('preparing (once): a Debian root')
        shutil.rmtree(new, ignore_errors=True)
        toolbox.run_quietly([*toolbox.CONTAINED, *MMDEBSTRAP, new, MIRROR], log)
        os.rename(new, path)
    trial.hold(path)
    trial.drop_others(directory, '', [path])
    return path


def main():
    os.umask(0o022)
    shared = trial.Trial(os.environ.get('BANGER_TRY_CACHE'))
    shared.make(yes=True)
    with toolbox.locked(shared.path('lock'), 'building'):
        root = make_root(shared.cache, shared.log)
    os.environ.update(BANGER_HOST_ROOT=root, BANGER_HOST_HOME=shared.home, BANGER_HOST_STAGE=shared.stage + '/root',
                      BANGER_HOST_BUILD=shared.path('build', toolbox.source_key()),
                      BANGER_HOST_LOCK=shared.path('lock'))
    name, *tests = sys.argv[1:]
    program = os.path.join(os.path.dirname(os.path.realpath(__file__)), name + '.py')
    return cage.run(['/usr/bin/python3', '-B', program, *tests])


toolbox.main(main)
