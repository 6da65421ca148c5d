#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real command line on a private session bus, against a manager that has no VMs.

Environment: BANGER (the program), BANGER_SOURCE (the tree).
"""

import contextlib
import fcntl
import json
import os
import pty
import re
import resource
import selectors
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import unittest

import tap

BANGER = os.environ['BANGER']
SOURCE = os.environ['BANGER_SOURCE']
PYTHON = '/usr/bin/python3'


class Rig(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix='banger-client-')
        self.addCleanup(shutil.rmtree, self.directory)
        address = f'unix:path={self.directory}/bus'
        self.bus = self.spawn(['dbus-daemon', '--session', '--nofork', '--print-address=1', f'--address={address}'])
        self.bus.stdout.readline()
        self.environment = {'DBUS_SESSION_BUS_ADDRESS': address, 'PATH': os.environ['PATH'], 'LC_ALL': 'C.UTF-8'}
        self.fake = self.spawn([PYTHON, f'{SOURCE}/tests/fakes/fake_manager.py', SOURCE], env=self.environment)
        self.assertIn('ready', self.next_line())

    def spawn(self, argv, **options):
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, **options)
        self.addCleanup(self.end, child, signal.SIGTERM)
        return child

    @staticmethod
    def end(child, number=signal.SIGKILL):
        child.send_signal(number)
        child.wait()
        child.stdout.close()

    def next_line(self):
        line = self.fake.stdout.readline()
        if not line:
            self.fail('the manager has ended')
        return json.loads(line)

    def await_line(self, key, value=None):
        """Reads what the manager says until it says this."""
        while True:
            line = self.next_line()
            if key in line and value in (None, line[key]):
                return line

    def banger(self, *words, **options):
        options.setdefault('stdin', subprocess.DEVNULL)
        if 'input' in options:
            del options['stdin']
        return subprocess.run([BANGER, *words], env=self.environment, capture_output=True, text=True,
                              timeout=15, check=False, **options)

    def begin(self, *words, **options):
        options.setdefault('stdin', subprocess.DEVNULL)
        child = subprocess.Popen([BANGER, *words], env=self.environment, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, **options)
        self.addCleanup(self.end, child)
        self.addCleanup(child.stderr.close)
        return child

    def make_vm(self, name='web'):
        done = self.banger('-q', 'vm', 'run', '-d', '--image', 'x', '--kernel', 'y', '--name', name)
        self.assertEqual((done.returncode, done.stdout), (0, name + '\n'), done.stderr)


class Run(Rig):
    ready = ('vm', 'run', '--rm', '--image', 'x', '--kernel', 'y')

    def test_run_when_detached_then_told_that_it_ends_with_the_session(self):
        words = ('vm', 'run', '-d', '--image', 'x', '--kernel', 'y')
        self.assertIn('loginctl enable-linger', self.banger(*words, '--name', 'a').stderr)
        self.assertEqual(self.banger('-q', *words, '--name', 'b').stderr, '')

    def test_run_when_no_defaults_then_makes_them_and_runs(self):
        done = self.banger('vm', 'run', '--rm', '--', 'echo', 'hello world')
        self.assertEqual((done.returncode, done.stdout), (0, 'hello world\n'), done.stderr)
        self.assertIn('300 MB', done.stderr)
        calls = []
        while 'VM.Delete' not in calls:
            calls.append(self.await_line('call')['call'])
        order = ['Manager.ImportKernel', 'Manager.BuildImage', 'Manager.CreateVM', 'VM.Exec', 'VM.Delete']
        self.assertEqual([call for call in calls if call in order], order)

    def test_run_when_command_fails_then_its_status(self):
        self.assertEqual(self.banger(*self.ready, '--', 'sh', '-c', 'exit 7').returncode, 7)

    def test_run_when_signalled_then_128_and_number(self):
        self.assertEqual(self.banger(*self.ready, '--', 'sh', '-c', 'kill -9 $$').returncode, 137)

    def test_run_when_much_input_then_all_comes_back(self):
        text = 'x' * 3_000_000
        done = self.banger(*self.ready, '--', 'cat', input=text)
        self.assertEqual((done.returncode, len(done.stdout)), (0, len(text)))

    def test_run_when_errors_written_then_on_standard_error(self):
        done = self.banger('-q', *self.ready, '--', 'sh', '-c', 'echo out; echo err >&2')
        self.assertEqual((done.stdout, done.stderr), ('out\n', 'err\n'))

    def test_run_when_input_stays_open_then_ends_with_command(self):
        reading, writing = os.pipe()
        done = self.banger(*self.ready, '--', 'true', stdin=reading)
        os.close(reading)
        os.close(writing)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_run_when_start_denied_then_125_and_action_named(self):
        done = self.banger('vm', 'run', '--rm', '--image', 'denied', '--kernel', 'y', '--', 'cat')
        self.assertEqual(done.returncode, 125)
        self.assertIn('org.banger.helper.launch-vmm', done.stderr)
        self.assertIn('let an administrator allow it', done.stderr)

    def test_run_when_a_firewall_is_in_the_way_then_125_and_it_is_named_with_what_to_do(self):
        done = self.banger('vm', 'run', '--rm', '--nat', '--image', 'blocked', '--kernel', 'y', '--', 'cat')
        self.assertEqual(done.returncode, 125)
        self.assertIn('table inet mine, chain fw', done.stderr)
        self.assertIn('lets it pass with', done.stderr)
        self.assertIn('--network host', done.stderr)

    def test_run_when_interrupted_during_start_then_cancels(self):
        child = self.begin('vm', 'run', '--rm', '--image', 'slow', '--kernel', 'y', '--', 'cat')
        self.await_line('call', 'Job.Wait')
        child.send_signal(signal.SIGINT)
        self.await_line('call', 'Job.Cancel')
        self.assertEqual(child.wait(), 130)

    def test_run_when_somebody_else_cancels_the_start_then_125_and_told(self):
        child = self.begin('vm', 'run', '--rm', '--image', 'slow', '--kernel', 'y', '--', 'cat')
        job = self.await_line('call', 'Job.Wait')['path']
        subprocess.run(['gdbus', 'call', '--address', self.environment['DBUS_SESSION_BUS_ADDRESS'], '--dest',
                        'org.banger.Manager', '--object-path', job, '--method', 'org.banger.Job.Cancel'], check=True,
                       stdout=subprocess.DEVNULL)
        self.assertIn('the job was cancelled', child.communicate()[1])
        self.assertEqual(child.returncode, 125)

    def test_run_when_signalled_then_passed_on(self):
        child = self.begin(*self.ready, '--', 'sleep', '1000')
        self.await_line('running')
        child.send_signal(signal.SIGTERM)
        self.await_line('call', 'VM.SignalExec')
        self.assertEqual(child.wait(), 143)

    def test_exec_when_hangups_are_ignored_then_not_passed_on(self):
        self.make_vm()
        child = self.begin('vm', 'exec', 'web', 'sh', '-c', 'echo up; read line; echo $line', stdin=subprocess.PIPE,
                           preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.assertEqual(child.stdout.readline(), 'up\n')
        child.send_signal(signal.SIGHUP)
        self.assertEqual(child.communicate('still here\n'), ('still here\n', ''))
        self.assertEqual(child.returncode, 0)

    def test_run_when_signalled_twice_then_gives_up(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            child = self.begin(*self.ready, '--', 'sh', '-c', 'trap "" INT TERM HUP; echo set; sleep 1000',
                               preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
            self.assertEqual(child.stdout.readline(), 'set\n')
            child.send_signal(number)
            self.assertEqual(self.await_line('call', 'VM.SignalExec')['arguments'][1], number)
            child.send_signal(number)
            self.assertEqual(child.wait(), 130, number)

    def test_exec_when_signals_differ_then_each_passed_on_once(self):
        self.make_vm()
        child = self.begin('vm', 'exec', 'web', 'sh', '-c', 'trap "" TERM; echo set; exec sleep 1000',
                           preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
        self.assertEqual(child.stdout.readline(), 'set\n')
        for number in (signal.SIGTERM, signal.SIGHUP):
            child.send_signal(number)
            self.assertEqual(self.await_line('call', 'VM.SignalExec')['arguments'][1], number)
        self.assertEqual(child.wait(), 129)

    def test_exec_when_the_vm_pauses_then_told_why(self):
        self.make_vm()
        done = self.banger('vm', 'exec', 'web', 'pause', 'echo', 'on')
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, 'on\n', 'banger: the VM is paused: the disk\\x1b is full\n'))

    def test_run_when_daemon_dies_then_125_at_once(self):
        done = self.banger(*self.ready, '--', 'die')
        self.assertEqual(done.returncode, 125)
        self.assertIn('bangerd went away', done.stderr)
        # With --rm nothing is to go on.
        self.assertNotIn('what runs goes on', done.stderr)
        self.assertIn('deletes this VM', done.stderr)

    def test_run_when_nobody_reads_output_then_ends(self):
        child = self.begin(*self.ready, '--', 'yes')
        self.assertEqual(child.stdout.readline(), 'y\n')
        child.stdout.close()
        # It writes into a socket here: closed before it was read, that is an error and no SIGPIPE.
        self.assertIn(child.wait(), (1, 141))

    def test_exec_when_nobody_reads_output_and_the_guest_hangs_up_then_as_a_broken_pipe(self):
        self.make_vm()
        child = self.begin('vm', 'exec', 'web', 'sh', '-c', 'echo up; read a; echo more; read b; kill -HUP $$',
                           stdin=subprocess.PIPE)
        self.assertEqual(child.stdout.readline(), 'up\n')
        child.stdout.close()
        child.stdin.write('a\nb\n')
        child.stdin.close()
        self.assertEqual(child.wait(), 141)

    def test_run_when_path_given_then_refused_by_name(self):
        done = self.banger('vm', 'run', './project')
        self.assertEqual(done.returncode, 2)
        self.assertIn("'./project': workspaces do not exist yet", done.stderr)

    def test_run_when_dry_then_plan_is_escaped(self):
        done = self.banger('vm', 'run', '--dry-run')
        self.assertEqual(done.stdout, 'first step\nsecond \\x1b[31mstep\n')

    def test_run_when_options_given_then_sent_typed(self):
        self.banger(*self.ready, '--memory', '512M', '--vcpus', '3', '-e', 'A=1', '-e', 'B=2', '-u', 'me', '--', 'true')
        options = self.await_line('call', 'Manager.CreateVM')['arguments'][0]
        self.assertEqual((options['memory'], options['vcpus'], options['ephemeral']), (512 << 20, 3, True))
        options = self.await_line('call', 'VM.Exec')['arguments'][1]
        self.assertEqual((options['environment'], options['user']), (['A=1', 'B=2'], 'me'))


class Seat:
    """A command on a terminal of its own, which is looked at before and after."""

    def __init__(self, *argv, **options):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.seen = b''
        self.process = subprocess.Popen(argv, stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                        start_new_session=True, preexec_fn=self.take, **options)
        self.end = os.pidfd_open(self.process.pid)

    @staticmethod
    def take():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # Whoever runs the tests may ignore them: nohup(1) does, and a shell that runs something behind itself.
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)

    def expect(self, text):
        """Fails where the command has ended, or has been silent for a minute, without having said it."""
        with contextlib.closing(selectors.DefaultSelector()) as selector:
            selector.register(self.master, selectors.EVENT_READ)
            selector.register(self.end, selectors.EVENT_READ)
            while text not in self.seen:
                ready = [key.fd for key, _ in selector.select(60)]
                if self.master not in ready:
                    break
                self.seen += os.read(self.master, 65536)
        if text not in self.seen:
            raise AssertionError(f'{self.process.args}: waited for {text}, saw {self.seen}, status '
                                 f'{self.process.poll()}')

    def wait(self):
        return self.process.wait(timeout=60)

    def type(self, data):
        os.write(self.master, data)

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO)

    def is_restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        self.process.kill()
        self.process.wait()
        for fd in (self.end, self.master, self.slave):
            os.close(fd)


class Terminal(Rig):
    def sit(self, *words):
        seat = Seat(BANGER, *words, env={**self.environment, 'TERM': 'vt100'})
        self.addCleanup(seat.close)
        return seat

    def test_console_when_escape_is_typed_then_left_and_terminal_restored(self):
        self.make_vm()
        seat = self.sit('vm', 'console', 'web')
        seat.expect(b'login: ')
        self.assertTrue(seat.is_raw())
        seat.type(b'root\r')
        seat.expect(b'root\r')
        seat.type(b'bye\x1dunheard')
        self.assertEqual(seat.wait(), 0)
        self.assertTrue(seat.is_restored())
        typed = [self.await_line('typed')['typed']]
        while typed[-1]:
            typed.append(self.await_line('typed')['typed'])
        self.assertEqual(''.join(typed), 'root\rbye')

    def test_console_when_ended_by_a_signal_then_that_and_terminal_restored(self):
        self.make_vm()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGUSR1,
                       signal.SIGSEGV, signal.SIGRTMIN):
            seat = self.sit('vm', 'console', 'web')
            seat.expect(b'login: ')
            self.assertTrue(seat.is_raw())
            seat.process.send_signal(number)
            self.assertEqual((seat.wait(), seat.is_restored()), (-number, True), number)

    def test_console_when_output_cannot_be_written_then_told(self):
        self.make_vm()
        with open('/dev/full', 'w', encoding='utf-8') as full:
            reading, writing = os.pipe()
            done = subprocess.run([BANGER, 'vm', 'console', 'web'], env=self.environment, stdin=reading, stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=15, check=False)
            os.close(reading)
            os.close(writing)
        self.assertEqual(done.returncode, 1)
        self.assertIn('No space left on device', done.stderr)

    def test_exec_when_signalled_on_terminal_then_status_and_terminal_restored(self):
        self.make_vm()
        # The first two are passed on to the command.
        for number, status in ((signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, -signal.SIGQUIT),
                               (signal.SIGUSR1, -signal.SIGUSR1), (signal.SIGSEGV, -signal.SIGSEGV)):
            seat = self.sit('vm', 'exec', 'web', 'sh', '-c', 'echo up; exec sleep 1000')
            seat.expect(b'up')
            self.assertTrue(seat.is_raw())
            seat.process.send_signal(number)
            self.assertEqual((seat.wait(), seat.is_restored()), (status, True), number)

    def test_run_when_making_is_declined_then_told_that_nothing_was_done(self):
        seat = Seat(BANGER, 'vm', 'run', '--rm', '--', 'true', env=self.environment)
        self.addCleanup(seat.close)
        seat.expect(b'Do it?')
        seat.type(b'n\r')
        self.assertEqual(seat.wait(), 125)
        seat.expect(b'nothing was done')

    def test_exec_when_three_interrupts_are_unanswered_then_told_the_way_out(self):
        self.make_vm()
        seat = self.sit('vm', 'exec', 'web', 'sh', '-c', 'echo up; exec sleep 1000')
        seat.expect(b'up')
        for _ in range(3):
            seat.type(b'\x03')
        seat.expect(b'the guest does not answer; Ctrl-] leaves it\r\n')
        seat.type(b'\x1d')
        self.assertEqual((seat.process.wait(), seat.is_restored()), (130, True))

    def test_exec_when_interrupts_are_answered_then_all_keys_are_the_guests(self):
        self.make_vm()
        seat = self.sit('vm', 'exec', 'web', 'cat')
        # Not before the keys are the guest's.
        self.await_line('running')
        seat.type(b'on')
        seat.expect(b'on')
        for n in range(1, 5):
            seat.type(b'\x03')
            seat.expect(b'\x03' * n)
        seat.type(b'\x1d')
        seat.expect(b'\x1d')
        seat.type(b'bye')
        seat.expect(b'bye')
        self.assertNotIn(b'banger', seat.seen)

    def test_run_when_resized_during_the_start_then_the_command_learns_it(self):
        seat = self.sit('vm', 'run', '--rm', '--image', 'slow', '--kernel', 'y', '--', 'sleep', '1000')
        self.await_line('call', 'Job.Wait')
        fcntl.ioctl(seat.slave, termios.TIOCSWINSZ, struct.pack('4H', 50, 132, 0, 0))
        self.fake.send_signal(signal.SIGUSR1)
        self.assertEqual(self.await_line('call', 'VM.ResizeExec')['arguments'][1:], [50, 132])

    def test_run_when_on_terminal_then_tty_and_restored(self):
        pid, master = pty.fork()
        if pid == 0:
            command = f'{BANGER} vm run --rm --image x --kernel y -- echo seen; echo status $?; stty -a'
            os.execve('/bin/sh', ['sh', '-c', command], {**self.environment, 'TERM': 'vt100'})
        text = b''
        while b'icanon' not in text or not re.search(rb'\becho\b[^k].*echoke', text, re.S):
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            text += data
        os.waitpid(pid, 0)
        os.close(master)
        self.assertIn(b'seen', text)
        self.assertIn(b'status 0', text)
        self.assertRegex(text, rb'[^-]icanon')
        options = self.await_line('call', 'VM.Exec')['arguments'][1]
        self.assertEqual((options['tty'], options['term']), (True, 'vt100'))


class Defaults(Rig):
    """Of images and kernels alike: the fake makes what it makes the default one."""

    def setUp(self):
        super().setUp()
        self.banger('image', 'import', '--name', 'i', '/dev/null')
        self.banger('kernel', 'import', '--fetch')

    def names(self, noun):
        return [row['name'] for row in json.loads(self.banger('--json', noun, 'list').stdout)]

    def test_delete_when_default_and_nobody_to_ask_then_refused_by_name(self):
        for noun in ('image', 'kernel'):
            done = self.banger(noun, 'delete', 'nothing', 'bookworm')
            self.assertEqual((done.returncode, done.stdout), (1, ''))
            self.assertRegex(done.stderr, 'bookworm is the default one: nothing was deleted; -f')
            self.assertEqual(self.names(noun), ['bookworm'])

    def test_delete_when_default_and_forced_then_gone(self):
        for noun in ('image', 'kernel'):
            done = self.banger(noun, 'delete', '-f', 'bookworm')
            self.assertEqual((done.returncode, done.stdout), (0, 'bookworm\n'), done.stderr)
            self.assertEqual(self.names(noun), [])

    def test_delete_when_not_default_then_not_asked(self):
        self.banger('image', 'import', '--name', 'i', '/dev/null')
        first = min(row['id'] for row in json.loads(self.banger('--json', 'image', 'list').stdout))
        self.assertEqual(self.banger('image', 'delete', first).returncode, 0)

    def test_delete_when_on_terminal_then_asked(self):
        for answer, status, left in ((b'n', 1, ['bookworm']), (b'y', 0, [])):
            seat = Seat(BANGER, 'image', 'delete', 'bookworm', env=self.environment)
            self.addCleanup(seat.close)
            seat.expect(b'bookworm is the default one. Delete it? [y/N] ')
            seat.type(answer + b'\r')
            self.assertEqual((seat.wait(), self.names('image')), (status, left))


class Others(Rig):
    def test_list_when_json_then_parsable(self):
        self.make_vm()
        rows = json.loads(self.banger('--json', 'vm', 'list').stdout)
        self.assertEqual([(row['name'], row['state']) for row in rows], [('web', 'running')])

    def test_list_when_option_stands_behind_then_the_same(self):
        self.make_vm()
        self.assertEqual(self.banger('vm', 'list', '--json').stdout, self.banger('--json', 'vm', 'list').stdout)
        self.assertEqual(self.banger('vm', 'stop', '-q', 'web').stdout, '')

    def test_options_when_behind_the_vm_then_the_same(self):
        self.make_vm()
        self.assertEqual(self.banger('vm', 'stop', 'web', '-q', '-t', '7').stdout, '')
        self.assertEqual(self.await_line('call', 'VM.Stop')['arguments'][0]['timeout'], 7)
        done = self.banger('vm', 'delete', 'web', '--force')
        self.assertEqual((done.returncode, done.stdout), (0, 'web\n'), done.stderr)

    def test_list_when_table_then_aligned(self):
        self.make_vm()
        lines = self.banger('ps').stdout.splitlines()
        self.assertEqual(lines[0].index('STATE'), lines[1].index('running'))

    def test_exec_when_vm_unknown_then_125(self):
        done = self.banger('vm', 'exec', 'nobody', 'true')
        self.assertEqual((done.returncode, done.stderr), (125, "banger: there is no VM 'nobody'\n"))

    def test_exec_when_user_unknown_then_125_and_nothing_about_vms(self):
        self.make_vm()
        done = self.banger('vm', 'exec', '--user', 'nobody-here', 'web', 'true')
        self.assertEqual((done.returncode, done.stderr), (125, "banger: there is no user 'nobody-here' in the guest\n"))

    def test_exec_when_options_follow_command_then_the_commands(self):
        self.make_vm()
        self.assertEqual(self.banger('vm', 'exec', 'web', 'echo', '-e', '--json').stdout, '--json\n')

    def test_exec_when_help_stands_behind_the_vm_then_the_commands(self):
        self.make_vm()
        self.assertEqual(self.banger('vm', 'exec', 'web', 'sh', '-c', 'echo $0', '--help').stdout, '--help\n')
        self.assertIn('usage: banger', self.banger('vm', 'exec', '--help').stdout)

    def test_exec_when_standard_input_is_closed_then_as_empty(self):
        self.make_vm()
        done = self.banger('vm', 'exec', 'web', 'cat', preexec_fn=lambda: os.close(0))
        self.assertEqual((done.returncode, done.stdout), (0, ''), done.stderr)

    def test_exec_when_no_command_then_2(self):
        self.make_vm()
        for words in (['web'], ['web', '--']):
            done = self.banger('vm', 'exec', *words)
            self.assertEqual(done.returncode, 2)
            self.assertIn("see 'banger vm exec --help'", done.stderr)

    def test_output_when_disk_is_full_then_told(self):
        self.make_vm()
        with open('/dev/full', 'w', encoding='utf-8') as full:
            for words, status in ((['vm', 'list'], 1), (['--json', 'vm', 'show', 'web'], 1), (['--help'], 1),
                                  (['vm', 'logs', 'web'], 1), (['vm', 'exec', 'web', 'echo', 'x'], 125)):
                done = subprocess.run([BANGER, *words], env=self.environment, stdout=full, stderr=subprocess.PIPE,
                                      stdin=subprocess.DEVNULL, text=True, timeout=15, check=False)
                self.assertEqual(done.returncode, status, words)
                self.assertIn('No space left on device', done.stderr)

    def test_output_when_closed_then_told(self):
        done = self.banger('vm', 'list', preexec_fn=lambda: os.close(1))
        self.assertEqual((done.returncode, done.stderr), (1, 'banger: writing the output: Bad file descriptor\n'))

    def test_delete_when_unknown_then_told_and_not_asked_about(self):
        done = self.banger('vm', 'delete', 'nosuch')
        self.assertEqual((done.returncode, done.stderr), (1, "banger: there is no VM 'nosuch'\n"))
        self.make_vm()
        done = self.banger('vm', 'delete', 'nosuch', 'web')
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no VM 'nosuch'", done.stderr)
        self.assertIn('nothing was deleted', done.stderr)
        self.assertEqual(self.banger('vm', 'show', 'web').returncode, 0)

    def complete(self, *words):
        """What bash offers for the last word."""
        script = ('PATH=$1:$PATH; source <(banger completion bash); shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1));'
                  ' _banger; printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(['bash', '-c', script, 'bash', os.path.dirname(BANGER), 'banger', *words],
                              env=self.environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                              timeout=15, check=True)
        return done.stdout.split()

    def test_completion_when_a_name_may_stand_then_the_names(self):
        self.make_vm('one')
        self.make_vm('other')
        self.banger('image', 'import', '--name', 'i', '/dev/null')
        self.assertEqual(sorted(self.complete('vm', 'show', 'o')), ['one', 'other'])
        self.assertEqual(sorted(self.complete('vm', 'stop', 'one', 'o')), ['one', 'other'])
        self.assertEqual(self.complete('vm', 'stop', '--time'), ['--timeout'])
        self.assertEqual(self.complete('vm', 'run', '--image', ''), ['bookworm'])
        self.assertEqual(self.complete('image', 'show', ''), ['bookworm'])
        self.assertEqual(self.complete('vm', 'run', '--vmm', 'qemu-m'), ['qemu-microvm'])
        self.assertEqual(self.complete('vm', 'run', '--accelerator', 'k'), ['kvm'])
        self.assertEqual(self.complete('completion', ''), ['bash', 'zsh', 'fish'])

    def test_json_when_something_was_done_then_its_name(self):
        def ask(*words):
            done = self.banger('--json', *words)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout)

        self.assertEqual(ask('vm', 'create', '--image', 'x', '--kernel', 'y', '--name', 'a'), {'name': 'a'})
        self.assertEqual(ask('vm', 'run', '-d', '--image', 'x', '--kernel', 'y', '--name', 'b'), {'name': 'b'})
        self.assertEqual(ask('vm', 'stop', 'a', 'b'), ['a', 'b'])
        self.assertEqual(ask('vm', 'delete', '-f', 'b'), ['b'])
        self.assertEqual(ask('image', 'import', '--name', 'i', '/dev/null'), {'name': 'bookworm'})
        self.assertIsInstance(ask('vm', 'run', '--dry-run'), list)

    def test_list_when_made_in_any_order_then_by_name(self):
        for name in ('m', 'z', 'a'):
            self.make_vm(name)
        names = [row['name'] for row in json.loads(self.banger('--json', 'ps').stdout)]
        self.assertEqual(names, ['a', 'm', 'z'])

    def test_stop_when_interrupted_then_says_so_and_the_second_gets_out(self):
        self.make_vm('slow')
        child = self.begin('vm', 'stop', 'slow')
        self.await_line('call', 'VM.Stop')
        self.await_line('call', 'Job.Wait')
        child.send_signal(signal.SIGINT)
        self.assertIn('cannot be taken back', child.stderr.readline())
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(), 130)

    def test_stop_when_one_of_three_unknown_then_others_stop_and_1(self):
        self.make_vm('one')
        self.make_vm('two')
        done = self.banger('vm', 'stop', 'one', 'none', 'two')
        self.assertEqual(done.returncode, 1)
        self.assertEqual(sorted(done.stdout.splitlines()), ['one', 'two'])
        self.assertIn("there is no VM 'none'", done.stderr)

    def test_logs_when_guest_sends_escapes_to_pipe_then_as_they_are(self):
        self.make_vm()
        self.assertEqual(self.banger('vm', 'logs', 'web').stdout, 'hello \x1b[31mfrom the guest\n')

    def test_logs_when_reading_fails_then_told(self):
        self.make_vm('unreadable')
        done = self.banger('vm', 'logs', 'unreadable')
        self.assertEqual((done.returncode, done.stdout), (1, ''))
        self.assertIn('reading the log: ', done.stderr)

    def test_import_when_from_standard_input_then_content_arrives(self):
        done = self.banger('image', 'import', '-', '--name', 'i', input='archive')
        self.assertEqual((done.returncode, done.stdout), (0, 'bookworm\n'), done.stderr)
        self.assertEqual(self.await_line('content')['content'], 'archive')

    def test_kernel_import_when_fetch_then_asked_for(self):
        done = self.banger('kernel', 'import', '--fetch', '--default')
        self.assertEqual(done.returncode, 0, done.stderr)
        options = self.await_line('call', 'Manager.ImportKernel')['arguments'][0]
        self.assertRegex(options.pop('operation'), '^[0-9a-f]{32}$')
        self.assertEqual(options, {'fetch': '', 'default': True})

    def test_build_when_the_manager_refuses_an_option_then_2_and_where_to_look(self):
        done = self.banger('image', 'build', '--suite', 'X')
        self.assertEqual((done.returncode, done.stdout), (2, ''))
        self.assertEqual(done.stderr, "banger: option 'suite': must be a release's name\n"
                         "banger: see 'banger image build --help'\n")

    def test_set_when_one_of_several_fails_then_it_is_named(self):
        for name in 'web', 'busy':
            self.banger('vm', 'create', '--name', name)
        done = self.banger('vm', 'set', '--peer', 'web', 'busy')
        self.assertEqual((done.returncode, done.stdout), (1, 'web\n'))
        self.assertIn('banger: busy: it is in use\n', done.stderr)
        self.assertTrue(self.banger('vm', 'set', '--peer', 'busy').stderr.startswith('banger: it is in use\n'))

    def test_doctor_when_a_check_fails_then_1(self):
        done = self.banger('doctor')
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r'FAIL +helper +is away +start it')


class NoBus(unittest.TestCase):
    def test_help_when_no_bus_then_works(self):
        for words in (['--help'], ['--version'], ['vm', 'run', '--help'], ['completion', 'bash'], ['version']):
            done = subprocess.run([BANGER, *words], env={}, capture_output=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, b''), words)

    def test_help_when_the_locale_has_no_more_then_ascii(self):
        for words in ('--help', 'vm start --help', 'vm run --help'):
            done = subprocess.run([BANGER, *words.split()], env={'LC_ALL': 'C'}, capture_output=True, check=True)
            self.assertTrue(done.stdout.isascii(), words)

    def test_usage_when_wrong_then_2(self):
        for words in ([], ['vm', 'run', '--vcpus', '0'], ['vm', 'create', '--vcpus', 'x'], ['vm', 'show', b'\xff'],
                      ['vm', 'exec', 'web', 'echo', b'caf\xe9'], ['frob'],
                      ['vm'], ['vm', 'frob'], ['vm', 'show'], ['vm', 'list', '--frob']):
            done = subprocess.run([BANGER, *words], env={}, capture_output=True, check=False)
            self.assertEqual(done.returncode, 2, words)


    def test_option_when_value_is_wrong_then_told_which_and_where_to_look(self):
        for words, told in (
                ('vm run --memory much', '--memory much: must be a size'),
                ('vm run -p 80', "--publish: port '80': must be [ADDRESS:]HOST:GUEST"),
                ('vm run -p localhost:80:80', "'localhost:80:80': ADDRESS must be"),
                ('vm run -p 80:80 -p 80:81', "port '80:81': that of the host leads to another port of the guest"),
                ('vm run --network none -p 80:80', "option 'publish': must be of a VM with a network"),
                ('vm set box', 'say what is to be different'),
                ('vm set --peer --no-peer box', '--peer contradicts --no-peer'),
                ('vm set --unpublish 80/tcp box', "--unpublish: port '80/tcp': must be"),
                ('vm run --memory 1M', "'memory': must be 64 MiB"),
                ('vm run --disk 1M', "'disk': must be 64 MiB"),
                ('vm run --vcpus 65', '--vcpus 65: must be a number from 1 to 64'),
                ('vm run --name Web', "'name': must be"),
                ('vm create --vmm xen', "'vmm': must be"),
                ('vm create --accelerator fast', "'accelerator': must be"),
                ('vm create --init systemd', "'init': must be"),
                ('vm create --image=', '--image: must not be empty'),
                ('vm run --env A', '--env A: must be NAME=VALUE'),
                ('vm run --user 0', '--user 0: must be a name'),
                ('vm exec --workdir here web true', '--workdir here: must be an absolute path'),
                (f'vm exec --workdir /{"x" * 4095} web true', 'must be an absolute path of at most 4095 bytes'),
                ('vm exec web', 'something is missing: banger vm exec [OPTIONS] VM'),
                ('vm shell web id', "'id' is one argument too many"),
                ('vm stop --timeout soon web', '--timeout'),
                ('vm stop --timeout -1 web', '--timeout -1: must not be negative'),
                ('vm kill --signal 99 web', '--signal 99: must be HUP'),
                ('vm run -d -- true', '--detach goes with neither'),
                ('image import file', '--name is missing'),
                ('image delete -f ', 'an empty word names nothing'),
                ('kernel import', 'give one of --fetch, --package and --vmlinuz'),
                ('kernel import --package x --modules y', '--modules goes with --vmlinuz'),
                ('kernel import --vmlinuz x --suite y', '--suite and --mirror go with --fetch'),
                ('completion csh', "'csh': must be bash, zsh or fish"),
                ('vm', "a command is missing behind 'vm'"),
                ('vm list --frob', "there is no option '--frob'"),
                ('vm strat web', "do you mean 'start'?")):
            done = subprocess.run([BANGER, *words.split(' ')], env={}, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(told, done.stderr, words)
            self.assertIn("see 'banger " + words.split(' ', maxsplit=1)[0], done.stderr, words)


if __name__ == '__main__':
    tap.main()
