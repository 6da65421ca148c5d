#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real bangerd, started by a private session bus that calls it, where there is no system bus and no VMM.

Environment: BANGERD (the program), BANGER_SOURCE (the tree).
"""

import glob
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

import gi
gi.require_version('Gio', '2.0')
from gi.repository import Gio, GLib  # noqa: E402

import tap  # noqa: E402

BANGERD = os.environ['BANGERD']
SOURCE = os.environ['BANGER_SOURCE']
NAME, PATH = 'org.banger.Manager', '/org/banger/Manager'
ID = '1' * 32
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={directory}/bus</listen>
  <servicedir>{directory}</servicedir>
  <policy context="default">
    <allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
"""
# As bangerd leaves them: an image, a kernel, and a VM that has never run.
ROWS = (f"INSERT INTO image VALUES ('{ID}', 'base', '', 0, 0, '', '', 0)",
        f"INSERT INTO kernel VALUES ('{ID}', 'linux', '', '', 0, '', 0)",
        'INSERT INTO vm (id, name, image, kernel, vcpus, memory, disk, vmm, accelerator, use_init, driver, ephemeral,'
        f" created, state, ready) VALUES ('{ID}', 'web', '{ID}', '{ID}', 1, 1, 1, 'qemu-microvm', 'auto', 1, 'overlay', 0, 0,"
        " 'created', 1)")
EMPTY = {'s': '', 'o': '/', 'u': 1, 'as': [], 'h': 0}
# What is opened at once has no operation to be found by.
WITHOUT_OPERATION = {'OpenConsole', 'OpenLog'}


def methods():
    """(kind, method, types of its arguments) of all that take options."""
    for kind in ('Manager', 'VM', 'Image', 'Kernel'):
        for method in ElementTree.parse(f'{SOURCE}/data/dbus/org.banger.{kind}.xml').iter('method'):
            types = [arg.get('type') for arg in method.iter('arg') if arg.get('direction') == 'in']
            if 'a{sv}' in types:
                yield kind, method.get('name'), types


class Service(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix='banger-service-')
        self.addCleanup(shutil.rmtree, self.directory)
        self.write('bus.conf', BUS_CONFIG.format(directory=self.directory))
        self.write(f'{NAME}.service', f'[D-BUS Service]\nName={NAME}\nExec={BANGERD}\n')
        nowhere = f'unix:path={self.directory}/nowhere'
        bus = subprocess.Popen(
            ['dbus-daemon', '--nofork', f'--config-file={self.directory}/bus.conf', '--print-address=1'],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={'PATH': os.environ['PATH'], 'HOME': self.directory, 'DBUS_SYSTEM_BUS_ADDRESS': nowhere})
        self.addCleanup(self.end, bus)
        self.connection = Gio.DBusConnection.new_for_address_sync(
            bus.stdout.readline().decode().strip(), Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT |
            Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION)
        self.end_service()
        path, = glob.glob(f'{self.directory}/.local/state/banger/state-*.db')
        with sqlite3.connect(path) as state:
            for row in ROWS:
                state.execute(row)
        state.close()

    def write(self, name, text):
        with open(os.path.join(self.directory, name), 'w', encoding='utf-8') as file:
            file.write(text)

    def end(self, bus):
        self.end_service()
        self.connection.close_sync(None)
        bus.terminate()
        bus.wait()
        bus.stdout.close()

    def end_service(self):
        """As an accident would; a call starts the next."""
        self.call(PATH, 'org.freedesktop.DBus.Peer', 'Ping')
        pid, = self.connection.call_sync('org.freedesktop.DBus', '/', 'org.freedesktop.DBus',
                                         'GetConnectionUnixProcessID', GLib.Variant('(s)', (NAME,)), None, 0, -1,
                                         None).unpack()
        gone = GLib.MainLoop()
        watch = Gio.bus_watch_name_on_connection(self.connection, NAME, 0, None, lambda *_: gone.quit())
        os.kill(pid, signal.SIGKILL)
        # The bus would hand the next call to the dead.
        gone.run()
        Gio.bus_unwatch_name(watch)

    def call(self, path, interface, method, arguments=None):
        fds = Gio.UnixFDList.new()
        with open('/dev/null', 'rb') as null:
            fds.append(null.fileno())
        return self.connection.call_with_unix_fd_list_sync(NAME, path, interface, method, arguments, None, 0, 2**31 - 1,
                                                           fds, None)[0].unpack()

    def refusal(self, kind, method, types, options):
        """The name and the words of the error that a method answers with."""
        path = PATH if kind == 'Manager' else f'{PATH}/{kind.lower()}/{ID}'
        values = [options if t == 'a{sv}' else EMPTY[t] for t in types]
        with self.assertRaises(GLib.Error) as raised:
            self.call(path, f'org.banger.{kind}', method, GLib.Variant(f'({"".join(types)})', values))
        return Gio.DBusError.get_remote_error(raised.exception), raised.exception.message


class Options(Service):
    def test_option_when_unknown_then_refused_by_name_everywhere(self):
        for kind, method, types in methods():
            name, text = self.refusal(kind, method, types, {'frob': GLib.Variant('s', '')})
            self.assertEqual(name, 'org.banger.Error.InvalidArgument', method)
            self.assertIn("option 'frob' is not known here", text, method)

    def test_operation_when_malformed_then_refused_wherever_it_is_known(self):
        unknown = set()
        for kind, method, types in methods():
            name, text = self.refusal(kind, method, types, {'operation': GLib.Variant('s', 'frob')})
            self.assertEqual(name, 'org.banger.Error.InvalidArgument', method)
            if 'not known here' in text:
                unknown.add(method)
            else:
                self.assertIn("option 'operation': must be 32 lower-case hex digits", text, method)
        self.assertEqual(unknown, WITHOUT_OPERATION)


class Situations(Service):
    def test_log_when_never_run_then_invalid_state(self):
        self.assertEqual(self.refusal('VM', 'OpenLog', ['a{sv}'], {})[0], 'org.banger.Error.InvalidState')

    def test_delete_when_image_is_used_then_busy_names_the_vm(self):
        name, text = self.refusal('Image', 'Delete', ['a{sv}'], {})
        self.assertEqual(name, 'org.banger.Error.Busy')
        self.assertIn('web', text)


if __name__ == '__main__':
    tap.main()
