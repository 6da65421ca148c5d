# SPDX-License-Identifier: LGPL-2.1-or-later
"""A whole Debian, booted by its own systemd in a container, with the product installed and some people on it.

What a test does as root or as one of the people is done inside; the test itself stays outside, so that it sees the
machine end and start again. Nothing is ever written but to a tmpfs that ends with the test.
"""

import os
import pathlib
import select
import shlex
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', 'contract'))
import tap  # noqa: E402, F401

import gi  # noqa: E402
gi.require_version('Gio', '2.0')
from gi.repository import Gio, GLib  # noqa: E402

BASE = pathlib.Path('/run/banger-host')
ROOT = BASE / 'root'
KEY = '/etc/ssh/key_of_the_test'
# The first owns the files of the home that tools/try prepares.
PEOPLE = {'dev': 41001, 'dev2': 41002, 'outsider': 41003}
MEMBERS = ('dev', 'dev2')
ENVIRONMENT = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'LANG': 'C.UTF-8',
               'HOME': '/root'}
# A real machine has no filter of system calls and no capability too few around its init.
NSPAWN = ['/usr/bin/systemd-nspawn', '--quiet', '-D', str(ROOT), '--boot', '--register=no', '--keep-unit',
          '--capability=all', '--notify-ready=yes', '--console=pipe', '--resolv-conf=off', '--timezone=off']
NO_FILTER = {'SYSTEMD_SECCOMP': '0'}
# One who logs out is gone at once, and not after ten seconds; sshd does not ask DNS who comes.
SETTINGS = {
    'etc/systemd/logind.conf.d/test.conf': '[Login]\nUserStopDelaySec=0\n',
    'etc/ssh/sshd_config.d/test.conf': 'UseDNS no\nPasswordAuthentication no\n',
}

RUN = ['/usr/bin/systemd-run', '--quiet', '--pipe', '--wait', '--collect']
SSH = ['/usr/bin/ssh', '-q', '-i', KEY, '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o',
       'BatchMode=yes']
# How somebody comes to run a command, as what stands before it.
WAYS = {
    # A session of its own at the computer's seat, active as long as it is the last one there.
    'console': [*RUN, '--uid={name}', '-p', 'PAMName=login', '-E', 'XDG_SEAT=seat0', '-E', 'XDG_SESSION_TYPE=wayland',
                '--working-directory=/home/{name}', '--'],
    'ssh': [*SSH, '{name}@127.0.0.1', '--'],
    # A unit of the user's own manager.
    'manager': [*RUN, '--user', '-M', '{name}@.host', '--'],
    # A unit of the system's that runs as the user, without a session.
    'unit': [*RUN, '--uid={name}', '-E', 'XDG_RUNTIME_DIR=/run/user/{uid}', '--'],
}


def host(*argv):
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


def mount(kind, target, options=''):
    host('/usr/bin/mount', '-t', kind, *(['-o', options] if options else []), kind, str(target))


def make_overlay(lower, target, name, options=''):
    upper, work = BASE / f'{name}.upper', BASE / f'{name}.work'
    for directory in (upper, work, target):
        directory.mkdir(parents=True, exist_ok=True)
    mount('overlay', target, f'lowerdir={lower},upperdir={upper},workdir={work}{options}')


def make_world():
    """What nspawn needs of a host, in the new namespaces, and the Debian root."""
    mount('tmpfs', '/run', 'mode=0755')
    mount('tmpfs', '/dev/shm')
    # These show the namespaces they were mounted in.
    mount('sysfs', '/sys')
    mount('cgroup2', '/sys/fs/cgroup')
    host('/usr/sbin/ip', 'link', 'set', 'lo', 'up')
    BASE.mkdir()
    make_overlay(os.environ['BANGER_HOST_ROOT'], ROOT, 'root')
    for path, text in SETTINGS.items():
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_text(text, encoding='utf-8')


def install():
    """As a package would: its files, and the groups that they name."""
    host('/usr/bin/cp', '-dR', '--preserve=mode,timestamps', os.environ['BANGER_HOST_STAGE'] + '/.', str(ROOT))
    host('/usr/bin/systemd-sysusers', f'--root={ROOT}', 'banger.conf')


def make_people(members=MEMBERS):
    for name, uid in PEOPLE.items():
        groups = ['--groups', 'banger'] if name in members else []
        host('/usr/sbin/useradd', '--root', str(ROOT), '--uid', str(uid), '--shell', '/bin/bash', *groups, name)
        home = ROOT / 'home' / name
        # Only names, owners and modes are copied up: the image is one file for all.
        make_overlay(os.environ['BANGER_HOST_HOME'], home, name, ',metacopy=on')
        host('/usr/bin/chown', '-R', f'{uid}:{uid}', str(home))
        home.chmod(0o700)


def make_keys():
    path = pathlib.Path(f'{ROOT}{KEY}')
    host('/usr/sbin/chroot', str(ROOT), '/usr/bin/ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', KEY)
    for name, uid in PEOPLE.items():
        directory = ROOT / 'home' / name / '.ssh'
        directory.mkdir(mode=0o700)
        (directory / 'authorized_keys').write_bytes(path.with_suffix('.pub').read_bytes())
        host('/usr/bin/chown', '-R', f'{uid}:{uid}', str(directory))


def read_status(pid):
    text = pathlib.Path('/proc', str(pid), 'status').read_text(encoding='utf-8')
    return dict(line.split(':\t', 1) for line in text.splitlines() if ':\t' in line)


def processes():
    """(pid, name, uid) of all: numbers are ours, not the machine's."""
    for name in filter(str.isdigit, os.listdir('/proc')):
        try:
            status = read_status(name)
            yield int(name), status['Name'], int(status['Uid'].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue


def pid_of(program, uid):
    return next(pid for pid, name, owner in processes() if name == program and owner == uid)


def kill(pid):
    """As an accident would; returns when it is gone."""
    fd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([fd], [], [])
    os.close(fd)


class Machine:
    def __init__(self):
        make_world()
        self.process = self.leader = self.bus = None

    def boot(self):
        """Returns when its systemd says that it is up."""
        path = BASE / 'notify'
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, open(BASE / 'console', 'ab') as console:
            notify.bind(str(path))
            self.process = subprocess.Popen(NSPAWN, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                            env={**ENVIRONMENT, **NO_FILTER, 'NOTIFY_SOCKET': str(path)})
            ready = False
            while not ready:
                words = notify.recv(65536).decode().splitlines()
                ready = 'READY=1' in words
                for word in words:
                    if word.startswith('X_NSPAWN_LEADER_PID='):
                        self.leader = int(word.partition('=')[2])
        self.connect()

    def connect(self):
        """To its system bus, as root."""
        self.bus = Gio.DBusConnection.new_for_address_sync(
            f'unix:path={self.path("run/dbus/system_bus_socket")}',
            Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
        self.bus.set_exit_on_close(False)
        # Else systemd says nothing of its units.
        self.bus.call_sync('org.freedesktop.systemd1', '/org/freedesktop/systemd1',
                           'org.freedesktop.systemd1.Manager', 'Subscribe', None, None, 0, -1, None)

    def path(self, relative):
        """What lies there inside, below its root, as we see it."""
        return pathlib.Path('/proc', str(self.leader), 'root', relative)

    def signals(self, sender):
        return Signals(self.bus, sender)

    def wait_state(self, unit, *states):
        """Until its ActiveState is one of those."""
        with self.signals('org.freedesktop.systemd1') as signals:
            signals.wait_for(lambda: self.state(unit) in states)

    def state(self, unit):
        return self.show(unit, 'ActiveState')

    def pids(self, unit):
        """Of its processes; numbers are ours, not the machine's."""
        group = self.path('sys/fs/cgroup') / self.show(unit, 'ControlGroup').lstrip('/')
        return [int(pid) for pid in (group / 'cgroup.procs').read_text(encoding='utf-8').split()]

    def kill(self, unit):
        """Its processes, as an accident would."""
        for pid in self.pids(unit):
            kill(pid)

    def show(self, unit, name):
        return self.must('systemctl', 'show', '--value', '-p', name, unit).strip()

    def start(self, *argv, **options):
        settings = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE,
                    'env': ENVIRONMENT, **options}
        enter = ['/usr/bin/nsenter', '--target', str(self.leader), '--mount', '--uts', '--ipc', '--net', '--pid',
                 '--cgroup', '--root', '--wdns=/', '--']
        return subprocess.Popen([*enter, *argv], **settings)

    def run(self, *argv, data=None, **options):
        """A completed process of root's, with text in it. `data`: text for standard input."""
        if data is not None:
            options['stdin'] = subprocess.PIPE
        with self.start(*argv, **options) as process:
            out, err = process.communicate(data.encode() if data is not None else None)
        return subprocess.CompletedProcess(argv, process.returncode, out.decode(errors='replace'),
                                           err.decode(errors='replace'))

    def must(self, *argv, **options):
        """What a command of root's that has to succeed prints."""
        return checked(self.run(*argv, **options))

    def write(self, path, text):
        self.must('tee', path, data=text)

    def show_journal(self):
        """For who reads why a test failed; meson shows it then."""
        names = ('banger-helper', 'banger-jail', 'bangerd', 'dbus-daemon', 'polkitd', 'systemd', 'systemd-logind')
        done = self.run('journalctl', '-q', '--no-pager', '-o', 'short-monotonic', '-n', '500',
                        *[word for name in names for word in ('-t', name)])
        print(done.stdout, file=sys.stderr, flush=True)


def checked(done):
    if done.returncode != 0:
        raise AssertionError(f'{" ".join(done.args)}: {done.returncode}: {done.stdout}{done.stderr}')
    return done.stdout


def look_at_network():
    """What somebody could have changed of it: links, routes, rules of the packet filter, and who forwards."""
    commands = ['ip', 'rule'], ['ip', '-4', 'route', 'show', 'table', 'all'], ['nft', 'list', 'ruleset']
    said = [subprocess.run(argv, check=True, capture_output=True, text=True).stdout for argv in commands]
    forwarding = {path.parent.name: path.read_text(encoding='ascii')
                  for path in pathlib.Path('/proc/sys/net/ipv4/conf').glob('*/forwarding')}
    return sorted(os.listdir('/sys/class/net')), forwarding, *said


class Signals:
    """Waits for what a signal of one sender tells; none is missed from the beginning of the block."""

    def __init__(self, bus, sender):
        self.bus, self.sender, self.seen = bus, sender, []

    def __enter__(self):
        self.id = self.bus.signal_subscribe(self.sender, None, None, None, None, 0,
                                            lambda *signal: self.seen.append((signal[4], *signal[5].unpack())))
        return self

    def __exit__(self, *_):
        self.bus.signal_unsubscribe(self.id)

    def wait_for(self, test):
        """Looks now, and again after each."""
        while not test():
            GLib.MainContext.default().iteration(True)

    def wait(self, member, *arguments):
        """For one whose first arguments are these."""
        wanted = (member, *arguments)
        self.wait_for(lambda: any(signal[:len(wanted)] == wanted for signal in self.seen))


class User:
    """One of the people. A way in (WAYS) and a command make a completed process, as in Machine.run()."""

    def __init__(self, machine, name):
        self.machine, self.name, self.uid = machine, name, PEOPLE[name]

    def words(self, way, *argv):
        # What ssh runs is a line for the user's shell.
        argv = [shlex.join(argv)] if way == 'ssh' else list(argv)
        return [word.format(name=self.name, uid=self.uid) for word in WAYS[way]] + argv

    def start(self, way, *argv, **options):
        return self.machine.start(*self.words(way, *argv), **options)

    def run(self, way, *argv, **options):
        return self.machine.run(*self.words(way, *argv), **options)

    def must(self, way, *argv, **options):
        return checked(self.run(way, *argv, **options))

    def linger(self, on=True):
        """A user manager, and so a session bus, whether or not there is a session."""
        self.machine.must('loginctl', 'enable-linger' if on else 'disable-linger', self.name)
        unit = f'user@{self.uid}.service'
        self.machine.wait_state(unit, *(['active'] if on else ['inactive', 'failed']))


def make():
    """A machine with the product and the people, not booted yet."""
    machine = Machine()
    install()
    make_people()
    make_keys()
    return machine
