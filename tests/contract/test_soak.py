#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is lost a little of at each call, seen over many: 100 000 with BANGER_LONG=1, a sample else.

Environment: as of test_helper.py.
"""

import os

import tap
from test_helper import ALICE, BOB, NAME, GLib, Stack, memfd

CHECKS = 100000 if os.environ.get('BANGER_LONG') else 1000
# Calls that one user may have waiting.
AT_ONCE = 16
# What polkit says, whether the message allows a question, and the calls' ends.
OUTCOMES = (('yes', False, (None, 'org.banger.Error.NotFound')), ('no', True, ('org.banger.Error.NotAuthorized',)),
            ('ask-yes', True, (None, 'org.banger.Error.NotFound')),
            ('ask-yes', False, ('org.banger.Error.InteractionRequired',)),
            ('ask-no', True, ('org.banger.Error.NotAuthorized',)),
            ('garbage', False, ('org.banger.Error.NotAuthorized',)))


class Soak(Stack):
    def count(self, connection, directory):
        """Of descriptors: a call is forgotten after its reply is sent, and before the next one is read."""
        self.call(connection, 'ListAllResources')
        return len(os.listdir(directory))

    def send_all(self, connection, ask):
        """Each about another VM: behind one that fails, about the same, others are aborted unasked."""
        for i in range(AT_ONCE // 4):
            vm = f'{i:032x}'
            yield self.send(connection, 'ListResources', None, (), ask)
            yield self.send(connection, 'OpenVmm', GLib.Variant('(ss)', (vm, '')), (), ask)
            yield self.send(connection, 'ProbeKvm', None, [self.memfd, self.memfd], ask)
            yield self.send(connection, 'SignalVmm', GLib.Variant('(ssu)', ('f' + vm[1:], '', 15)), (), ask)

    def test_t23_authorization_when_asked_for_often_then_costs_no_descriptor(self):
        connections = [self.connect(ALICE), self.connect(BOB)]
        self.memfd = self.fd(memfd())
        self.call(connections[0], 'ListResources')
        directory = f'/proc/{self.pid_of(NAME)}/fd'
        before = self.count(connections[0], directory)
        checks = 0
        while checks < CHECKS:
            for mode, ask, ends in OUTCOMES:
                self.polkit(mode)
                calls = [call for connection in connections for call in self.send_all(connection, ask)]
                for call in calls:
                    self.assertIn(call.wait().error, ends, (mode, ask))
                checks += len(calls)
            self.assertEqual(self.count(connections[0], directory), before, checks)
        self.assertGreater(len(self.asked()), checks)


if __name__ == '__main__':
    tap.main()
