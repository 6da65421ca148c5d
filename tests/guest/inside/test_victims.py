# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each of banger's processes killed at each step of a machine's life: a table of steps and victims.

Whoever waits gets an answer, the successors tell the truth about the machine and can go on with it, and in the end
nothing is left that no VM owns.
"""

import os
import unittest

import gi
gi.require_version('Gio', '2.0')
from gi.repository import Gio, GLib  # noqa: E402

import world

VICTIMS = ('bangerd', 'banger-helper', 'banger-jail', 'qemu-system-x86')
# The steps of a start are what its job says that it does.
STARTING = ('making its disk', 'starting the VMM', 'waiting for the guest')
dev = world.User('dev')


def connect():
    """To dev's session bus, as dev; the process is root again behind it."""
    os.setresuid(dev.uid, dev.uid, 0)
    try:
        return Gio.DBusConnection.new_for_address_sync(
            dev.environment['DBUS_SESSION_BUS_ADDRESS'],
            Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
    finally:
        os.setresuid(0, 0, 0)


class Stages:
    """What jobs say that they do."""

    def __init__(self):
        self.seen = []
        self.bus = connect()
        self.bus.signal_subscribe(None, 'org.freedesktop.DBus.Properties', 'PropertiesChanged', None,
                                  'org.banger.Job', 0, self.on_changed)

    def on_changed(self, _bus, _sender, _path, _interface, _signal, arguments):
        stage = arguments.unpack()[1].get('Stage')
        if stage:
            self.seen.append(stage)

    def wait(self, stage):
        while stage not in self.seen:
            GLib.MainContext.default().iteration(True)

    def close(self):
        self.bus.close_sync(None)


# Of the name banger-jail are the launcher and who builds a jail, both root, and each jail's first process, which is the
# VM's.
OWNERS = {'bangerd': dev.uid, 'banger-helper': 0, 'banger-jail': 0}


def strike(victim):
    """Every process of that name, whatever there is of it by now."""
    for pid, name, uid in world.processes():
        if name == victim and uid == OWNERS.get(victim, uid):
            try:
                world.kill(pid)
            except ProcessLookupError:
                pass


class Table(unittest.TestCase):
    def setUp(self):
        self.addCleanup(dev.banger, 'vm', 'delete', '-f', 'v')

    def end(self, process):
        """It ends, and says why where it failed."""
        out, err = process.communicate()
        if process.returncode != 0:
            self.assertIn(b'banger:', err)
        return out

    def settle(self):
        """What there is can be used, and then removed, by whoever came after the victims."""
        if 'v' in dev.vms():
            state = dev.show('v')['state']
            self.assertIn(state, ('created', 'running', 'stopped', 'error'))
            if state != 'running':
                dev.must('vm', 'start', 'v')
            boot = dev.execute('v', 'cat', '/proc/sys/kernel/random/boot_id')
            strike('bangerd')
            self.assertEqual(dev.execute('v', 'cat', '/proc/sys/kernel/random/boot_id'), boot)
            dev.must('vm', 'delete', '-f', 'v')
        self.assertEqual(dev.vms(), [])
        self.assertNotIn('qemu-system-x86', world.names())
        self.assertEqual([path.name for path in world.LEDGER.glob('[0-9]*')], [])
        self.assertEqual([path.name for path in world.JAILS.glob('*') if path.name != 'socket'], [])
        self.assertEqual(os.listdir(dev.home + '/.local/share/banger/vm'), [])

    def at_stage(self, stage, victim, *words):
        stages = Stages()
        process = dev.start('banger', *words)
        stages.wait(stage)
        strike(victim)
        self.end(process)
        stages.close()
        if stage == 'stopping':
            # A guest that was asked goes on to shut down, whoever asked it.
            dev.banger('vm', 'stop', 'v')
        self.settle()

    def do_exec(self, victim):
        dev.must('vm', 'run', '-d', '--name', 'v')
        process = dev.start('banger', 'vm', 'exec', 'v', '--', 'sh', '-c', 'echo up; cat', stdin=-1)
        self.assertEqual(process.stdout.readline(), b'up\n')
        strike(victim)
        if victim in ('banger-helper', 'banger-jail'):
            # Neither is on the way of a command.
            process.stdin.write(b'still there\n')
            process.stdin.close()
            self.assertEqual(process.stdout.read(), b'still there\n')
            self.assertEqual(process.wait(), 0)
            process.stderr.close()
        else:
            self.end(process)
            self.assertEqual(process.returncode, 125)
        self.settle()

    def do_stop(self, victim):
        dev.must('vm', 'run', '-d', '--name', 'v')
        self.at_stage('stopping', victim, 'vm', 'stop', 'v')

    def do_delete(self, victim):
        dev.must('vm', 'run', '-d', '--name', 'v')
        self.at_stage('deleting', victim, 'vm', 'delete', '-f', 'v')


def cells():
    for victim in VICTIMS:
        for stage in STARTING:
            if victim != 'qemu-system-x86' or stage == 'waiting for the guest':
                yield f'start_{stage}', victim, lambda self, stage=stage, victim=victim: self.at_stage(
                    stage, victim, 'vm', 'run', '-d', '--name', 'v')
        for step in 'exec', 'stop', 'delete':
            yield step, victim, lambda self, step=step, victim=victim: getattr(self, 'do_' + step)(victim)


for name, victim, run in cells():
    setattr(Table, f'test_{name.replace(" ", "_")}_when_{victim}_is_killed_then_true_and_nothing_left', run)

if __name__ == '__main__':
    world.tap.main()
