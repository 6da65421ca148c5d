#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What systemd-resolved is told of a bridge, and what becomes of its answers.

Environment: RESOLVED_TELL (the program), BANGER_SOURCE (the tree).
"""

import os
import socket
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

RESOLVER, UNIQUE = 'org.freedesktop.resolve1', ':1.7'
LOOPBACK = 1
CALLS = {
    'SetLinkDefaultRoute': (LOOPBACK, False),
    'SetLinkLLMNR': (LOOPBACK, 'no'),
    'SetLinkMulticastDNS': (LOOPBACK, 'no'),
    'SetLinkDNSOverTLS': (LOOPBACK, 'no'),
    'SetLinkDNSSEC': (LOOPBACK, 'no'),
    'SetLinkDomains': (LOOPBACK, [('dev.vm', True)]),
    # Behind all that it is asked nothing but what it is meant for.
    'SetLinkDNS': (LOOPBACK, [(socket.AF_INET, [10, 208, 160, 1])]),
}
NO_OWNER = 'org.freedesktop.DBus.Error.NameHasNoOwner'
ABSENT = ('org.freedesktop.DBus.Error.ServiceUnknown', 'org.freedesktop.systemd1.UnitMasked', 'System.Error.EEXIST')


class Resolved(unittest.TestCase):
    def begin(self, word):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.bus = scripted_bus.ScriptedBus(directory.name + '/bus')
        self.program = subprocess.Popen([os.environ['RESOLVED_TELL'], self.bus.address, word], stdout=subprocess.PIPE,
                                        text=True)
        self.addCleanup(self.program.wait)
        self.addCleanup(self.program.stdout.close)
        # Before all others: it may wait for an answer.
        self.addCleanup(self.bus.close)

    def told(self):
        """It says nothing more on the bus, and ends."""
        return self.program.communicate()[0].strip()

    def expect(self, member):
        call = self.bus.expect(member)
        self.assertEqual((call.get_destination(), call.get_path(), call.get_interface()),
                         (RESOLVER, '/org/freedesktop/resolve1', RESOLVER + '.Manager'))
        return call

    def refuse(self, call, name, text='no', present=True):
        """By the resolver, or by the bus in its place; it looks for who that was."""
        sender = UNIQUE if present else scripted_bus.BUS
        self.bus.send(Gio.DBusMessage.new_method_error_literal(call, name, text), sender)
        look = self.bus.expect('GetNameOwner')
        self.assertEqual(look.get_body().unpack(), (RESOLVER,))
        if present:
            self.bus.answer(look, '(s)', UNIQUE)
        else:
            self.bus.send(Gio.DBusMessage.new_method_error_literal(look, NO_OWNER, 'no'))

    def answer_until(self, last):
        """Each with success, but the one with that name, which is returned."""
        self.bus.accept()
        for member, body in CALLS.items():
            call = self.expect(member)
            self.assertEqual(call.get_body().unpack(), body)
            if member == last:
                return call
            self.bus.answer(call, sender=UNIQUE)
        return None

    def test_names_when_begun_then_of_their_zone_alone_and_the_server_last(self):
        self.begin('begin')
        self.answer_until(None)
        self.assertEqual(self.told(), '0')

    def test_names_when_a_call_is_refused_then_told_why_and_none_follows(self):
        for member in CALLS:
            self.begin('begin')
            self.refuse(self.answer_until(member), RESOLVER + '.LinkBusy', f'{member}: lo is\nmanaged')
            self.assertEqual(self.told(), f'EBUSY: {member}: lo is\\x0amanaged')

    def test_names_when_the_resolver_is_absent_then_that_is_told(self):
        for name in ABSENT:
            self.begin('begin')
            self.refuse(self.answer_until('SetLinkDefaultRoute'), name, present=False)
            self.assertEqual(self.told(), 'ENOPKG')

    def test_names_when_the_bus_goes_then_told(self):
        self.begin('begin')
        self.answer_until('SetLinkDomains')
        self.bus.close()
        self.assertNotIn(self.told(), ('0', 'ENOPKG'))

    def end(self):
        self.begin('end')
        self.bus.accept()
        call = self.expect('RevertLink')
        self.assertEqual(call.get_body().unpack(), (LOOPBACK,))
        return call

    def test_end_when_link_or_resolver_are_gone_then_as_good_as_done(self):
        call = self.end()
        self.bus.answer(call, sender=UNIQUE)
        self.assertEqual(self.told(), '0')
        for name in ABSENT:
            self.refuse(self.end(), name, present=False)
            self.assertEqual(self.told(), '0')
        call = self.end()
        self.bus.send(Gio.DBusMessage.new_method_error_literal(call, RESOLVER + '.NoSuchLink', 'no'), UNIQUE)
        self.assertEqual(self.told(), '0')
        self.begin('no-such-link')
        self.assertEqual(self.told(), '0')

    def test_end_when_refused_then_told(self):
        self.refuse(self.end(), RESOLVER + '.LinkBusy')
        self.assertEqual(self.told(), 'EBUSY')


if __name__ == '__main__':
    tap.main()
