# SPDX-License-Identifier: LGPL-2.1-or-later
"""The test build of the helper at the one end of a scripted bus.

Environment: BANGER_HELPER_TEST (the test build), BANGER_SOURCE (the tree). Root: the helper runs as nobody.
"""

import fcntl
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import unittest

import gi
gi.require_version('Gio', '2.0')
from gi.repository import Gio, GLib  # noqa: E402

sys.path.insert(0, os.environ['BANGER_SOURCE'] + '/tests/fakes')
from scripted_bus import ScriptedBus  # noqa: E402

NAME = 'org.banger.Helper'
HELPER = (NAME, '/org/banger/Helper', NAME)
NOBODY = pwd.getpwnam('nobody').pw_uid
ALICE, POLKIT = ':1.7', ':1.8'
FOREVER = 3600000
LAUNCH = '(sssbutshhahah)'


def seal(memfd):
    fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, 0xf)


class Stack(unittest.TestCase):
    wrapper = []
    idle_ms = FOREVER
    last_ms = FOREVER

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest('needs root, to be another user')
        self.directory = tempfile.mkdtemp(prefix='banger-contract-')
        self.bus = ScriptedBus(self.directory + '/bus')
        with open(self.directory + '/helper.conf', 'w', encoding='utf-8') as file:
            file.write('[limits]\n')
        os.chown(self.directory, NOBODY, NOBODY)
        os.chmod(self.directory, 0o755)
        argv = [*self.wrapper, os.environ['BANGER_HELPER_TEST'], self.bus.address, self.directory + '/run',
                self.directory + '/helper.conf', str(self.idle_ms), str(self.last_ms)]
        self.helper = subprocess.Popen(argv, user=NOBODY, group=NOBODY, extra_groups=[], stderr=subprocess.DEVNULL)
        self.bus.accept()
        self.bus.answer(self.bus.expect('AddMatch'))
        self.bus.answer(self.bus.expect('RequestName'), '(u)', 1)

    def tearDown(self):
        self.bus.close()
        self.helper.wait()
        shutil.rmtree(self.directory)

    def call(self, method='ListResources', args=None, ask=True, sender=ALICE, fds=()):
        message = Gio.DBusMessage.new_method_call(*HELPER, method)
        if ask:
            message.set_flags(Gio.DBusMessageFlags.ALLOW_INTERACTIVE_AUTHORIZATION)
        if args:
            message.set_body(args)
        return self.bus.send(message, sender, fds)

    def launch(self, fds, disks=(), network=()):
        return self.call('LaunchVmm', GLib.Variant(LAUNCH, ('a' * 32, '', 'qemu-q35', False, 1, 128 << 20, '', 0, 1,
                                                            list(disks), list(network))), fds=fds)

    def tell_uid(self):
        self.bus.answer(self.bus.expect('GetConnectionUnixUser'), '(u)', 1000)

    def decide(self, question, authorized, challenge=False):
        self.bus.answer(question, '((bba{ss}))', (authorized, challenge, {}), sender=POLKIT)

    def ask_person(self):
        """Until the question is on somebody's screen."""
        self.decide(self.bus.expect('CheckAuthorization'), False, challenge=True)
        return self.bus.expect('CheckAuthorization')

    def catch_up(self):
        """Until the helper has seen everything that had happened before: what came first is dispatched first."""
        for _ in range(3):
            self.assertEqual(self.bus.expect_answer(
                self.bus.call(ALICE, (NAME, '/', 'org.freedesktop.DBus.Peer'), 'Ping')), '')
