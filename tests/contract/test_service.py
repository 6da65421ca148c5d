#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real bangerd, started by a private session bus that calls it, where there is no system bus and no VMM.

Environment: BANGERD (the program), BANGER_SOURCE (the tree).
"""

import glob
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
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
        f" created, state, ready) VALUES ('{ID}', 'web', '{ID}', '{ID}', 1, {1 << 30}, {1 << 30}, 'qemu-microvm', 'auto', 1,"
        " 'overlay', 0, 0, 'created', 1)")
# What a session begins with, and what its programs may have.
DESCRIPTORS = 300, 900
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
    system_bus = 'nowhere'

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix='banger-service-')
        self.addCleanup(shutil.rmtree, self.directory)
        self.write('bus.conf', BUS_CONFIG.format(directory=self.directory))
        self.write(f'{NAME}.service', f'[D-BUS Service]\nName={NAME}\nExec={BANGERD}\n')
        system_bus = f'unix:path={self.directory}/{self.system_bus}'
        bus = subprocess.Popen(
            ['dbus-daemon', '--nofork', f'--config-file={self.directory}/bus.conf', '--print-address=1'],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, DESCRIPTORS),
            env={'PATH': os.environ['PATH'], 'HOME': self.directory, 'DBUS_SYSTEM_BUS_ADDRESS': system_bus})
        self.addCleanup(self.end, bus)
        self.connection = Gio.DBusConnection.new_for_address_sync(
            bus.stdout.readline().decode().strip(), Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT |
            Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION)
        self.end_service()
        self.write_state(*ROWS)

    def write(self, name, text):
        with open(os.path.join(self.directory, name), 'w', encoding='utf-8') as file:
            file.write(text)

    def write_state(self, *statements):
        """While no daemon runs."""
        path, = glob.glob(f'{self.directory}/.local/state/banger/state-*.db')
        with sqlite3.connect(path) as state:
            for statement in statements:
                state.execute(statement)
        state.close()

    def end(self, bus):
        self.end_service()
        self.connection.close_sync(None)
        bus.terminate()
        bus.wait()
        bus.stdout.close()

    def end_service(self):
        """As an accident would; a call starts the next."""
        self.call(PATH, 'org.freedesktop.DBus.Peer', 'Ping')
        os.kill(self.pid_of(NAME), signal.SIGKILL)
        self.await_gone()

    def pid_of(self, name):
        return self.connection.call_sync('org.freedesktop.DBus', '/', 'org.freedesktop.DBus',
                                         'GetConnectionUnixProcessID', GLib.Variant('(s)', (name,)), None, 0, -1,
                                         None).unpack()[0]

    def await_gone(self):
        """The bus would hand the next call to the dead."""
        gone = GLib.MainLoop()
        watch = Gio.bus_watch_name_on_connection(self.connection, NAME, 0, None, lambda *_: gone.quit())
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


class WithHelper(Service):
    """The one bus is the system's too, and we are the helper: one that answers when the test says so, or never."""
    system_bus = 'bus'

    def setUp(self):
        super().setUp()
        self.asked = []

    def serve(self, connection):
        with open(f'{SOURCE}/data/dbus/org.banger.Helper.xml', encoding='utf-8') as file:
            self.offer(connection, 'org.banger.Helper', '/org/banger/Helper', file.read())

    def offer(self, connection, name, path, xml):
        connection.register_object(path, Gio.DBusNodeInfo.new_for_xml(xml).interfaces[0], self.on_call, None, None)
        connection.call_sync('org.freedesktop.DBus', '/', 'org.freedesktop.DBus', 'RequestName',
                             GLib.Variant('(su)', (name, 0)), None, 0, -1, None)

    def count(self, method):
        return [asked for asked, _ in self.asked].count(method)

    def await_calls(self, method, n):
        while self.count(method) < n:
            GLib.MainContext.default().iteration(True)

    def answer(self, method, values, fds=()):
        self.await_calls(method, 1)
        invocation, = [invocation for asked, invocation in self.asked if asked == method]
        invocation.return_value_with_unix_fd_list(values, Gio.UnixFDList.new_from_array(list(fds)))

    def on_call(self, _connection, _sender, _path, _interface, method, _arguments, invocation):
        self.asked.append((method, invocation))

    def begin(self, kind, method, types, values, path=None):
        """A call; its answer will be the only entry of what is returned."""
        answer, fds = [], Gio.UnixFDList.new()
        with open('/dev/null', 'rb') as null:
            fds.append(null.fileno())
        self.connection.call_with_unix_fd_list(
            NAME, path or (PATH if kind == 'Manager' else f'{PATH}/{kind.lower()}/{ID}'), f'org.banger.{kind}', method,
            GLib.Variant(types, values), None, 0, 2**31 - 1, fds, None, lambda _, result: answer.append(result))
        return answer

    def refusal_of(self, answer):
        self.turn(answer)
        with self.assertRaises(GLib.Error) as raised:
            self.connection.call_with_unix_fd_list_finish(answer[0])
        return Gio.DBusError.get_remote_error(raised.exception), raised.exception.message

    @staticmethod
    def turn(until):
        while not until:
            GLib.MainContext.default().iteration(True)


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


class Tokens(WithHelper):
    def exec(self, token):
        options = {'token': GLib.Variant('u', token)}
        return self.begin('VM', 'Exec', '(asa{sv}hhh)', (['true'], options, 0, 0, 0))

    def test_token_when_zero_then_it_is_one_like_any_other(self):
        self.serve(self.connection)
        self.write_state("UPDATE vm SET state = 'running'")
        # They wait while the VM is looked for.
        for token in 7, 0:
            first, second = self.exec(token), self.exec(token)
            # Answered behind both.
            self.turn(self.begin('VM', 'OpenLog', '(a{sv})', ({},)))
            self.assertEqual(len(second), 1)
            name, text = self.refusal_of(second)
            self.assertEqual(name, 'org.banger.Error.InvalidArgument')
            self.assertIn("option 'token': another command of yours has it", text)
            self.assertEqual(first, [])


class Session(WithHelper):
    """A system bus of its own, and we are logind, too."""
    system_bus = 'system'
    LOGIND = """<node>
      <interface name='org.freedesktop.login1.Manager'>
        <method name='GetUser'><arg type='u' direction='in'/><arg type='o' direction='out'/></method>
        <method name='Inhibit'>
          <arg type='s' direction='in'/><arg type='s' direction='in'/>
          <arg type='s' direction='in'/><arg type='s' direction='in'/><arg type='h' direction='out'/>
        </method>
      </interface>
    </node>"""

    def setUp(self):
        super().setUp()
        second = '2' * 32
        self.paths = f'{PATH}/vm/{ID}', f'{PATH}/vm/{second}'
        self.write_state('CREATE TEMP TABLE one AS SELECT * FROM vm', f"UPDATE one SET id = '{second}', name = 'two', host = 99",
                         'INSERT INTO vm SELECT * FROM one')

    def serve(self):
        """A new system bus, with helper and logind on it."""
        self.write('system.conf', BUS_CONFIG.format(directory=self.directory).replace('/bus<', '/system<'))
        bus = subprocess.Popen(
            ['dbus-daemon', '--nofork', f'--config-file={self.directory}/system.conf', '--print-address=1'],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end_bus, bus)
        connection = Gio.DBusConnection.new_for_address_sync(
            bus.stdout.readline().decode().strip(), Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT |
            Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION)
        super().serve(connection)
        self.offer(connection, 'org.freedesktop.login1', '/org/freedesktop/login1', self.LOGIND)
        self.system = connection
        return bus

    @staticmethod
    def end_bus(bus):
        bus.kill()
        bus.wait()
        bus.stdout.close()

    def start(self, path):
        self.begin('VM', 'Start', '(a{sv})', ({},), path=path)

    def test_linger_when_another_vm_begins_then_looked_up_again(self):
        self.serve()
        for i, path in enumerate(self.paths):
            self.start(path)
            self.await_calls('GetUser', i + 1)
        self.assertEqual(self.count('Inhibit'), 1)

    def test_inhibitor_when_the_system_bus_begins_anew_while_a_vm_lives_then_asked_for_again(self):
        self.write_state(f"UPDATE vm SET state = 'running' WHERE id = '{ID}'")
        bus = self.serve()
        ends = [socket.socketpair() for _ in range(4)]
        for pair in ends:
            self.addCleanup(pair[0].close)
        self.call(PATH, 'org.freedesktop.DBus.Peer', 'Ping')
        self.answer('ListResources', GLib.Variant('(a(ssss))', ([(ID, 'vmm', 'jail', 'running')],)))
        self.answer('OpenVmm', GLib.Variant('(hhhh)', (0, 1, 2, 3)), [far.detach() for _, far in ends])
        self.await_calls('Inhibit', 1)
        self.end_bus(bus)
        self.serve()
        # Until its guest has answered the first one is looked for.
        self.start(self.paths[1])
        self.await_calls('Inhibit', 2)


class Doctor(Service):
    """The same bus is the system's as well, and polkit is on it, but no helper."""

    system_bus = 'bus'

    def setUp(self):
        super().setUp()
        self.write('mode', 'yes')
        polkit = subprocess.Popen([sys.executable, f'{SOURCE}/tests/fakes/polkitd.py',
                                   f'unix:path={self.directory}/bus', self.directory])
        self.addCleanup(polkit.wait)
        self.addCleanup(polkit.kill)
        there = GLib.MainLoop()
        watch = Gio.bus_watch_name_on_connection(self.connection, 'org.freedesktop.PolicyKit1', 0,
                                                 lambda *_: there.quit(), None)
        there.run()
        Gio.bus_unwatch_name(watch)

    def authorization(self, mode):
        """The results and findings about it, where polkit answers so."""
        self.write('mode', mode)
        rows, = self.call(PATH, 'org.banger.Manager', 'Diagnose')
        return [row[::2] for row in rows if row[1] == 'authorization']

    def test_doctor_when_polkit_refuses_then_the_actions_are_named(self):
        self.assertEqual(self.authorization('yes'), [('pass', 'polkit allows what VMs need')])
        refused = self.authorization('no')
        # A network needs the others, and a VM none.
        self.assertEqual([result for result, _ in refused], ['fail'] * 5 + ['warn'] * 3)
        self.assertIn(('fail', 'org.banger.helper.launch-vmm is not allowed'), refused)
        self.assertIn(('warn', 'org.banger.helper.launch-vmm takes a password'), self.authorization('ask-yes'))
        (result, finding), = self.authorization('garbage')
        self.assertEqual((result, finding), ('fail', 'polkit does not answer: nothing sensible'))

    def test_doctor_when_it_looks_then_about_itself_and_nobody_is_asked(self):
        self.authorization('ask-yes')
        with open(f'{self.directory}/asked', encoding='utf-8') as file:
            asked = [json.loads(line) for line in file]
        for question in asked:
            self.assertEqual((question['kind'], question['details'], question['flags']), ('system-bus-name', {}, 0))
            self.assertEqual(self.pid_of(question['name']), self.pid_of(NAME))


class Situations(Service):
    def test_descriptors_when_it_begins_then_all_that_it_may_have(self):
        self.call(PATH, 'org.freedesktop.DBus.Peer', 'Ping')
        self.assertEqual(resource.prlimit(self.pid_of(NAME), resource.RLIMIT_NOFILE), (DESCRIPTORS[1],) * 2)

    def test_log_when_never_run_then_invalid_state(self):
        self.assertEqual(self.refusal('VM', 'OpenLog', ['a{sv}'], {})[0], 'org.banger.Error.InvalidState')

    def test_state_when_it_cannot_be_made_then_the_caller_is_told_why(self):
        self.end_service()
        state = f'{self.directory}/.local/state'
        shutil.rmtree(state)
        self.write('.local/state', '')
        self.addCleanup(os.remove, state)
        name, text = self.refusal('Manager', 'CreateVM', ['a{sv}'], {})
        self.assertEqual(name, 'org.banger.Error.Failed')
        self.assertIn(f'cannot make {state}/banger: Not a directory', text)
        self.await_gone()

    def test_delete_when_image_is_used_then_busy_names_the_vm(self):
        name, text = self.refusal('Image', 'Delete', ['a{sv}'], {})
        self.assertEqual(name, 'org.banger.Error.Busy')
        self.assertIn('web', text)


if __name__ == '__main__':
    tap.main()
