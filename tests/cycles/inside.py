# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hundreds of machines made, started, stopped, started again and deleted by the real daemons, each in a jail: nothing
grows.

Works as root in the world of tools/try, with the real buses and polkit. In the place of the VMM stands a program that
speaks as QEMU and a guest would (../hostile/manners.c), so that a life takes no longer than its processes do.
"""

import contextlib
import os
import pathlib
import pwd
import signal
import sqlite3
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'faults'))
import inside as faults  # noqa: E402
from gi.repository import Gio, GLib  # noqa: E402
from inside import tap  # noqa: E402

# Each starts and stops a machine twice.
CYCLES = 5000 if os.environ.get('BANGER_LONG') else 500
# What is kept for good is there after these: the last jobs, connections, what malloc keeps for the next.
WARM_UP = 50
# In the second half, when all sizes have been asked for: less than any object that could be forgotten takes, times 250.
# It is 0 where nothing is lost.
GROWTH = 64 << 10
# Each thread's own store of freed pieces, for each size, fills up over thousands of cycles: that would be all one sees.
EXACT = 'GLIBC_TUNABLES=glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1'
SERVICES = ('services/org.banger.Manager.service', 'system-services/org.banger.Helper.service')
# Of the helper's, each on its way out once its user has nothing more to do: src/helper/worker.h.
WORKERS = 4
# Of bangerd: the main one, GLib's for signals and D-Bus, and one that does what would block.
THREADS = 4

HOME = pathlib.Path(pwd.getpwuid(faults.DEV).pw_dir)
DATA, STATES = HOME / '.local/share/banger', HOME / '.local/state/banger'
SESSION = f'unix:path=/run/user/{faults.DEV}/bus'
NAME, PATH = 'org.banger.Manager', '/org/banger/Manager'
BUS = ('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus')
ID = '1' * 32
FILES = f'image/{ID}/root.ext4', f'kernel/{ID}/vmlinux', f'kernel/{ID}/initramfs'
# As bangerd leaves them. Nobody boots them.
ROWS = (f"INSERT INTO image VALUES ('{ID}', 'none', '', 0, 0, '', '', 0);"
        f"INSERT INTO kernel VALUES ('{ID}', 'none', '', '', 0, '', 0);")
DAEMONS = 'bangerd', 'banger-helper', 'banger-jail'


class Manager:
    """bangerd, as a client of dev's sees it."""

    def __init__(self):
        self.bus = faults.connect(faults.DEV, SESSION)

    def call(self, path, interface, method, arguments=None, fds=(), name=NAME):
        out = Gio.UnixFDList.new()
        for fd in fds:
            out.append(fd)
        return self.bus.call_with_unix_fd_list_sync(name, path, interface, method, arguments, None, 0,
                                                    faults.PATIENCE_MS, out, None)[0].unpack()

    def wait(self, job):
        self.call(job, 'org.banger.Job', 'Wait')

    def act(self, vm, method, **options):
        job, = self.call(vm, 'org.banger.VM', method, GLib.Variant('(a{sv})', (options,)))
        self.wait(job)

    def create(self):
        vm, job = self.call(PATH, NAME, 'CreateVM', GLib.Variant('(a{sv})', ({
            'name': GLib.Variant('s', 'bare'), 'image': GLib.Variant('s', ID), 'kernel': GLib.Variant('s', ID),
            'start': GLib.Variant('b', True)},)))
        self.wait(job)
        return vm

    def execute(self, vm):
        """What a command in it writes."""
        ours, theirs = os.pipe()
        with open('/dev/null', 'rb') as null:
            self.call(vm, 'org.banger.VM', 'Exec', GLib.Variant('(asa{sv}hhh)', (['true'], {}, 0, 1, 1)),
                      (null.fileno(), theirs))
        os.close(theirs)
        with os.fdopen(ours, 'rb') as stream:
            return stream.read()

    def end(self):
        """As an accident would; the bus knows it."""
        pid, = self.call(*BUS[1:], 'GetConnectionUnixProcessID', GLib.Variant('(s)', (NAME,)), name=BUS[0])
        gone = GLib.MainLoop()
        watch = Gio.bus_watch_name_on_connection(self.bus, NAME, 0, None, lambda *_: gone.quit())
        os.kill(pid, signal.SIGKILL)
        gone.run()
        Gio.bus_unwatch_name(watch)


def take_places():
    """The bare VMM where QEMU is, what a VM is made of, and daemons whose memory is what they have asked for."""
    faults.take_vmm('hostile/hostile-vmm')
    for name in SERVICES:
        path = pathlib.Path('/usr/share/dbus-1', name)
        path.write_text(path.read_text().replace('Exec=', f'Exec=/usr/bin/env {EXACT} '))
    manager = Manager()
    manager.call(PATH, 'org.freedesktop.DBus.Peer', 'Ping')
    manager.end()
    with contextlib.closing(sqlite3.connect(*STATES.glob('state-*.db'))) as state:
        state.executescript(ROWS)
    for name in FILES:
        (DATA / name).parent.mkdir(exist_ok=True)
        (DATA / name).write_bytes(bytes(4096))
    for path in DATA.rglob('*'):
        os.chown(path, faults.DEV, faults.DEV)
    return manager


def read(pid, file):
    lines = pathlib.Path(f'/proc/{pid}/{file}').read_text().splitlines()
    return dict(line.split(':', 1) for line in lines if ':' in line)


def pid_of(daemon):
    pid, = (pid for pid, name in faults.processes().items() if name == daemon)
    return pid


def count_rows():
    with contextlib.closing(sqlite3.connect(*STATES.glob('state-*.db'))) as state:
        tables = [name for name, in state.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: state.execute(f'SELECT count(*) FROM {table}').fetchone()[0] for table in tables}


def descriptors(pid):
    return sorted(os.readlink(path).partition(':')[0] for path in pathlib.Path(f'/proc/{pid}/fd').iterdir())


def look():
    """What has to stay as it is, and each daemon's own memory in bytes."""
    pids = {daemon: pid_of(daemon) for daemon in DAEMONS}
    threads = {daemon: int(read(pid, 'status')['Threads']) for daemon, pid in pids.items()}
    # Those that may still be on their way out: the helper's workers, and one of GLib's pool.
    for daemon, most in ('banger-helper', 1 + WORKERS), ('bangerd', THREADS):
        if threads[daemon] <= most:
            del threads[daemon]
    kept = {'world': faults.world(), 'processes': sorted(faults.processes().values()), 'rows': count_rows(),
            'files': sorted(str(path) for path in HOME.rglob('*')), 'pids': pids, 'threads': threads,
            'descriptors': {daemon: descriptors(pid) for daemon, pid in pids.items()}}
    memory = {daemon: int(read(pid, 'smaps_rollup')['Anonymous'].split()[0]) << 10 for daemon, pid in pids.items()}
    return kept, memory


class Flat(unittest.TestCase):
    maxDiff = None

    def cycle(self):
        vm = MANAGER.create()
        self.assertEqual(MANAGER.execute(vm), b'served\n')
        for method in 'Stop', 'Start', 'Stop', 'Delete':
            MANAGER.act(vm, method)

    def look_after(self, cycles):
        for _ in range(cycles):
            self.cycle()
        # A call is forgotten after its reply, and before the next one is read.
        MANAGER.call(PATH, 'org.freedesktop.DBus.Peer', 'Ping')
        self.assertEqual(ROOT.call('ListAllResources'), (None, ([],)))
        kept, memory = look()
        faults.log(f'after {cycles} cycles more: {memory}')
        return kept, memory

    def test_daemons_when_machines_come_and_go_then_flat(self):
        before, _ = self.look_after(WARM_UP)
        halfway, memory_halfway = self.look_after(CYCLES // 2)
        self.assertEqual(halfway, before)
        after, memory = self.look_after(CYCLES // 2)
        self.assertEqual(after, before)
        grown = {daemon: memory[daemon] - memory_halfway[daemon] for daemon in DAEMONS}
        self.assertEqual([daemon for daemon in DAEMONS if grown[daemon] > GROWTH], [], grown)


if __name__ == '__main__':
    MANAGER, ROOT = take_places(), faults.Caller(0)
    tap.main()
