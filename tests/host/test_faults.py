# SPDX-License-Identifier: LGPL-2.1-or-later
"""As ../faults/inside.py, where systemd starts helper and launcher: units, scopes and cgroups are as they were, too.

inject.c becomes what the units would start, in their sandbox; its supervisor is outside.
"""

import os
import pathlib
import shutil
import sys
import unittest

import machine

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', 'faults'))
import inside  # noqa: E402

BUILT = pathlib.Path(os.environ['BANGER_BUILT_TESTS'])
INJECT = '/usr/libexec/inject'
SERVICES = 'banger-helper.service', 'banger-jail.service'
# A filter is all that inject.c makes. The launcher is killed and started again faster than systemd would put up with.
DROP_IN = """[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=
ExecStart={inject} {command}
{more}
"""
MORE = {'banger-helper.service': 'SystemCallFilter=seccomp', 'banger-jail.service': ''}
SOCKET = """[Unit]
StartLimitIntervalSec=0
[Socket]
TriggerLimitIntervalSec=0
"""

# To its end the helper may want a launcher; a call to one that nobody took would start the next. That a fault has made
# one of them fail is known; a scope that has failed would be left behind.
END = """systemctl stop banger-helper.service
systemctl stop banger-jail.socket banger-jail.service
systemctl --quiet reset-failed banger-helper.service banger-jail.service 2>/dev/null
systemctl start banger-jail.socket"""

host = machine.make()


class Systemd(inside.World):
    # About a minute each.
    slices = 36

    def __init__(self):
        self.control, self.ledger, self.jails = (
            host.path('run') / name for name in ('banger-faults', 'banger-helper', 'banger-jail'))
        self.bus = os.open(host.path('run/dbus'), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def connect(self, uid):
        # Only root may pass through another's root directory.
        return inside.connect(uid, f'unix:path=/proc/self/fd/{self.bus}/system_bus_socket')

    def make_disk(self):
        return inside.make_disk(machine.BASE / 'disk')

    def supervise(self):
        return host.start(INJECT, stdin=machine.subprocess.PIPE, stderr=None)

    def end_services(self):
        host.must('sh', '-c', END)

    def look(self):
        units = host.must('systemctl', 'list-units', '--all', '--no-legend', '--plain', 'banger*')
        groups = host.path('sys/fs/cgroup')
        return {'units': units, 'failed': host.must('systemctl', '--failed', '--no-legend', '--plain'),
                'jobs': host.must('systemctl', 'list-jobs', '--no-legend'),
                'cgroups': sorted(str(path.relative_to(groups)) for path in groups.rglob('*banger*')),
                'scopes': sorted(path.name for path in host.path('run/systemd/transient').glob('banger*')),
                'mounts': pathlib.Path('/proc', str(host.leader), 'mountinfo').read_text(encoding='utf-8'),
                'links': pathlib.Path('/proc', str(host.leader), 'net/dev').read_text(encoding='utf-8').count(':'),
                'jails': sorted(path.name for path in self.jails.iterdir()),
                'ledger': {str(path): path.read_text() for path in self.ledger.rglob('*') if path.is_file()},
                'temporary': sorted(name for place in ('tmp', 'var/tmp', 'dev/shm')
                                    for name in os.listdir(host.path(place))),
                'descriptors': len(os.listdir('/proc/self/fd'))}


def setUpModule():
    shutil.copy(BUILT / 'faults/inject', f'{machine.ROOT}{INJECT}')
    shutil.copy(BUILT / 'kernel/fake-vmm', machine.ROOT / 'usr/bin/qemu-system-x86_64')
    host.boot()
    unittest.addModuleCleanup(host.show_journal)
    for unit in SERVICES:
        command = host.must('systemctl', 'show', '--value', '-p', 'ExecStart', unit).split('argv[]=')[1].split(' ;')[0]
        drop_in(unit, DROP_IN.format(inject=INJECT, command=command, more=MORE[unit]))
    drop_in('banger-jail.socket', SOCKET)
    host.must('systemctl', 'daemon-reload')
    host.must('systemctl', 'start', 'banger-jail.socket')
    inside.Scenario.place = Systemd()


def drop_in(unit, text):
    host.must('mkdir', f'/run/systemd/system/{unit}.d')
    host.write(f'/run/systemd/system/{unit}.d/inject.conf', text)


class LaunchToRelease(inside.LaunchToRelease):
    pass


class Probe(inside.Probe):
    pass


class ReleaseUser(inside.ReleaseUser):
    pass


if __name__ == '__main__':
    machine.tap.main()
