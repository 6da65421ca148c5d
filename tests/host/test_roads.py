# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may run a VM, by which way in, on an installed machine."""

import unittest

import machine

host = machine.make()
dev, dev2, outsider = (machine.User(host, name) for name in machine.PEOPLE)


def setUpModule():
    host.boot()
    unittest.addModuleCleanup(host.show_journal)
    dev2.linger()
    outsider.linger()


class Member(unittest.TestCase):
    def check(self, user, way):
        done = user.run(way, 'banger', 'vm', 'run', '--rm', '--', 'uname', '-a')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r'\ALinux vm-[0-9a-f]+ [^\n]+\n\Z')

    def test_member_when_at_the_console_then_runs_a_machine(self):
        self.check(dev, 'console')


if __name__ == '__main__':
    machine.tap.main()
