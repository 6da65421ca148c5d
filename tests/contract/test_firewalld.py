#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What firewalld is told of a bridge, and what becomes of its answers.

Environment: FIREWALLD_TELL (the program), BANGER_SOURCE (the tree).
"""

import os
import subprocess
import sys
import tempfile
import unittest

import gi
gi.require_version('Gio', '2.0')
from gi.repository import Gio  # noqa: E402

sys.path.insert(0, os.environ['BANGER_SOURCE'] + '/tests/fakes')
import scripted_bus  # noqa: E402
import tap  # noqa: E402

FIREWALLD, UNIQUE = 'org.fedoraproject.FirewallD1', ':1.7'
ABSENT = ('org.freedesktop.DBus.Error.ServiceUnknown', 'org.freedesktop.DBus.Error.NameHasNoOwner')
EXCEPTION = FIREWALLD + '.Exception'


class Firewalld(unittest.TestCase):
    def begin(self, word):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.bus = scripted_bus.ScriptedBus(directory.name + '/bus')
        self.program = subprocess.Popen([os.environ['FIREWALLD_TELL'], self.bus.address, word], stdout=subprocess.PIPE,
                                        text=True)
        self.addCleanup(self.program.wait)
        self.addCleanup(self.program.stdout.close)
        # Before all others: it may wait for an answer.
        self.addCleanup(self.bus.close)
        self.bus.accept()
        call = self.bus.expect({'enter': 'addInterface', 'leave': 'removeInterface'}[word])
        self.assertEqual((call.get_destination(), call.get_path(), call.get_interface(), call.get_body().unpack()),
                         (FIREWALLD, '/org/fedoraproject/FirewallD1', FIREWALLD + '.zone', ('trusted', 'bgr-u1000')))
        # A firewall that nobody has started is none.
        self.assertTrue(call.get_flags() & Gio.DBusMessageFlags.NO_AUTO_START)
        return call

    def told(self):
        """It says nothing more on the bus, and ends."""
        return self.program.communicate()[0].strip()

    def refused(self, word, name, text='no', sender=UNIQUE):
        call = self.begin(word)
        self.bus.send(Gio.DBusMessage.new_method_error_literal(call, name, text), sender)
        return self.told()

    def test_bridge_when_told_of_then_that_is_all(self):
        for word in 'enter', 'leave':
            call = self.begin(word)
            self.bus.answer(call, '(s)', 'trusted', sender=UNIQUE)
            self.assertEqual(self.told(), '0')

    def test_enter_when_it_is_there_already_then_as_good_as_done_and_all_else_fails(self):
        self.assertEqual(self.refused('enter', EXCEPTION, "ZONE_ALREADY_SET: 'bgr-u1000' already bound"), '0')
        for name, text in ((EXCEPTION, "ZONE_CONFLICT: 'bgr-u1000' already bound to 'public'"),
                           (EXCEPTION, 'INVALID_ZONE: trusted'), (EXCEPTION, 'NOT ZONE_ALREADY_SET:'),
                           ('org.freedesktop.DBus.Error.AccessDenied', 'ZONE_ALREADY_SET: no')):
            self.assertNotEqual(self.refused('enter', name, text), '0')
        for name in ABSENT:
            self.assertNotEqual(self.refused('enter', name, sender=scripted_bus.BUS), '0')

    def test_leave_when_there_is_nothing_to_leave_then_as_good_as_done_and_all_else_fails(self):
        for text in "UNKNOWN_INTERFACE: 'bgr-u1000' is not in any zone", "ZONE_CONFLICT: zoi='public'":
            self.assertEqual(self.refused('leave', EXCEPTION, text), '0')
        for name in ABSENT:
            self.assertEqual(self.refused('leave', name, sender=scripted_bus.BUS), '0')
        for name, text in ((EXCEPTION, 'COMMAND_FAILED: nft'), ('org.freedesktop.DBus.Error.AccessDenied', 'no')):
            self.assertNotEqual(self.refused('leave', name, text), '0')

    def test_bridge_when_the_bus_goes_then_told(self):
        for word in 'enter', 'leave':
            self.begin(word)
            self.bus.close()
            self.assertNotEqual(self.told(), '0')


if __name__ == '__main__':
    tap.main()
