# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every system call by which helper and jail change something, failed once and met by SIGKILL once; and afterwards the
world is as it was.

Works as root in the world of tools/try, with the real buses and polkit; inject.c becomes the helper, and in the place
of the VMM is a program of the tests. What there is to fail is learnt from a run in which nothing fails: a point that is
not reached then is a failure of the test. ../host/test_faults.py does the same where systemd is.
"""

import contextlib
import fcntl
import os
import pathlib
import pwd
import select
import shutil
import signal
import subprocess
import sys
import time
import unittest

import gi
gi.require_version('Gio', '2.0')
from gi.repository import Gio, GLib  # noqa: E402

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'contract'))
import tap  # noqa: E402

NAME, PATH = 'org.banger.Helper', '/org/banger/Helper'
BUS = 'unix:path=/run/dbus/system_bus_socket'
CONTROL = pathlib.Path('/run/banger-faults')
BUILT = '/usr/src/banger-built-tests'
INJECT = f'{BUILT}/faults/inject'
LEDGER = pathlib.Path('/run/banger-helper')
CONF = pathlib.Path('/proc/sys/net/ipv4/conf')
LEASES = pathlib.Path('/var/lib/banger/leases')
JAILS = pathlib.Path('/run/banger-jail')
# A member of the group banger, in every world of the tests.
DEV = 41001
VM = 'a' * 32
OURS = ('banger-helper', 'banger-jail', 'qemu-system-x86')
# As many runs of the normal check see every point once.
SLICES = 6
# Nothing hangs: whatever waits for something that was made to fail has a bound below this.
PATIENCE_MS = 60000


def log(text):
    print('# ' + text, flush=True)


def processes():
    """pid → name of all in this world, without those that have ended."""
    found = {}
    for entry in pathlib.Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):
            lines = (entry / 'status').read_text().splitlines()
            status = dict(line.split(':\t', 1) for line in lines if ':\t' in line)
            if status['State'][0] not in 'ZX':
                found[int(entry.name)] = status['Name']
    return found


def wait_gone(pid):
    """False where it is still there after all patience."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    gone = bool(poll.poll(PATIENCE_MS))
    os.close(fd)
    return gone


def tell(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def world():
    """What the helper or a jail could leave behind. A user's subnet is to stay."""
    return {'mounts': pathlib.Path('/proc/self/mountinfo').read_text(),
            'links': tell('ip', '-o', 'link', 'show') + tell('ip', '-o', '-4', 'addr', 'show'),
            'filter': tell('nft', 'list', 'ruleset'),
            'forwarding': {str(path): path.read_text() for path in CONF.glob('*/forwarding')},
            'jails': sorted(path.name for path in JAILS.glob('*') if path.name != 'socket'),
            'ledger': {str(path): path.read_text() for path in LEDGER.rglob('*') if path.is_file()},
            'temporary': sorted(os.listdir('/tmp') + os.listdir('/dev/shm') + os.listdir('/var/tmp')),
            'cgroups': sorted(os.listdir('/sys/fs/cgroup')),
            'descriptors': len(os.listdir('/proc/self/fd'))}


def connect(uid, address=BUS):
    # The kernel tells the bus who connects; the process is root again behind it.
    os.setresuid(uid, uid, 0)
    try:
        return Gio.DBusConnection.new_for_address_sync(
            address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
            None, None)
    finally:
        os.setresuid(0, 0, 0)


class Caller:
    def __init__(self, uid, connect_as=connect):
        self.connection = connect_as(uid)
        self.fds = []

    def call(self, method, arguments=None, fds=()):
        """(error name or None, values or message); the descriptors of the answer are kept until close()."""
        out = Gio.UnixFDList.new()
        for fd in fds:
            out.append(fd)
        try:
            value, back = self.connection.call_with_unix_fd_list_sync(NAME, PATH, NAME, method, arguments, None, 0,
                                                                      PATIENCE_MS, out, None)
        except GLib.Error as error:
            return Gio.DBusError.get_remote_error(error) or 'timed out', error.message
        self.fds += back.steal_fds() if back else []
        return None, value.unpack()

    def launch(self, kernel, initramfs, disk):
        arguments = GLib.Variant('(sssbutshhahah)',
                                 (VM, '', 'qemu-microvm', False, 1, 128 << 20, 'quiet', 0, 1, [2], []))
        return self.call('LaunchVmm', arguments, (kernel, initramfs, disk))

    def on_vm(self, method, *more):
        return self.call(method, GLib.Variant('(ss' + ('u' if more else '') + ')', (VM, '', *more)))

    def close(self):
        for fd in self.fds:
            os.close(fd)
        self.fds = []


def memfd(name):
    fd = os.memfd_create(name, os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(fd, b'x')
    os.fchmod(fd, 0o444)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, 0xf)
    return fd


def take_places():
    """Our programs where the helper and the VMM are: this world is thrown away."""
    service = pathlib.Path('/usr/share/dbus-1/system-services', NAME + '.service')
    service.write_text(service.read_text().replace('Exec=', f'Exec={INJECT} '))
    take_vmm('kernel/fake-vmm')


def take_vmm(program):
    """And /var/tmp, which this world has from the machine, is nobody else's."""
    vmm = pathlib.Path('/usr/bin/qemu-system-x86_64')
    vmm.unlink()
    shutil.copy2(os.path.join(BUILT, program), vmm)
    subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', '/var/tmp'], check=True)


class World:
    """Where helper and jails are, and what they could leave behind: in the world of tools/try."""

    control, ledger, jails = CONTROL, LEDGER, JAILS
    # As many runs of the normal check see every point once.
    slices = SLICES

    def connect(self, uid):
        return connect(uid)

    def make_disk(self):
        """A file of dev's, open to write."""
        return make_disk(pathlib.Path(pwd.getpwuid(DEV).pw_dir, 'disk'))

    def look(self):
        return world()

    def supervise(self):
        return subprocess.Popen([INJECT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def end_services(self):
        """Helper and launcher."""
        for pid, name in processes().items():
            if name in OURS[:2]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def make_disk(path):
    path.write_bytes(bytes(1 << 20))
    os.chown(path, DEV, DEV)
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)


class Rig:
    """The callers, their descriptors, the helper's coming and going, and who supervises it."""

    def __init__(self, place):
        self.place, self.supervisor = place, None
        self.user, self.root = (Caller(uid, place.connect) for uid in (DEV, 0))
        self.kernel, self.initramfs = memfd('kernel'), memfd('initramfs')
        self.disk = place.make_disk()

    def launch(self):
        return self.user.launch(self.kernel, self.initramfs, self.disk)

    def is_served(self):
        return self.root.connection.call_sync('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus',
                                              'NameHasOwner', GLib.Variant('(s)', (NAME,)), None, 0, -1,
                                              None).unpack()[0]

    def end_services(self):
        """The next call finds neither helper nor launcher, as after a boot, and the bus knows it."""
        loop = GLib.MainLoop()
        watch = self.root.connection.signal_subscribe(
            'org.freedesktop.DBus', 'org.freedesktop.DBus', 'NameOwnerChanged', '/org/freedesktop/DBus', NAME,
            Gio.DBusSignalFlags.NONE, lambda *args: loop.quit() if not args[5].unpack()[2] else None)
        served = self.is_served()
        self.place.end_services()
        if served:
            loop.run()
        self.root.connection.signal_unsubscribe(watch)
        gone = [wait_gone(pid) for pid, name in processes().items() if name in OURS]
        assert all(gone), processes()


    def supervise(self, text):
        """By that plan, whoever starts from now on."""
        self.end_services()
        self.leave_alone()
        for name in ('hit', 'trace'):
            self.path(name).unlink(missing_ok=True)
        self.path('plan').write_text(text + '\n')
        self.supervisor = self.place.supervise()
        assert self.supervisor.stdout.readline(), text

    def leave_alone(self):
        if self.supervisor:
            self.supervisor.communicate()
            assert self.supervisor.returncode == 0
            self.supervisor = None

    def path(self, name):
        return self.place.control / name


class Scenario(unittest.TestCase):
    """One way through the helper; `steps` yields (method, error, message or values)."""

    maxDiff = None
    place = World()

    @classmethod
    def setUpClass(cls):
        cls.place.control.mkdir(exist_ok=True)
        cls.rig = Rig(cls.place)
        cls.addClassCleanup(cls.rig.leave_alone)

    def steps(self):
        raise NotImplementedError

    def release(self):
        """What anybody may do who has lost track."""
        self.insist('ReleaseVM', lambda: self.rig.user.on_vm('ReleaseVM'))

    def insist(self, method, call):
        """The first attempt may be what the fault meets; and a polkitd that is late, seldom but for some seconds then,
        is no answer to what is asked here."""
        attempts = 2
        while attempts > 0:
            error, text = call()
            if error is None:
                return
            attempts -= 1 if 'polkit did not answer' not in text else 0.25
        self.fail(f'{method}: {error}: {text}')

    def settle(self):
        """Nothing of it is left, and it would work again."""
        self.rig.user.close()
        self.release()
        for pid, name in processes().items():
            if name == 'qemu-system-x86':
                self.assertTrue(wait_gone(pid), name)
        for caller, method in (self.rig.user, 'ListResources'), (self.rig.root, 'ListAllResources'):
            self.assertEqual(caller.call(method), (None, ([],)))
        self.rig.end_services()
        self.assertEqual([name for name in processes().values() if name in OURS], [])

    def trace(self):
        self.rig.supervise('trace')
        for method, error, text in self.steps():
            self.assertIsNone(error, (method, text))
        self.rig.user.close()
        self.rig.end_services()
        return self.rig.path('trace').read_text().splitlines()

    def meet(self, verb, point, before):
        self.rig.supervise(f'{verb} {point}')
        told = [(method, error, text) for method, error, text in self.steps() if error]
        for method, error, text in told:
            self.assertTrue(text, (method, error))
            # Neither by us, nor by a bus that waited for a service to come up.
            self.assertNotIn(error, ('timed out', 'org.freedesktop.DBus.Error.TimedOut'), (method, text))
        if not self.rig.path('hit').exists():
            # What only its end does, it does now.
            self.rig.end_services()
        self.assertTrue(self.rig.path('hit').exists(), 'was not reached')
        self.settle()
        self.assertEqual(self.place.look(), before)
        return told

    def meet_all(self, verb):
        points = self.trace()
        self.settle()
        before = self.place.look()
        step = 1 if os.environ.get('BANGER_LONG') else self.place.slices
        first = int(os.environ.get('BANGER_SLICE', time.time() // 86400)) % step
        failed, met = [], 0
        for point in points[first::step]:
            try:
                told = self.meet(verb, point, before)
            except AssertionError as error:
                failed.append(f'{verb} {point}: {error}')
                log(f'NOT {failed[-1]}')
                continue
            met += 1
            log(f'{verb} {point}: ' + ('; '.join(f'{m}: {t}' for m, _, t in told) or 'nobody noticed'))
        log(f'{met} of {len(points)} points met by {verb}, slice {first} of {step} (BANGER_SLICE)')
        self.assertEqual(failed, [])


class LaunchToRelease(Scenario):
    def steps(self):
        yield 'LaunchVmm', *self.rig.launch()
        yield 'OpenVmm', *self.rig.user.on_vm('OpenVmm')
        yield 'SignalVmm', *self.rig.user.on_vm('SignalVmm', signal.SIGTERM)
        yield 'ReleaseVM', *self.rig.user.on_vm('ReleaseVM')

    def test_launch_open_signal_release_when_any_call_fails_then_nothing_is_left(self):
        self.meet_all('fail')

    def test_launch_open_signal_release_when_killed_at_any_call_then_nothing_is_left(self):
        self.meet_all('kill')


class Probe(Scenario):
    def steps(self):
        with contextlib.suppress(FileNotFoundError):
            (self.place.ledger / 'kvm').unlink()
        yield 'ProbeKvm', *self.rig.user.call('ProbeKvm')

    def settle(self):
        super().settle()
        with contextlib.suppress(FileNotFoundError):
            (self.place.ledger / 'kvm').unlink()

    def test_probe_when_any_call_fails_then_nothing_is_left(self):
        self.meet_all('fail')

    def test_probe_when_killed_at_any_call_then_nothing_is_left(self):
        self.meet_all('kill')


class Network(Scenario):
    """A bridge, a tap that reaches the world past a firewall like Docker's, and all of it given back."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # What leads anywhere has to be there, or there is nothing that could forward.
        for words in ('link add up0 type veth peer name up1', 'addr add 192.168.50.2/24 dev up0', 'link set up0 up',
                      'link set up1 up', 'route add default via 192.168.50.1'):
            tell('ip', *words.split())
        for words in ('add table ip filter', 'add chain ip filter DOCKER-USER',
                      'add chain ip filter FORWARD {type filter hook forward priority 0;policy drop;}',
                      'add rule ip filter FORWARD jump DOCKER-USER', 'add rule ip filter DOCKER-USER return'):
            tell('nft', words)

    @classmethod
    def tearDownClass(cls):
        tell('nft', 'delete table ip filter')
        tell('ip', 'link', 'delete', 'up0')

    def make(self):
        yield 'EnsureBridge', *self.rig.user.call('EnsureBridge', GLib.Variant('(s)', ('',)))
        yield 'CreateTap', *self.rig.user.call('CreateTap', GLib.Variant('(ssub)', (VM, '', 0, True)))
        for peer in False, True:
            yield 'SetPeer', *self.rig.user.call('SetPeer', GLib.Variant('(ssb)', (VM, '', peer)))
        for lan in True, False:
            yield 'EnableNat', *self.rig.user.call('EnableNat', GLib.Variant('(ssb)', (VM, '', lan)))

    def steps(self):
        yield from self.make()
        yield 'DisableNat', *self.rig.user.on_vm('DisableNat')
        yield 'EnableNat', *self.rig.user.call('EnableNat', GLib.Variant('(ssb)', (VM, '', False)))
        yield 'ReleaseVM', *self.rig.user.on_vm('ReleaseVM')
        yield 'RemoveBridge', *self.rig.user.call('RemoveBridge', GLib.Variant('(s)', ('',)))

    def settle(self):
        self.rig.user.close()
        self.release()
        self.insist('RemoveBridge', lambda: self.rig.user.call('RemoveBridge', GLib.Variant('(s)', ('',))))
        super().settle()
        # To be written again, as in the run that tells what there is to fail.
        (LEASES / str(DEV)).unlink(missing_ok=True)

    def test_network_when_any_call_fails_then_nothing_is_left(self):
        self.meet_all('fail')

    def test_network_when_killed_at_any_call_then_nothing_is_left(self):
        self.meet_all('kill')


class NetworkOfUser(Network):
    """The same, given back by an administrator, with its VM there."""

    def steps(self):
        yield from self.make()
        yield 'ReleaseUser', *self.rig.root.call('ReleaseUser', GLib.Variant('(u)', (DEV,)))


class ReleaseUser(Scenario):
    def steps(self):
        yield 'LaunchVmm', *self.rig.launch()
        yield 'ReleaseUser', *self.rig.root.call('ReleaseUser', GLib.Variant('(u)', (DEV,)))

    def test_release_user_when_any_call_fails_then_nothing_is_left(self):
        self.meet_all('fail')

    def test_release_user_when_killed_at_any_call_then_nothing_is_left(self):
        self.meet_all('kill')


if __name__ == '__main__':
    take_places()
    tap.main()
