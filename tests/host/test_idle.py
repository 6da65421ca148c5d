# SPDX-License-Identifier: LGPL-2.1-or-later
"""No call is lost around an idle exit, at whatever moment it comes: bus and systemd start the helper again for it."""

import os
import shutil
import unittest

import machine
from machine import GLib

HELPER = ('org.banger.Helper', '/org/banger/Helper', 'org.banger.Helper')
BUS = ('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus')
ROUNDS = 3000 if os.environ.get('BANGER_LONG') else 150
# Longer than any start takes, shorter than the bus waits for a service that nobody starts.
LOST_MS = 20000

host = machine.make()


def setUpModule():
    shutil.copy(os.environ['BANGER_HASTY_HELPER'], machine.ROOT / 'usr/libexec/banger-helper')
    # It starts more often than one that works ever does.
    unit = machine.ROOT / 'etc/systemd/system/banger-helper.service.d'
    unit.mkdir()
    (unit / 'hasty.conf').write_text('[Unit]\nStartLimitIntervalSec=0\n', encoding='utf-8')
    host.boot()
    unittest.addModuleCleanup(host.show_journal)
    # Else the bus would wait for polkit, too.
    host.must('pkaction', '--action-id', 'org.banger.helper.list-resources')


def ask(name, method, arguments=None):
    return host.bus.call_sync(*name, method, arguments, None, 0, LOST_MS, None)


def has_owner():
    return ask(BUS, 'NameHasOwner', GLib.Variant('(s)', HELPER[:1])).unpack()[0]


class Idle(unittest.TestCase):
    def setUp(self):
        self.lost = []

    def tearDown(self):
        self.assertEqual(self.lost, [])
        self.assertNotEqual(host.state('banger-helper.service'), 'failed')
        # It did leave, again and again.
        starts = host.must('journalctl', '-q', '--no-pager', '-o', 'cat', '-u', 'banger-helper.service', '-g',
                           '^Started')
        print(f'# {len(starts.splitlines())} starts so far', flush=True)

    def call(self, note):
        try:
            ask(HELPER, 'ListResources')
        except GLib.Error as error:
            self.lost.append((note, error.message))

    def test_call_when_the_name_was_just_given_back_then_served(self):
        """On the very signal, while the helper is still about to end."""
        for i in range(ROUNDS):
            with host.signals(BUS[0]) as signals:
                self.call(i)
                signals.wait('NameOwnerChanged', HELPER[0])
                if has_owner():
                    signals.wait_for(lambda: signals.seen[-1][0] == 'NameOwnerChanged' and not signals.seen[-1][3])

    def test_call_when_anywhere_around_the_end_then_served(self):
        """Later and later after the last one, from well before the helper leaves to well behind it."""
        for i in range(ROUNDS):
            self.call(i)
            for _ in range(i % 60 * 10):
                ask(BUS, 'GetId')


if __name__ == '__main__':
    machine.tap.main()
