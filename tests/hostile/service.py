# SPDX-License-Identifier: LGPL-2.1-or-later
"""A VMM that was taken over, and its guest, against the product as it is installed: client, bangerd, helper and jail.

The program in the VMM's place (manners.c) does what the name of its VM says. Each is a test, named after what stopped
it: what the client said and ended with is what was promised, the VM's state is true, bangerd serves another VM
meanwhile and holds little, and when the VM is deleted nothing of it is left and the next one works.
"""

import io
import os
import pathlib
import re
import signal
import sys
import tarfile
import unittest
from typing import NamedTuple

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'guest', 'inside'))
import jail  # noqa: E402
import world  # noqa: E402
from jail import GLib, faults  # noqa: E402
from test_edges import left, small_kernel  # noqa: E402
from test_victims import connect  # noqa: E402

dev = world.User('dev')
LOG = pathlib.Path('/run/banger-log')
# Of bangerd, whatever it is told; it has about 3 MiB when it is idle.
MEMORY_MAX = 12 << 20
DESCRIPTORS_MAX = 40
# What a terminal might obey: everything but text and the ends of lines.
OBEYED = re.compile(r'[^\S\r\n ]|[\x00-\x08\x0e-\x1f\x7f-\x9f]')
WORDS = r'\\x1b\]0;owned\\x07\\x1b\[2J'
RULES = "the guest's agent does not keep to the protocol"
GONE = "the guest's agent is gone: "
ENDED = 'the guest has ended'
UNASKED = 'the VMM ended unasked: '
SERVED = b'served\n'


class Case(NamedTuple):
    way: str  # a method of Attempts
    by: str  # what stopped it
    status: int  # of the client, and
    said: str  # what it said of that
    state: str  # of the VM afterwards,
    error: str = ''  # and why
    out: bytes = b''
    word: str = ''  # that tells when it has begun: of the console, or of bangerd's log
    may: str = ''  # what the client may say besides, by chance


def refused(error):
    return Case('start', 'being noticed', 1, error, 'error', error)


def waits(by, word=''):
    return Case('start_given_up', by, 130, 'interrupted', 'stopped', '', word=word)


def served(by, state='running', error='', word=''):
    return Case('command', by, 0, '', state, error, SERVED, word)


def hung_up(reason, by='hanging up'):
    return Case('command', by, 125, reason, 'running', GONE + reason)


def died(how):
    return Case('command', 'being noticed', 125, ENDED, 'error', how)


HANGUP, PATIENCE = 'does not keep to its control protocol', "the caller's patience"
CASES = {
    # Ends, or does not answer: before it is there for anybody, or just after.
    'quits': refused(f'{ENDED}|the VMM did not start: .*'),
    'crashes': refused(f'{ENDED}|the VMM did not start: .*'),
    'closes': refused(f'{ENDED}|the VMM did not start: .*'),
    # The console is another way, on which its words may come too late.
    'half-greets': refused(f'{ENDED}(; its last words: console {WORDS}.*)?'),
    'half-reads': refused(f'{ENDED}(; its last words: console {WORDS}.*)?'),
    'hangs-up': refused(f'{ENDED}(; its last words: .*{WORDS}.*)?'),
    'talks-and-goes': refused(f'{ENDED}(; its last words: (console {WORDS}|word).*)?'),
    'absent': waits(PATIENCE),
    'stops': waits(PATIENCE),
    'leaves': died(UNASKED + 'exit 0;.*'),
    'ends': died(UNASKED + 'exit 1;.*'),
    'falls': died(UNASKED + 'signal 11;.*'),
    'panics': died(f'the guest ended: Kernel panic - not syncing: {WORDS}.*'),
    'stays': Case('stop', 'being killed', 0, '', 'stopped'),
    'sulks': Case('stop', 'being killed', 0, '', 'stopped'),
    # On the control connection.
    'endless': waits('hanging up', HANGUP),
    'nested': waits('hanging up', HANGUP),
    'garbage': served('hanging up', word=HANGUP),
    'deep': served('hanging up', word=HANGUP),
    'no-greeting': served('no need of it'),
    'no-control': served('no need of it'),
    'strange': served('no notice'),
    'ended-in-words': served('not being believed'),
    'stands-still': refused('the VMM was told to pause it: start the VM to go on'),
    'pauses': Case('command_start', PATIENCE, 130, 'interrupted', 'paused',
                   f'a disk of the VM failed on the host: {WORDS}', SERVED),
    'flaps': served('hanging up', 'paused', 'the VMM was told to pause it: start the VM to go on', HANGUP
                    )._replace(may='the VM is paused: .*'),
    'chatters': served('no notice', word='takes much'),
    # On the agent's connection.
    'mute': waits(PATIENCE),
    'old': waits(PATIENCE),
    'stranger': waits(PATIENCE),
    'zeros': waits('no notice', 'takes much'),
    'noise': waits('no notice', 'takes much'),
    'silent': Case('command_given_up', PATIENCE, 130, 'interrupted', 'running', word='asked'),
    'half': Case('command_given_up', PATIENCE, 130, 'interrupted', 'running', word='asked'),
    'floods': Case('command_deleted', 'deleting it', 125, '.+', '', word='takes much'),
    'greets-twice': hung_up(RULES),
    'asks': hung_up(RULES),
    'oversized': hung_up(RULES),
    'killed-by-none': hung_up(RULES),
    'greedy': Case('command_unread', 'hanging up', 125, RULES, 'running', GONE + RULES),
    'deaf': Case('command_unread', 'hanging up', 125, 'the connection to the guest is broken', 'running',
                 GONE + 'the connection to the guest is broken'),
    'one-way': hung_up(ENDED),
    'fails': Case('command_on_terminal', 'escaping', 125, f'{WORDS}.*', 'running'),
    'speaks': Case('command', "nothing: the command's output is the caller's", 7, '', 'running',
                   out=b'\x1b]0;owned\x07\x1b[2J\x9b31m'),
    'killed': Case('command', "nothing: the guest's word counts", 137, '', 'running'),
    # Beside them.
    'babbles': Case('command_listened', 'forgetting the oldest', 0, '', 'running', out=SERVED),
    'no-console': served('no need of it'),
    'passes': served('no room for descriptors'),
    'deserts': Case('successor', 'being noticed', 125, 'it may still run, but cannot be reached: .*', 'error',
                    'it may still run, but cannot be reached: .*'),
    'forgets': Case('successor_deleted', 'deleting it', 125, '.+', ''),
}


class Told:
    """What bangerd signals, to wait for."""

    def __init__(self):
        self.stages = []
        self.bus = connect()
        self.bus.signal_subscribe(None, 'org.freedesktop.DBus.Properties', 'PropertiesChanged', None, None, 0,
                                  self.on_changed)

    def on_changed(self, _bus, _sender, _path, _interface, _signal, arguments):
        self.stages.append(arguments.unpack()[1].get('Stage'))

    def until(self, condition):
        while not condition():
            GLib.MainContext.default().iteration(True)


class Reader:
    """What a program prints, up to a word."""

    def __init__(self, *argv):
        self.process = dev.start(*argv)

    def wait(self, word):
        for line in self.process.stdout:
            if word.encode() in line:
                return
        raise AssertionError(f'"{word}" never came: {self.process.stderr.read()}')

    def stop(self):
        self.process.kill()
        self.process.communicate()


def listen(vm):
    return Reader('banger', 'vm', 'logs', '--follow', vm)


def bangerd():
    """Its memory, and how many descriptors it has."""
    proc = pathlib.Path('/proc', str(dev.pid_of('bangerd')))
    pss = int(re.search(r'^Pss:\s+(\d+) kB$', (proc / 'smaps_rollup').read_text(), re.M).group(1)) << 10
    return pss, len(os.listdir(proc / 'fd'))


def start(*words):
    return dev.start('banger', *words)


def finish(client):
    out, err = client.communicate()
    return client.returncode, out, err.decode()


def run(*words):
    return finish(start(*words))


def interrupt(client):
    """When it is prepared for that, which it is as soon as it has the job that it waits for."""
    caught = 0
    while not caught & 1 << signal.SIGINT - 1:
        caught = int(jail.status(client.pid)['SigCgt'], 16)
        dev.vms()
    client.send_signal(signal.SIGINT)


def serves(vm):
    return run('vm', 'exec', vm, '--', 'true') == (0, SERVED, '')


class Attempts(unittest.TestCase):
    def setUp(self):
        self.before = left(), bangerd()[1], dev.pid_of('bangerd')
        self.logged = LOG.stat().st_size

    def tearDown(self):
        if self.vm in dev.vms():
            dev.banger('vm', 'delete', '-f', self.vm)

    def wait(self, case):
        """Until it does what it does, which it says itself, or bangerd."""
        if not case.word:
            return
        reader = Reader('tail', '-f', '-c', f'+{self.logged + 1}', LOG) if case.word == HANGUP else listen(self.vm)
        reader.wait(case.word)
        reader.stop()

    def check_others(self):
        """Now, while it does."""
        self.assertTrue(serves('good'))
        self.assertIn(self.vm, dev.vms())
        memory, descriptors = bangerd()
        self.assertLess(memory, MEMORY_MAX)
        self.assertLess(descriptors, DESCRIPTORS_MAX)

    def exec(self):
        dev.must('vm', 'start', self.vm)
        return start('vm', 'exec', self.vm, '--', 'true')

    def start(self, case):
        return run('vm', 'start', self.vm)

    def start_given_up(self, case):
        told = Told()
        client = start('vm', 'start', self.vm)
        told.until(lambda: 'waiting for the guest' in told.stages)
        self.wait(case)
        self.check_others()
        interrupt(client)
        return finish(client)

    def command(self, case):
        done = finish(self.exec())
        self.wait(case)
        return done

    def command_start(self, case):
        """It says that it stands still, and then not that it goes on."""
        told = Told()
        _, out, _ = finish(self.exec())
        told.until(lambda: dev.show(self.vm)['state'] == 'paused')
        client = start('vm', 'start', self.vm)
        interrupt(client)
        status, _, err = finish(client)
        return status, out, err

    def command_given_up(self, case):
        dev.must('vm', 'start', self.vm)
        ear = listen(self.vm)
        client = start('vm', 'exec', self.vm, '--', 'true')
        ear.wait(case.word)
        self.check_others()
        client.send_signal(signal.SIGINT)
        ear.wait('signalled')
        client.send_signal(signal.SIGINT)
        ear.stop()
        return finish(client)

    def command_deleted(self, case):
        client = self.exec()
        self.wait(case)
        self.check_others()
        dev.must('vm', 'delete', '-f', self.vm)
        return finish(client)

    def command_unread(self, case):
        """By nobody, until it is too much."""
        told = Told()
        client = self.exec()
        told.until(lambda: dev.show(self.vm)['error'])
        self.check_others()
        status, out, err = finish(client)
        self.assertEqual(out.strip(b'\0'), b'')
        return status, b'', err

    def command_on_terminal(self, case):
        dev.must('vm', 'start', self.vm)
        terminal = world.Terminal(dev, 'banger', 'vm', 'exec', self.vm, '--', 'true')
        status = terminal.end()
        return status, b'', terminal.seen.decode()

    def command_listened(self, case):
        """By one who does not read, and one who leaves in the middle."""
        dev.must('vm', 'start', self.vm)
        ear = listen(self.vm)
        ear.wait('console')
        console = world.Terminal(dev, 'banger', 'vm', 'console', self.vm)
        console.wait_for(b'Ctrl-]')
        client = start('vm', 'exec', self.vm, '--', 'true')
        console.wait_for(bytes(100000))
        console.type(b'\x1d')
        self.assertEqual(console.end(), 0)
        done = finish(client)
        self.check_others()
        ear.stop()
        return done

    def stop(self, case):
        dev.must('vm', 'start', self.vm)
        self.check_others()
        status, _, err = run('vm', 'stop', '--timeout', '1', self.vm)
        return status, b'', err

    def succeed(self):
        self.assertEqual(finish(self.exec()), (0, SERVED, ''))
        world.kill(dev.pid_of('bangerd'))
        return start('vm', 'exec', self.vm, '--', 'true')

    def successor(self, case):
        return finish(self.succeed())

    def successor_deleted(self, case):
        client = self.succeed()
        self.check_others()
        dev.must('vm', 'delete', '-f', self.vm)
        return finish(client)

    def check_state(self, case):
        told = Told()
        told.until(lambda: dev.show(self.vm)['state'] == case.state)
        self.assertRegex(dev.show(self.vm)['error'], f'^({case.error})$')
        for words in ('vm', 'show', self.vm), ('vm', 'list'), ('vm', 'logs', self.vm):
            terminal = world.Terminal(dev, 'banger', *words)
            self.assertEqual(terminal.end(), 0)
            self.assertIsNone(OBEYED.search(terminal.seen.decode()), words)

    def check_nothing_left(self):
        dev.must('vm', 'delete', '-f', self.vm)
        self.assertEqual(run('vm', 'run', '--rm', '--name', 'next', '--', 'true'), (0, SERVED, ''))
        rows, descriptors, pid = self.before
        self.assertEqual(left(), rows)
        # Of a successor nobody knows what it had.
        if dev.pid_of('bangerd') == pid:
            self.assertEqual(bangerd()[1], descriptors)

    def attempt(self, vm, case):
        self.vm = vm
        dev.must('vm', 'create', '--name', vm)
        status, out, err = getattr(self, case.way)(case)
        faults.log(f'{vm}: {status}, {err.strip()!r} ({case.by})')
        self.assertEqual(status, case.status, err)
        self.assertEqual(out, case.out)
        if case.may:
            err = re.sub(f'^banger: {case.may}\r?\n', '', err)
        self.assertRegex(err, f'^(banger: ({case.said})\r?\n(banger: .*\n)?)?$')
        self.assertEqual(bool(err), bool(case.said))
        self.assertIsNone(OBEYED.search(err))
        if case.state:
            self.check_others()
            self.check_state(case)
        else:
            dev.must('vm', 'create', '--name', vm)
        self.check_nothing_left()


class Commands(unittest.TestCase):
    def test_descriptors_when_a_command_is_never_said_to_end_then_not_kept(self):
        self.addCleanup(dev.must, 'vm', 'delete', '-f', 'silent')
        dev.must('vm', 'run', '-d', '--name', 'silent')
        ear = listen('silent')
        ear.wait('console')
        # What an answer carried is closed before the next one goes out.
        dev.vms()
        before = bangerd()[1]
        client = start('vm', 'exec', 'silent', '--', 'true')
        ear.wait('asked')
        client.kill()
        client.communicate()
        ear.wait('nobody listens')
        self.assertEqual(bangerd()[1], before)
        ear.stop()


class Lies(unittest.TestCase):
    def test_statistics_when_of_any_value_then_told_as_numbers(self):
        bus = connect()
        value = bus.call_sync('org.banger.Manager', f'/org/banger/Manager/vm/{dev.show("good")["id"]}', 'org.banger.VM',
                              'GetStatistics', None, None, 0, faults.PATIENCE_MS, None).unpack()[0]
        bus.close_sync(None)
        self.assertEqual(value['memory-total'], (1 << 64) - 1)
        self.assertEqual(value['processes'], (1 << 32) - 1)
        self.assertEqual(value['load'], ((1 << 32) - 1) / 1000)


class Zz(unittest.TestCase):
    def test_world_when_all_is_over_then_as_before(self):
        dev.must('vm', 'delete', '-f', 'good')
        now = faults.world()
        for what in set(BEFORE) - {'descriptors'}:
            self.assertEqual(now[what], BEFORE[what], what)
        self.assertNotIn('qemu-system-x86', faults.processes().values())

    def test_logs_when_all_is_over_then_harmless_and_without_complaints(self):
        for log in LOG, pathlib.Path('/run/banger-helper-log'):
            text = log.read_text()
            self.assertIsNone(OBEYED.search(text), log)
            self.assertIsNone(re.search('.*(CRITICAL|WARNING) \\*\\*.*', text))


def make_test(vm, case):
    row = 't39_' if WORDS in case.said + case.error else ''
    name = f'test_{row}{jail.slug(vm)}_when_met_by_{case.way}_then_stopped_by_{jail.slug(case.by)}'
    return name, lambda self: self.attempt(vm, case)


def import_what_nobody_boots():
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode='w') as tar:
        directory = tarfile.TarInfo('etc')
        directory.type = tarfile.DIRTYPE
        tar.addfile(directory)
    dev.must('image', 'import', '--name', 'small', '--default', '-', data=archive.getvalue())
    path = pathlib.Path(dev.home, 'vmlinuz')
    path.write_bytes(small_kernel('6.1.0'))
    dev.must('kernel', 'import', '--default', '--vmlinuz', path)


if __name__ == '__main__':
    LAUNCHER = jail.start_launcher()
    jail.replace(jail.HOSTILE, jail.QEMU)
    import_what_nobody_boots()
    dev.must('vm', 'run', '--rm', '--name', 'first', '--', 'true')
    BEFORE = faults.world()
    dev.must('vm', 'run', '-d', '--name', 'good')
    assert serves('good')
    for VM, CASE in CASES.items():
        setattr(Attempts, *make_test(VM, CASE))
    world.tap.main()
