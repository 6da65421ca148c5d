#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real helper, with the recording kernel, on a private bus with a polkit that does as it is told.

Environment: BANGER_HELPER_TEST (the test build), BANGER_SOURCE (the tree). Root, so that callers can be different
users; bus, polkit and helper run as nobody.
"""

import fcntl
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as ElementTree

import gi
gi.require_version('Gio', '2.0')
from gi.repository import Gio, GLib  # noqa: E402

sys.path.insert(0, os.environ['BANGER_SOURCE'] + '/tests/fakes')
import fuse  # noqa: E402
import tap  # noqa: E402

HELPER = os.environ['BANGER_HELPER_TEST']
SOURCE = os.environ['BANGER_SOURCE']
NAME, PATH = 'org.banger.Helper', '/org/banger/Helper'
# Users that every Debian has: dbus-daemon turns away a uid without an account.
NOBODY, ALICE, BOB = (pwd.getpwnam(name).pw_uid for name in ('nobody', 'bin', 'games'))
LAUNCH = '(sssbutshhahah)'
VM = 'a' * 32

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={directory}/bus</listen>
  <auth>EXTERNAL</auth>
  <servicedir>{directory}/services</servicedir>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
"""


def memfd(seals=True, content=b'x'):
    fd = os.memfd_create('test', os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(fd, content)
    if seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, 0xf)
    return fd


class Call:
    """A call under way."""

    def __init__(self):
        self.loop = GLib.MainLoop()
        self.done = False
        self.value = self.error = self.fds = None

    def wait(self):
        if not self.done:
            self.loop.run()
        return self


class Stack(unittest.TestCase):
    idle_ms = 60000
    has_polkit = True

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest('needs root, to be several users')
        self.directory = tempfile.mkdtemp(prefix='banger-contract-')
        self.fds, self.connections = [], []
        os.mkdir(self.path('services'))
        os.mkdir(self.path('polkit'))
        self.write('polkit/mode', 'yes')
        self.write('bus.conf', BUS_CONFIG.format(directory=self.directory))
        self.write('helper.conf', '[limits]\nvms-per-user=3\n')
        paths = f'{self.address} {self.path("run")} {self.path("helper.conf")}'
        self.add_service(NAME, f'{HELPER} {paths} {self.idle_ms} 0')
        if self.has_polkit:
            self.add_service('org.freedesktop.PolicyKit1',
                             f'{sys.executable} {SOURCE}/tests/fakes/polkitd.py {self.address} {self.path("polkit")}')
        subprocess.run(['chown', '-R', f'{NOBODY}:{NOBODY}', self.directory], check=True)
        os.chmod(self.directory, 0o755)
        read, write = os.pipe()
        self.log = open(self.path('log'), 'wb')
        self.bus = subprocess.Popen(
            ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups', '--pdeathsig=KILL', 'dbus-daemon',
             '--nofork', '--nopidfile', f'--config-file={self.path("bus.conf")}', f'--print-address={write}'],
            pass_fds=[write], stderr=self.log, stdout=self.log)
        os.close(write)
        self.assertTrue(os.read(read, 1), 'dbus-daemon did not start')
        os.close(read)

    def tearDown(self):
        for connection in self.connections:
            if not connection.is_closed():
                connection.close_sync(None)
        for fd in self.fds:
            os.close(fd)
        pids = [self.pid_of(name) for name in (NAME, 'org.freedesktop.PolicyKit1')]
        self.bus.kill()
        self.bus.wait()
        for pid in pids:
            if pid:
                os.kill(pid, signal.SIGKILL)
        self.log.close()
        shutil.rmtree(self.directory)

    # What a test says.

    @property
    def address(self):
        return f'unix:path={self.directory}/bus'

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), 'w', encoding='utf-8') as f:
            f.write(text)

    def add_service(self, name, command):
        self.write(f'services/{name}.service', f'[D-BUS Service]\nName={name}\nExec={command}\n')

    def fd(self, fd):
        self.fds.append(fd)
        return fd

    def polkit(self, mode):
        self.write('polkit/mode', mode)

    def asked(self):
        try:
            with open(self.path('polkit/asked'), encoding='utf-8') as f:
                # At once: what is written meanwhile would come in two parts. What is behind the last end is none yet.
                return [json.loads(line) for line in f.read().split('\n')[:-1]]
        except FileNotFoundError:
            return []

    def asked_until(self, count):
        context = GLib.MainContext.default()
        while len(self.asked()) < count:
            context.iteration(False)
        return self.asked()

    def connect(self, uid=ALICE):
        # The kernel tells the bus who connects; the process is root again behind it.
        os.setresuid(uid, uid, 0)
        try:
            connection = Gio.DBusConnection.new_for_address_sync(
                self.address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
        finally:
            os.setresuid(0, 0, 0)
        self.connections.append(connection)
        return connection

    def drop(self, connection):
        """Returns when the bus knows that it is gone."""
        watcher, gone = self.connect(0), GLib.MainLoop()
        watcher.signal_subscribe('org.freedesktop.DBus', 'org.freedesktop.DBus', 'NameOwnerChanged', None,
                                 connection.get_unique_name(), Gio.DBusSignalFlags.NONE, lambda *_: gone.quit())
        # An answer to what was sent behind it: the bus has the subscription.
        watcher.call_sync('org.freedesktop.DBus', '/', 'org.freedesktop.DBus', 'GetId', None, None,
                          Gio.DBusCallFlags.NONE, -1, None)
        connection.close_sync(None)
        gone.run()

    def send(self, connection, method, args=None, fds=(), ask=False):
        call = Call()
        fd_list = Gio.UnixFDList.new()
        for fd in fds:
            fd_list.append(fd)

        def finish(source, result):
            try:
                call.value, out = source.call_with_unix_fd_list_finish(result)
                call.fds = out.steal_fds() if out else []
                self.fds += call.fds
            except GLib.Error as e:
                call.error = Gio.DBusError.get_remote_error(e) or e.message
                call.message = e.message
            call.done = True
            call.loop.quit()

        flags = Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION if ask else Gio.DBusCallFlags.NONE
        connection.call_with_unix_fd_list(NAME, PATH, NAME, method, args, None, flags, 60000, fd_list, None, finish)
        return call

    def call(self, connection, method, args=None, fds=(), ask=False):
        return self.send(connection, method, args, fds, ask).wait()

    def launch_args(self, **changed):
        args = dict(vm=VM, operation='', vmm='qemu-q35', kvm=False, vcpus=1, memory=128 << 20, cmdline='', kernel=0,
                    initramfs=1, disks=[], network=[])
        args.update(changed)
        return GLib.Variant(LAUNCH, tuple(args.values()))

    def launch(self, connection, fds=None, ask=False, **changed):
        fds = fds if fds is not None else [self.fd(memfd()), self.fd(memfd())]
        return self.call(connection, 'LaunchVmm', self.launch_args(**changed), fds, ask)

    def refuse(self, connection, argument, fds=None, **changed):
        call = self.launch(connection, fds, **changed)
        self.assert_error(call, 'InvalidArgument', f': {argument}: ')

    def pid_of(self, name):
        try:
            connection = self.connect(0)
            value = connection.call_sync('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus',
                                         'GetConnectionUnixProcessID', GLib.Variant('(s)', (name,)), None,
                                         Gio.DBusCallFlags.NONE, 5000, None)
            return value.unpack()[0]
        except GLib.Error:
            return 0

    def assert_error(self, call, name, *texts):
        self.assertEqual(call.error, f'org.banger.Error.{name}', call.value)
        for text in texts:
            self.assertIn(text, call.message)

    def assert_holds_nothing(self, connection):
        self.polkit('yes')
        self.assertEqual(self.call(connection, 'ListResources').value.unpack(), ([],))


class Authorization(Stack):
    def test_t19_yes(self):
        c = self.connect()
        call = self.launch(c, operation='b' * 32)
        self.assertIsNone(call.error)
        self.assertEqual(len(call.fds), 4)
        asked, = self.asked()
        self.assertEqual(asked, dict(kind='system-bus-name', name=c.get_unique_name(),
                                     action='org.banger.helper.launch-vmm', flags=0, cancellation='',
                                     details={'uid': str(ALICE), 'vm': VM, 'object': f'{ALICE}-{VM}'}))
        rows = self.call(c, 'ListResources').value.unpack()[0]
        self.assertEqual(rows, [(VM, 'vmm', f'{ALICE}-{VM}', 'running')])

    def test_no(self):
        self.polkit('no')
        c = self.connect()
        self.assert_error(self.launch(c, ask=True), 'NotAuthorized', 'org.banger.helper.launch-vmm',
                          'usermod -aG banger')
        self.assertEqual(len(self.asked()), 1)
        self.assert_holds_nothing(c)

    def test_challenge_when_the_message_forbids_asking(self):
        self.polkit('ask-yes')
        c = self.connect()
        self.assert_error(self.launch(c), 'InteractionRequired', 'org.banger.helper.launch-vmm')
        self.assertEqual([a['flags'] for a in self.asked()], [0])
        self.assert_holds_nothing(c)

    def test_challenge_when_the_message_allows_asking(self):
        self.polkit('ask-yes')
        self.assertIsNone(self.launch(self.connect(), ask=True).error)
        self.assertEqual([a['flags'] for a in self.asked()], [0, 1])
        self.assertTrue(self.asked()[1]['cancellation'])

    def test_challenge_when_the_person_refuses(self):
        self.polkit('ask-no')
        c = self.connect()
        self.assert_error(self.launch(c, ask=True), 'NotAuthorized')
        self.assert_holds_nothing(c)

    def test_t16_polkit_when_it_never_answers(self):
        self.polkit('hang')
        c = self.connect()
        self.assert_error(self.launch(c, ask=True), 'NotAuthorized', 'polkit')
        self.assert_holds_nothing(c)

    def test_t22_polkit_when_killed_mid_question(self):
        self.polkit('die-once')
        self.assertIsNone(self.launch(self.connect()).error)
        self.assertEqual(len(self.asked()), 2)

    def test_polkit_when_it_fails(self):
        self.polkit('garbage')
        self.assert_error(self.launch(self.connect()), 'NotAuthorized')

    def test_t19_caller_when_gone_mid_question(self):
        self.polkit('ask-wait')
        c = self.connect()
        self.send(c, 'LaunchVmm', self.launch_args(), [self.fd(memfd()), self.fd(memfd())], ask=True)
        self.asked_until(2)
        c.close_sync(None)
        asked = self.asked_until(3)
        self.assertEqual(asked[2], {'cancel': asked[1]['cancellation']})
        self.assert_holds_nothing(self.connect())

    def test_t20_caller_when_gone_before_its_call_is_read(self):
        root, caller = self.connect(0), self.connect()
        self.assertIsNone(self.launch(root).error)
        pid = self.pid_of(NAME)
        os.kill(pid, signal.SIGSTOP)
        # Whoever is nobody any more must not become user 0, who has a VM of that name.
        for method in 'ReleaseVM', 'OpenVmm':
            self.send(caller, method, GLib.Variant('(ss)', (VM, '')))
        caller.flush_sync(None)
        self.drop(caller)
        os.kill(pid, signal.SIGCONT)
        rows = self.call(root, 'ListResources').value.unpack()[0]
        self.assertEqual(len(rows), 1)
        self.assertEqual([asked['action'] for asked in self.asked()],
                         ['org.banger.helper.launch-vmm', 'org.banger.helper.list-resources'])

    def test_nothing_is_remembered(self):
        c = self.connect()
        for _ in range(3):
            self.call(c, 'ListResources')
        self.assertEqual(len(self.asked()), 3)

    def test_t08_t29_every_method_asks_its_own_action(self):
        self.polkit('no')
        c = self.connect(BOB)
        interface = ElementTree.parse(f'{SOURCE}/data/dbus/org.banger.Helper.xml').getroot().find('interface')
        values = {'LaunchVmm': self.launch_args(), 'OpenVmm': GLib.Variant('(ss)', (VM, '')),
                  'SignalVmm': GLib.Variant('(ssu)', (VM, '', 15)), 'ReleaseVM': GLib.Variant('(ss)', (VM, '')),
                  'ReleaseUser': GLib.Variant('(u)', (BOB,)),
                  'EnsureBridge': GLib.Variant('(s)', ('',)), 'RemoveBridge': GLib.Variant('(s)', ('',)),
                  'CreateTap': GLib.Variant('(ssub)', (VM, '', 0, False)),
                  'DeleteTap': GLib.Variant('(ss)', (VM, '')), 'EnableNat': GLib.Variant('(ssb)', (VM, '', False)),
                  'DisableNat': GLib.Variant('(ss)', (VM, '')), 'SetPeer': GLib.Variant('(ssb)', (VM, '', True)),
                  'EnableNameRouting': GLib.Variant('(s)', ('',)), 'DisableNameRouting': GLib.Variant('(s)', ('',))}
        actions = {'LaunchVmm': 'launch-vmm', 'OpenVmm': 'open-vmm', 'SignalVmm': 'signal-vmm',
                   'ReleaseVM': 'release-vm',
                   'ReleaseUser': 'release-user', 'ProbeKvm': 'probe-kvm', 'ListResources': 'list-resources',
                   'ListAllResources': 'list-all-resources', 'EnsureBridge': 'ensure-bridge',
                   'RemoveBridge': 'remove-bridge', 'CreateTap': 'create-tap', 'DeleteTap': 'delete-tap',
                   'EnableNat': 'enable-nat', 'DisableNat': 'disable-nat', 'SetPeer': 'set-peer',
                   'EnableNameRouting': 'enable-name-routing', 'DisableNameRouting': 'disable-name-routing'}
        methods = [m.get('name') for m in interface.findall('method')]
        self.assertEqual(sorted(methods), sorted(actions))
        for method in methods:
            call = self.call(c, method, values.get(method), [self.fd(memfd()), self.fd(memfd())])
            self.assert_error(call, 'NotAuthorized', f'action org.banger.helper.{actions[method]}')
            self.assertEqual(self.asked()[-1]['action'], f'org.banger.helper.{actions[method]}')
        self.assertEqual(len(self.asked()), len(methods))


class NoPolkit(Stack):
    has_polkit = False

    def test_t16_every_method_when_polkit_is_not_there(self):
        c = self.connect()
        self.assert_error(self.launch(c, ask=True), 'NotAuthorized', 'polkit')
        self.assert_error(self.call(c, 'ListResources'), 'NotAuthorized', 'polkit')
        self.assert_error(self.call(self.connect(0), 'ListAllResources'), 'NotAuthorized', 'polkit')
        for method in 'EnableNameRouting', 'DisableNameRouting':
            self.assert_error(self.call(c, method, GLib.Variant('(s)', ('',)), ask=True), 'NotAuthorized', 'polkit')


class Users(Stack):
    def test_t28_another_users_vm_is_invisible(self):
        a, b = self.connect(ALICE), self.connect(BOB)
        self.assertIsNone(self.launch(a).error)
        self.assert_error(self.call(b, 'OpenVmm', GLib.Variant('(ss)', (VM, ''))), 'NotFound')
        self.assert_error(self.call(b, 'SignalVmm', GLib.Variant('(ssu)', (VM, '', 9))), 'NotFound')
        self.assertEqual(self.call(b, 'ReleaseVM', GLib.Variant('(ss)', (VM, ''))).value.unpack(), ('',))
        self.assertEqual(self.call(b, 'ListResources').value.unpack(), ([],))
        self.assertIsNone(self.launch(b).error)
        rows = self.call(self.connect(0), 'ListAllResources').value.unpack()[0]
        self.assertEqual(sorted((r[0], r[1]) for r in rows), [(ALICE, VM), (BOB, VM)])
        self.assertEqual(self.call(a, 'OpenVmm', GLib.Variant('(ss)', (VM, ''))).error, None)

    def test_networks_of_two_users(self):
        a, b = self.connect(ALICE), self.connect(BOB)
        bridges = [self.call(c, 'EnsureBridge', GLib.Variant('(s)', ('',))).value.unpack() for c in (a, b)]
        self.assertEqual([bridge[0] for bridge in bridges], [f'bgr-u{ALICE}', f'bgr-u{BOB}'])
        self.assertNotEqual(bridges[0][1], bridges[1][1])
        self.assertEqual(len(bridges[0][3]), 2)
        tap = self.call(a, 'CreateTap', GLib.Variant('(ssub)', (VM, '', 5, True)))
        self.assertEqual(tap.value.unpack()[1].split('.')[3], '5')
        self.assert_error(self.call(b, 'SetPeer', GLib.Variant('(ssb)', (VM, '', False))), 'NotFound')
        for peer in False, True:
            self.assertIsNone(self.call(a, 'SetPeer', GLib.Variant('(ssb)', (VM, '', peer))).error)
        self.assert_error(self.call(b, 'EnableNat', GLib.Variant('(ssb)', (VM, '', False))), 'NotFound')
        self.assertIsNone(self.call(a, 'EnableNat', GLib.Variant('(ssb)', (VM, '', True))).error)
        rows = self.call(a, 'ListResources').value.unpack()[0]
        self.assertEqual(sorted((row[1], row[3]) for row in rows), [('bridge', 'ready'), ('tap', 'lan')])
        self.assert_error(self.call(a, 'RemoveBridge', GLib.Variant('(s)', ('',))), 'Busy')
        self.assertEqual(self.call(a, 'ReleaseVM', GLib.Variant('(ss)', (VM, ''))).value.unpack(), ('',))
        for connection in (a, b):
            self.assertIsNone(self.call(connection, 'RemoveBridge', GLib.Variant('(s)', ('',))).error)

    def test_names_of_two_users(self):
        a, b = self.connect(ALICE), self.connect(BOB)
        enable = 'EnableNameRouting', GLib.Variant('(s)', ('',))
        self.assert_error(self.call(a, *enable), 'NotFound', 'EnsureBridge')
        for connection in (a, b):
            self.assertIsNone(self.call(connection, 'EnsureBridge', GLib.Variant('(s)', ('',))).error)
        self.assertIsNone(self.call(a, *enable).error)
        self.assertEqual(self.asked()[-1]['details'], {'uid': str(ALICE), 'object': f'bgr-u{ALICE}'})
        self.assertIsNone(self.call(b, 'DisableNameRouting', GLib.Variant('(s)', ('',))).error)
        for connection, rows in ((a, ['bridge', 'names']), (b, ['bridge'])):
            self.assertEqual([row[1] for row in self.call(connection, 'ListResources').value.unpack()[0]], rows)
        self.polkit('no')
        self.assert_error(self.call(a, 'DisableNameRouting', GLib.Variant('(s)', ('',))), 'NotAuthorized',
                          'org.banger.helper.disable-name-routing')
        self.polkit('yes')
        self.assertEqual(len(self.call(a, 'ListResources').value.unpack()[0]), 2)
        self.assertIsNone(self.call(a, 'RemoveBridge', GLib.Variant('(s)', ('',))).error)
        self.assertEqual(self.call(a, 'ListResources').value.unpack(), ([],))

    def test_names_when_the_caller_goes_mid_question_then_nothing_is_done(self):
        a, again = self.connect(), self.connect()
        self.assertIsNone(self.call(a, 'EnsureBridge', GLib.Variant('(s)', ('',))).error)
        self.polkit('ask-wait')
        asked = len(self.asked())
        self.send(a, 'EnableNameRouting', GLib.Variant('(s)', ('',)), ask=True)
        self.asked_until(asked + 2)
        a.close_sync(None)
        self.asked_until(asked + 3)
        self.polkit('yes')
        self.assertEqual([row[1] for row in self.call(again, 'ListResources').value.unpack()[0]], ['bridge'])

    def test_t09_release_user_releases_that_user(self):
        a, b, root = self.connect(ALICE), self.connect(BOB), self.connect(0)
        for connection in (a, b):
            self.assertIsNone(self.launch(connection).error)
        self.assertEqual(self.call(root, 'ReleaseUser', GLib.Variant('(u)', (ALICE,))).value.unpack(), (1,))
        self.assertEqual(self.asked()[-1]['details'], {'uid': str(ALICE)})
        self.assertEqual(self.call(a, 'ListResources').value.unpack(), ([],))
        self.assertEqual(len(self.call(b, 'ListResources').value.unpack()[0]), 1)

    def test_quota_of_the_configuration(self):
        c = self.connect()
        for i in range(3):
            self.assertIsNone(self.launch(c, vm=str(i) * 32).error)
        self.assert_error(self.launch(c, vm='3' * 32), 'QuotaReached', '3 VMs')
        self.assertIsNone(self.launch(self.connect(BOB), vm='3' * 32).error)

    def test_release_tells_how_it_ended(self):
        c = self.connect()
        self.launch(c)
        self.assertEqual(self.call(c, 'ReleaseVM', GLib.Variant('(ss)', (VM, ''))).value.unpack(), ('signal 9',))
        self.assertEqual(self.call(c, 'ReleaseVM', GLib.Variant('(ss)', (VM, ''))).value.unpack(), ('',))


class Arguments(Stack):
    def test_t12_t04_strings(self):
        c = self.connect()
        for text in ('', '%n%s%n%s', '../' * 10, 'A' * 32, 'a' * 31, 'a' * 33, 'a' * 255, 'a' * 256, 'a' * 100000,
                     'a' * 31 + '\n', '\u202e' * 16):
            self.refuse(c, 'vm', vm=text)
            self.assert_error(self.call(c, 'OpenVmm', GLib.Variant('(ss)', (text, ''))), 'InvalidArgument', 'vm')
            self.assert_error(self.call(c, 'ReleaseVM', GLib.Variant('(ss)', (text, ''))), 'InvalidArgument', 'vm')
            if text:
                self.refuse(c, 'operation', operation=text)
            self.refuse(c, 'vmm', vmm=text)
        for text in ('a\nb', '\u00e9', 'a' * 2048, 'a' * 1000000):
            self.refuse(c, 'cmdline', cmdline=text)
        self.assertIsNone(self.launch(c, cmdline='%n%s' + 'a' * 2043).error)
        self.assertEqual(len(self.asked()), 1)

    def test_numbers(self):
        c = self.connect()
        for vcpus in (0, 65, 2**32 - 1):
            self.refuse(c, 'vcpus', vcpus=vcpus)
        for memory in (0, (64 << 20) - 1, (64 << 20) + 1, (1 << 40) + (1 << 20), 2**64 - 1):
            self.refuse(c, 'memory', memory=memory)
        for signo in (0, 4, 11, 19, 64, 2**32 - 1):
            self.assert_error(self.call(c, 'SignalVmm', GLib.Variant('(ssu)', (VM, '', signo))), 'InvalidArgument',
                              'signal')
        self.assert_error(self.call(c, 'ReleaseUser', GLib.Variant('(u)', (2**32 - 1,))), 'InvalidArgument', 'uid')
        self.assertEqual(self.asked(), [])

    def test_t10_descriptor_indexes(self):
        c = self.connect()
        two = [self.fd(memfd()), self.fd(memfd())]
        for index in (2, 7, 2**31 - 1, -1, -2**31):
            self.refuse(c, 'kernel', two, kernel=index)
            self.refuse(c, 'disks', two, disks=[index])
            self.refuse(c, 'network', two, network=[index])
        self.refuse(c, 'kernel', [])
        self.refuse(c, 'disks', two, disks=[0] * 5)
        self.refuse(c, 'network', two, network=[0] * 2)
        # One descriptor in two places is two uses of one file.
        self.assertIsNone(self.launch(c, two, initramfs=0).error)

    def test_t10_t23_descriptors_are_not_kept(self):
        c = self.connect()
        self.call(c, 'ListResources')
        directory = f'/proc/{self.pid_of(NAME)}/fd'
        before = len(os.listdir(directory))
        for _ in range(20):
            self.refuse(c, 'vcpus', vcpus=0)
            extra = [self.fd(memfd()) for _ in range(8)]
            self.refuse(c, 'memory', extra, memory=1)
            self.call(c, 'ListResources', None, extra)
        # A call is forgotten after its reply is sent, and before the next one is read.
        self.call(c, 'ListResources')
        self.assertEqual(len(os.listdir(directory)), before)

    def test_t21_signatures(self):
        c = self.connect()
        for method, args in (('ReleaseUser', GLib.Variant('(i)', (0,))), ('ReleaseUser', GLib.Variant('(s)', ('0',))),
                             ('ReleaseUser', GLib.Variant('(t)', (1 << 32,))),
                             ('ReleaseUser', None), ('ListResources', GLib.Variant('(u)', (0,))),
                             ('OpenVmm', GLib.Variant('(s)', (VM,))),
                              ('SignalVmm', GLib.Variant('(ssi)', (VM, '', 15)))):
            call = self.call(c, method, args)
            self.assertEqual(call.error, 'org.freedesktop.DBus.Error.InvalidArgs', method)
        self.assertEqual(self.call(c, 'NoSuchMethod').error, 'org.freedesktop.DBus.Error.UnknownMethod')
        self.assertEqual(self.asked(), [])

    def shared(self):
        """A file that everybody may write."""
        path = self.path('shared')
        with open(path, 'wb') as file:
            file.write(b'shared')
        os.chmod(path, 0o646)
        return path

    def test_t15_descriptors(self):
        c = self.connect()
        good = self.fd(memfd())
        path = self.path('disk')
        own = self.fd(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        os.ftruncate(own, 1 << 20)
        read, write = os.pipe()
        kinds = {'pipe': read, 'directory': os.open('/', os.O_RDONLY), 'null': os.open('/dev/null', os.O_RDWR),
                 'unsealed': memfd(False), 'empty': memfd(content=b''), 'path': os.open(path, os.O_PATH),
                 'proc': os.open('/proc/self/status', os.O_RDONLY), 'append': os.open(path, os.O_RDWR | os.O_APPEND),
                 'write-only': os.open(path, os.O_WRONLY), 'writable by all': os.open(self.shared(), os.O_RDONLY)}
        self.fds += list(kinds.values()) + [write]
        for kind, fd in kinds.items():
            with self.subTest(kind):
                self.refuse(c, 'kernel', [fd, good])
                self.refuse(c, 'initramfs', [good, fd])
                self.refuse(c, 'disks', [good, good, fd], disks=[2])
        self.refuse(c, 'disks', [good, good, own], disks=[2])  # nobody's of hers
        os.chown(path, ALICE, ALICE)
        os.link(path, path + '2')
        self.refuse(c, 'disks', [good, good, own], disks=[2])
        os.unlink(path + '2')
        readonly = self.fd(os.open('/etc/passwd', os.O_RDONLY))
        self.assertIsNone(self.launch(c, [good, good, own, readonly], disks=[2, 3]).error)


    def test_bound_when_no_answer_is_wanted_then_not_run_either(self):
        c = self.connect()
        self.assertIsNone(self.call(c, 'ListResources').error)
        pid = self.pid_of(NAME)
        for changed in ({'vmm': 'x' * 70000}, {'cmdline': 'x' * 70000}, {'vm': 'x' * 70000}, {'disks': [0] * 64}):
            message = Gio.DBusMessage.new_method_call(NAME, PATH, NAME, 'LaunchVmm')
            message.set_flags(Gio.DBusMessageFlags.NO_REPLY_EXPECTED)
            message.set_body(self.launch_args(**changed))
            fds = Gio.UnixFDList.new()
            for _ in range(2):
                fds.append(self.fd(memfd()))
            message.set_unix_fd_list(fds)
            c.send_message(message, Gio.DBusSendMessageFlags.NONE)
        self.assertIsNone(self.call(c, 'ListResources').error)
        self.assertEqual(self.pid_of(NAME), pid)
        self.assertEqual({asked['action'] for asked in self.asked()}, {'org.banger.helper.list-resources'})


class Fuse(Stack):
    def setUp(self):
        fuse.enter_namespace()
        super().setUp()
        os.mkdir(self.path('mnt'))
        self.filesystem = fuse.Filesystem(self.path('mnt'))

    def tearDown(self):
        self.filesystem.close()
        super().tearDown()

    def test_t40_descriptors_of_a_server_that_never_answers(self):
        c = self.connect()
        good, reading = self.fd(memfd()), self.fd(self.filesystem.open(os.O_RDONLY))
        writing = self.fd(self.filesystem.open(os.O_RDWR))
        self.refuse(c, 'kernel', [reading, good])
        self.refuse(c, 'initramfs', [good, reading])
        for disk in reading, writing:
            self.refuse(c, 'disks', [good, good, disk], disks=[2])
        self.assertIsNone(self.call(self.connect(BOB), 'ListResources').error)


class Life(Stack):
    # Leaves as soon as a call is done: every next call meets an exit.
    idle_ms = 0

    def test_idle_exit_loses_no_call(self):
        c = self.connect()
        for i in range(300):
            self.assertIsNone(self.call(c, 'ListResources').error, i)
        with open(self.path('log'), encoding='utf-8') as f:
            starts = f.read().count(f"Activating service name='{NAME}'")
        self.assertGreater(starts, 30)

    def test_idle_exit_with_many_callers(self):
        calls = []
        for uid in (ALICE, BOB, 0):
            connection = self.connect(uid)
            calls += [self.send(connection, 'ListResources') for _ in range(10)]
        self.assertEqual([call.wait().error for call in calls], [None] * len(calls))


class Ending(Stack):
    def test_term_ends_it_and_aborts_what_waits(self):
        self.polkit('ask-wait')
        c = self.connect()
        call = self.send(c, 'ReleaseUser', GLib.Variant('(u)', (1,)), ask=True)
        self.asked_until(2)
        pid = self.pid_of(NAME)
        pidfd = self.fd(os.pidfd_open(pid))
        os.kill(pid, signal.SIGTERM)
        self.assert_error(call.wait(), 'Aborted')
        ended = GLib.MainLoop()
        GLib.unix_fd_add_full(0, pidfd, GLib.IOCondition.IN, lambda *_: ended.quit())
        ended.run()
        # The bus hands the withdrawal on behind the helper's end, in its own time.
        asked = self.asked_until(3)
        self.assertEqual(asked[2], {'cancel': asked[1]['cancellation']})

    def test_configuration_with_an_unknown_key_is_refused_by_name(self):
        self.write('helper.conf', '[limits]\nvms-per-usr=3\n')
        c = self.connect()
        self.assert_error(self.launch(c), 'Failed', '[limits] vms-per-usr: unknown key')
        # What runs can be found and ended.
        self.assertEqual(self.call(c, 'ListResources').value.unpack(), ([],))
        self.assertIsNone(self.call(c, 'ReleaseVM', GLib.Variant('(ss)', (VM, ''))).error)
        self.log.flush()
        with open(self.path('log'), encoding='utf-8') as f:
            self.assertIn('[limits] vms-per-usr: unknown key', f.read())

    def test_questions_of_one_user_are_bounded(self):
        self.polkit('ask-wait')
        c = self.connect()
        calls = [self.send(c, 'ReleaseUser', GLib.Variant('(u)', (1,)), ask=True) for _ in range(128)]
        # Twice each: without a person, and with.
        self.assertEqual(len(self.asked_until(32)), 32)
        # The bus has passed all of them on when it has answered this.
        c.call_sync('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'GetId', None, None,
                    Gio.DBusCallFlags.NONE, -1, None)
        # Another connection: the bus lets one wait for no more answers than that.
        self.assert_error(self.call(self.connect(), 'ListResources'), 'Busy')
        # Whoever comes behind them was not asked about.
        self.polkit('yes')
        self.assertIsNone(self.call(self.connect(BOB), 'ListResources').error)
        self.assertEqual(len(self.asked()), 33)
        self.assertEqual([call.done for call in calls], [False] * 128)
        c.close_sync(None)
        self.assert_holds_nothing(self.connect())


if __name__ == '__main__':
    tap.main()
