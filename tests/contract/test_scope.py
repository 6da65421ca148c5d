#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The scope of a VM, asked of a systemd that answers in every order.

Environment: SCOPE_START (the program), BANGER_SOURCE (the tree).
"""

import os
import subprocess
import sys
import tempfile
import unittest

import gi
gi.require_version('Gio', '2.0')
from gi.repository import Gio, GLib  # noqa: E402

sys.path.insert(0, os.environ['BANGER_SOURCE'] + '/tests/fakes')
import scripted_bus  # noqa: E402
import tap  # noqa: E402

SYSTEMD, MANAGER = '/org/freedesktop/systemd1', 'org.freedesktop.systemd1.Manager'
JOB = SYSTEMD + '/job/7'


class Scope(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.bus = scripted_bus.ScriptedBus(self.directory.name + '/bus')
        self.program = subprocess.Popen([os.environ['SCOPE_START'], self.bus.address], stdout=subprocess.PIPE,
                                        text=True)
        self.bus.accept()
        self.bus.answer(self.bus.expect('AddMatch'))
        self.call = self.bus.expect('StartTransientUnit')

    def tearDown(self):
        self.bus.close()
        self.program.wait()
        self.program.stdout.close()
        self.directory.cleanup()

    def end_job(self, path, result):
        self.bus.signal(':1.0', SYSTEMD, MANAGER, 'JobRemoved', GLib.Variant('(uoss)', (7, path, 'x.scope', result)))

    def told(self):
        return self.program.stdout.readline().strip()

    def test_scope_when_its_job_ends_after_the_reply_then_started(self):
        name, mode, properties, others = self.call.get_body().unpack()
        self.assertEqual((name, mode, others), ('banger-vm-x.scope', 'fail', []))
        self.assertEqual(dict(properties), {
            'PIDs': [self.program.pid], 'Slice': 'banger.slice', 'Description': 'Virtual machine of banger',
            'CollectMode': 'inactive-or-failed', 'MemoryMax': 1 << 30, 'TasksMax': 512,
            'Before': ['user@1000.service']})
        self.bus.answer(self.call, '(o)', JOB)
        self.end_job(JOB + '1', 'failed')
        self.end_job(JOB, 'done')
        self.assertEqual(self.told(), '0')

    def test_scope_when_its_job_ends_before_the_reply_then_started(self):
        self.end_job(JOB + '1', 'failed')
        self.end_job(JOB, 'done')
        for i in range(100):
            self.end_job(f'{JOB}{i}', 'failed')
        self.bus.answer(self.call, '(o)', JOB)
        self.assertEqual(self.told(), '0')

    def test_scope_when_its_job_fails_then_told(self):
        self.end_job(JOB + '1', 'done')
        self.bus.answer(self.call, '(o)', JOB)
        self.end_job(JOB, 'failed')
        self.assertEqual(self.told(), 'EIO')

    def test_scope_when_systemd_refuses_then_told(self):
        refusal = Gio.DBusMessage.new_method_error_literal(self.call, 'org.freedesktop.systemd1.UnitExists', 'exists')
        self.bus.send(refusal, ':1.0')
        self.assertNotEqual(self.told(), '0')

    def test_scope_when_the_bus_goes_then_told(self):
        self.bus.answer(self.call, '(o)', JOB)
        self.bus.close()
        self.assertNotEqual(self.told(), '0')


if __name__ == '__main__':
    tap.main()
