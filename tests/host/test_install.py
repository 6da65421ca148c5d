# SPDX-License-Identifier: LGPL-2.1-or-later
"""README's "Install it", line by line, on a machine that runs, and its removal: nothing is left."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

import machine

sys.path.insert(0, os.environ['BANGER_SOURCE'] + '/tools')
import neighbourhood  # noqa: E402
import toolbox  # noqa: E402

BUILD = os.environ['BANGER_HOST_BUILD']
INSTALLED = machine.BASE / 'build'
README = pathlib.Path(os.environ['BANGER_SOURCE'], 'README.md').read_text(encoding='utf-8')
# The one to install it and the one to remove it.
BLOCKS = re.findall(r'(?:^    .*\n|^\n(?=    ))+', README.partition('## Install it')[2].partition('\n## ')[0], re.M)
# What comes and goes by itself: sessions, the journal, the clock of the last boot.
PASSING = r'/(run/(user|systemd|log|lock|motd.dynamic)|var/(log|lib/systemd|cache)|tmp|proc|sys|dev)\b'
SYSTEM_FILES = ('/etc/group', '/etc/gshadow', '/etc/passwd', '/etc/shadow', '/etc/subuid', '/etc/subgid')

host = machine.Machine()
dev = machine.User(host, 'dev')


def setUpModule():
    neighbourhood.make()
    machine.make_people(members=())
    machine.make_keys()
    host.boot()
    unittest.addModuleCleanup(host.show_journal)
    dev.linger()


def lines(block):
    return [line.partition('#')[0].strip() for line in BLOCKS[block].splitlines() if line.strip()]


def meson_install():
    """What ninja's target does, with the machine's root for /. The log of it is what 'uninstall' goes by."""
    (INSTALLED / 'meson-logs').mkdir(parents=True)
    with toolbox.locked(os.environ['BANGER_HOST_LOCK'], 'installing'):
        subprocess.run([toolbox.MESON, 'install', '-C', BUILD, '--no-rebuild', '--quiet', '--destdir',
                        str(machine.ROOT)], check=True)
        shutil.copy(os.path.join(BUILD, 'meson-logs', 'install-log.txt'), INSTALLED / 'meson-logs')


def follow(line, vm):
    """One line of README's, by whom it is for."""
    if line.startswith('meson setup'):
        return
    if line == 'sudo ninja -C build install':
        meson_install()
    elif line == 'sudo ninja -C build uninstall':
        subprocess.run([toolbox.MESON, '--internal', 'uninstall'], cwd=INSTALLED, check=True,
                       stdout=subprocess.DEVNULL)
    elif line.startswith('sudo '):
        host.must('sh', '-c', line[len('sudo '):].replace('$USER', dev.name))
    elif line == 'banger vm run':
        # Its shell is nothing for a test, and with a network there is more to remove.
        dev.must('ssh', 'banger', 'vm', 'run', '-d', '--nat', '--name', vm)
    else:
        dev.must('ssh', 'sh', '-c', line.replace('MACHINE', vm))


def look():
    """Every file of the machine and of the user, what the system's say, and the network."""
    found = host.must('find', '/', '/run', f'/home/{dev.name}', '-xdev', '-printf', '%p %y %m %U:%G %l\n').splitlines()
    return ({line.strip() for line in found if not re.match(PASSING, line)}, host.must('sha256sum', *SYSTEM_FILES),
            machine.look_at_network())


class Readme(unittest.TestCase):
    maxDiff = None

    def test_readme_when_followed_then_runs_a_machine_and_removes_all_of_it(self):
        # The home that tools/try prepares has an image already, which a new user builds.
        before, *others = look()
        home = f'/home/{dev.name}'
        theirs = {line for line in before if re.match(home + r'/\.local/(share|state)/banger\b', line)}
        for line in lines(0):
            follow(line, 'first')
        self.assertEqual(dev.must('ssh', 'banger', 'vm', 'exec', 'first', '--', 'uname'), 'Linux\n')
        self.assertEqual(host.must('systemctl', '--failed', '--no-legend', '--plain'), '')
        for line in lines(1):
            follow(line, 'first')
        after, *others_after = look()
        self.assertEqual(sorted(after - before), [])
        self.assertEqual(sorted(before - theirs - after), [])
        self.assertEqual(others_after, others)
        self.assertEqual(host.must('systemctl', 'list-units', '--all', '--no-legend', '--plain', 'banger*'), '')
        self.assertEqual([name for _, name, _ in machine.processes() if 'banger' in name or 'qemu' in name], [])


if __name__ == '__main__':
    machine.tap.main()
