# SPDX-License-Identifier: LGPL-2.1-or-later
"""One machine with systemd, and what people do with it."""

import hashlib
import os
import statistics
import subprocess
import threading
import time
import unittest

import world

BOOT_ID = '/proc/sys/kernel/random/boot_id'
# Its bus may not be there yet, and nothing outside tells when it is.
SETTLED = 'until systemctl is-system-running --wait 2>/dev/null | grep -E "running|degraded"; do sleep .2; done'
SIZE = 1 << (30 if os.environ.get('BANGER_LONG') else 26)
BLOCK = bytes(range(256)) * 4096

dev = world.User('dev')


def setUpModule():
    dev.must('vm', 'run', '-d', '--name', 'm')
    dev.execute('m', 'sh', '-c', SETTLED)


class Machine(unittest.TestCase):
    def setUp(self):
        """One that does not answer fails each test at once: some would wait for it for ever."""
        dev.execute('m', 'true')


class Init(Machine):
    def test_systemd_when_booted_then_first_process_and_running(self):
        self.assertEqual(dev.execute('m', 'cat', '/proc/1/comm').strip(), 'systemd')
        self.assertEqual(dev.execute('m', 'systemctl', 'is-system-running').strip(), 'running')

    def test_units_when_booted_then_none_failed_and_none_waits(self):
        self.assertEqual(dev.execute('m', 'systemctl', '--failed', '--no-legend', '--plain').strip(), '')
        self.assertIn('No jobs running', dev.execute('m', 'systemctl', 'list-jobs'))

    def test_agent_when_systemd_reexecutes_then_same_machine_answers(self):
        before = dev.execute('m', 'cat', BOOT_ID)
        dev.execute('m', 'systemctl', 'daemon-reexec')
        self.assertEqual(dev.execute('m', 'cat', BOOT_ID), before)

    def test_clock_when_started_then_the_hosts(self):
        # An emulated guest loses ticks while it is busy, so it may be seconds behind by now.
        self.assertLess(abs(float(dev.execute('m', 'date', '+%s.%N')) - time.time()), 60)

    def test_names_when_asked_then_the_machine_knows_itself(self):
        self.assertEqual(dev.execute('m', 'hostname').strip(), 'm')
        self.assertIn('127.0.1.1', dev.execute('m', 'getent', 'hosts', 'm'))
        self.assertRegex(dev.execute('m', 'getent', 'hosts', 'localhost'), r'^(127.0.0.1|::1)\s')


class Exec(Machine):
    def status(self, *argv):
        return dev.banger('vm', 'exec', 'm', '--', *argv).returncode

    def test_status_when_command_ends_then_unchanged(self):
        self.assertEqual(self.status('true'), 0)
        self.assertEqual(self.status('sh', '-c', 'exit 42'), 42)
        self.assertEqual(self.status('/no/such/program'), 127)
        self.assertEqual(self.status('/etc/passwd'), 126)
        self.assertEqual(self.status('sh', '-c', 'kill -TERM $$'), 143)

    def test_streams_when_separate_then_stay_separate(self):
        done = dev.banger('vm', 'exec', 'm', '--', 'sh', '-c', 'echo out; echo err >&2; cat', data=b'in')
        self.assertEqual((done.stdout, done.stderr), ('out\nin', 'err\n'))

    def test_options_when_given_then_command_sees_them(self):
        done = dev.must('vm', 'exec', '--env', 'A=b c', '--workdir', '/usr', '--user', 'nobody', 'm', '--',
                        'sh', '-c', 'echo "$A:$PWD:$(id -un)"')
        self.assertEqual(done, 'b c:/usr:nobody\n')
        done = dev.banger('vm', 'exec', '--user', 'nosuch', 'm', '--', 'true')
        self.assertEqual((done.returncode, done.stderr), (125, "banger: there is no user 'nosuch' in the guest\n"))

    def test_strings_when_around_the_bound_then_run_or_refused(self):
        """Arguments and variables together, each with its NUL: 128 KiB, wherever they lie."""
        for over in -1, 0, 1:
            room = 128 * 1024 + over - len('true') - 1
            for argument in 1, room // 2, room - len('A=x') - 1:
                done = dev.banger('vm', 'exec', '--env', 'A=' + 'e' * (room - argument - len('A=') - 1), 'm', '--',
                                  'true', 'a' * (argument - 1))
                self.assertEqual(done.returncode, 125 if over > 0 else 0, (over, argument, done.stderr))
                self.assertEqual('128 KiB in all' in done.stderr, over > 0, done.stderr)

    def test_many_when_twenty_at_once_then_each_gets_its_own(self):
        running = [dev.start('banger', 'vm', 'exec', 'm', '--', 'sh', '-c', f'echo {i}; exit {i}') for i in range(20)]
        for i, process in enumerate(running):
            out, err = process.communicate()
            self.assertEqual((process.returncode, out), (i, b'%d\n' % i), err)

    def test_client_when_killed_then_command_is_hung_up(self):
        client = start_trapping('killed')
        world.kill(client.pid)
        self.assertEqual(ended_by('killed'), 'HUP')
        client.communicate()

    def test_interrupt_when_not_on_a_terminal_then_forwarded(self):
        client = dev.start('banger', 'vm', 'exec', 'm', '--', 'sh', '-c',
                           'trap "echo INT; exit 3" INT; echo ready; while :; do sleep .1; done')
        self.assertEqual(client.stdout.readline(), b'ready\n')
        client.send_signal(2)
        out, err = client.communicate()
        self.assertEqual((client.returncode, out), (3, b'INT\n'), err)


def start_trapping(name):
    """A command that writes down which signal ended it; returns when it is ready. A shell says what became of its
    child, into the broken pipe of its standard error: not this one."""
    client = dev.start('banger', 'vm', 'exec', 'm', '--', 'sh', '-c', 'exec 2>/dev/null; '
                       f'trap "echo HUP > /run/{name}; exit" HUP; echo ready; while :; do sleep .1; done')
    assert client.stdout.readline() == b'ready\n', client.communicate()
    return client


def ended_by(name):
    return dev.execute('m', 'sh', '-c', f'until [ -s /run/{name} ]; do sleep .1; done; cat /run/{name}').strip()


class Terminals(Machine):
    def test_lines_when_a_hundred_thousand_then_none_is_lost(self):
        terminal = world.Terminal(dev, 'banger', 'vm', 'exec', 'm', '--', 'seq', '100000')
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(terminal.seen.split(), [b'%d' % i for i in range(1, 100001)])

    def test_size_when_changed_then_guest_follows(self):
        terminal = world.Terminal(dev, 'banger', 'vm', 'exec', 'm', '--', 'sh', '-c',
                                  'trap "stty size; exit" WINCH; stty size; while :; do sleep .1; done',
                                  rows=33, columns=99)
        terminal.wait_for(b'33 99')
        terminal.resize(44, 111)
        terminal.wait_for(b'44 111')
        self.assertEqual(terminal.end(), 0)

    def test_interrupt_when_typed_then_it_is_the_guests(self):
        terminal = world.Terminal(dev, 'banger', 'vm', 'exec', 'm', '--', 'sh', '-c',
                                  'trap "echo caught; exit 5" INT; echo ready; while :; do sleep .1; done')
        terminal.wait_for(b'ready')
        terminal.type(b'\x03')
        terminal.wait_for(b'caught')
        self.assertEqual(terminal.end(), 5)

    def test_shell_when_opened_then_a_login_shell_of_the_user(self):
        terminal = world.Terminal(dev, 'banger', 'vm', 'shell', 'm')
        terminal.wait_for(b'#')
        terminal.type(b'echo $0:$HOME; tty; exit 7\r')
        terminal.wait_for(b'-bash:/root')
        terminal.wait_for(b'/dev/pts/')
        self.assertEqual(terminal.end(), 7)


# The terminal is looked at before and after.
CONSOLE = 'stty -g; banger vm console m; echo "status $?"; stty -g; echo end'
# It leads a session without a terminal, so the port becomes that.
SHELL = 'exec sh -i </dev/ttyS0 >/dev/ttyS0 2>&1'


class Serial(Machine):
    def test_console_when_a_shell_is_at_the_port_then_it_answers_and_the_escape_leaves(self):
        terminal = world.Terminal(dev, 'sh', '-c', CONSOLE)
        before = terminal.wait_for(b'\r\n').strip()
        terminal.wait_for(b'Ctrl-]')
        shell = dev.start('banger', 'vm', 'exec', 'm', '--', 'sh', '-c', SHELL)
        terminal.wait_for(b'# ')
        terminal.type(b'echo $((6 * 7)) on `tty`\r')
        terminal.wait_for(b'42 on /dev/ttyS0\r\n# ')
        # What a terminal that is not raw would keep for itself.
        terminal.type(b'cat\r')
        terminal.wait_for(b'cat\r\n')
        terminal.type(b'line\r')
        terminal.wait_for(b'line\r\nline\r\n')
        terminal.type(b'\x03')
        terminal.wait_for(b'# ')
        terminal.type(b'exit 7\r')
        shell.communicate()
        self.assertEqual(shell.returncode, 7)
        terminal.type(b'\x1d')
        terminal.wait_for(b'status 0\r\n')
        after = terminal.wait_for(b'end')
        self.assertEqual(after.split()[0], before)
        self.assertEqual(terminal.end(), 0)

    def test_log_when_followed_then_what_comes_is_shown(self):
        client = dev.start('banger', 'vm', 'logs', '--follow', 'm')
        dev.execute('m', 'sh', '-c', 'echo first of two > /dev/console')
        while b'first of two' not in client.stdout.readline():
            pass
        dev.execute('m', 'sh', '-c', 'echo second of two > /dev/console')
        while b'second of two' not in client.stdout.readline():
            pass
        client.terminate()
        client.communicate()
        self.assertIn('first of two', dev.must('vm', 'logs', 'm'))


class Bulk(Machine):
    def probe(self, stop, times):
        while not stop.is_set():
            begin = time.monotonic()
            dev.execute('m', 'true')
            times.append(time.monotonic() - begin)

    def beside(self, work):
        """Runs `work` while another command is asked for again and again: what those took, in the median."""
        stop, times = threading.Event(), []
        thread = threading.Thread(target=self.probe, args=(stop, times))
        thread.start()
        try:
            work()
        finally:
            stop.set()
            thread.join()
        return statistics.median(times)

    def idle(self):
        times, stop = [], threading.Event()
        while len(times) < 15:
            stop.clear()
            begin = time.monotonic()
            dev.execute('m', 'true')
            times.append(time.monotonic() - begin)
        return statistics.median(times)

    def send(self):
        client = dev.start('banger', 'vm', 'exec', 'm', '--', 'sha256sum', stdin=subprocess.PIPE)
        digest = hashlib.sha256()
        for _ in range(SIZE // len(BLOCK)):
            client.stdin.write(BLOCK)
            digest.update(BLOCK)
        out, err = client.communicate()
        self.assertEqual(out.split()[:1], [digest.hexdigest().encode()], err)

    def receive(self):
        client = dev.start('banger', 'vm', 'exec', 'm', '--', 'head', '-c', str(SIZE), '/dev/zero')
        size, clean = 0, True
        while data := client.stdout.read(1 << 20):
            size += len(data)
            clean = clean and not data.strip(b'\0')
        client.communicate()
        self.assertEqual((client.returncode, size, clean), (0, SIZE, True))

    def test_input_when_large_then_whole_and_others_are_served(self):
        idle = self.idle()
        busy = self.beside(self.send)
        print(f'# in: {SIZE >> 20} MiB, another command {busy / idle:.1f} times as long as idle', flush=True)

    def test_output_when_large_then_whole_and_others_are_served(self):
        idle = self.idle()
        busy = self.beside(self.receive)
        print(f'# out: {SIZE >> 20} MiB, another command {busy / idle:.1f} times as long as idle', flush=True)


class Successors(Machine):
    def test_daemon_when_killed_then_machine_obeys_the_next(self):
        before = dev.execute('m', 'cat', BOOT_ID)
        world.kill(dev.pid_of('bangerd'))
        self.assertEqual(dev.execute('m', 'cat', BOOT_ID), before)
        self.assertEqual(dev.show('m')['state'], 'running')

    def test_helper_when_killed_then_machine_obeys_the_next(self):
        before = dev.execute('m', 'cat', BOOT_ID)
        world.kill(world.User('root').pid_of('banger-helper'))
        self.assertEqual(dev.execute('m', 'cat', BOOT_ID), before)
        world.kill(dev.pid_of('bangerd'))
        self.assertEqual(dev.execute('m', 'cat', BOOT_ID), before)

    def test_exec_when_daemon_dies_then_125_at_once_and_the_command_is_hung_up(self):
        client = start_trapping('orphaned')
        world.kill(dev.pid_of('bangerd'))
        _, err = client.communicate()
        self.assertEqual(client.returncode, 125)
        self.assertIn(b'bangerd', err)
        self.assertEqual(ended_by('orphaned'), 'HUP')


class Zz_Disk(Machine):
    """Last, since these end the machine again and again."""

    def test_file_when_stopped_and_started_then_there(self):
        dev.execute('m', 'sh', '-c', 'echo kept > /srv/file')
        before = dev.execute('m', 'cat', BOOT_ID)
        follower = dev.start('banger', 'vm', 'logs', '-f', 'm')
        dev.must('vm', 'stop', 'm')
        follower.communicate()
        self.assertEqual(follower.returncode, 0)
        self.assertEqual(dev.show('m')['state'], 'stopped')
        self.assertNotIn('qemu-system-x86', world.names())
        dev.must('vm', 'start', 'm')
        self.assertEqual(dev.execute('m', 'cat', '/srv/file'), 'kept\n')
        self.assertNotEqual(dev.execute('m', 'cat', BOOT_ID), before)

    def test_filesystem_when_killed_then_recovers(self):
        dev.execute('m', 'sh', '-c', 'echo synced > /srv/synced; sync; for i in $(seq 200); do echo > /srv/$i; done')
        dev.must('vm', 'kill', 'm')
        dev.must('vm', 'start', 'm')
        self.assertEqual(dev.execute('m', 'cat', '/srv/synced'), 'synced\n')
        self.assertIn('recovery complete', dev.execute('m', 'dmesg'))
        self.assertNotRegex(dev.execute('m', 'dmesg'), r'EXT4-fs error')

    def test_zz_delete_when_done_then_nothing_is_left(self):
        dev.must('vm', 'delete', '-f', 'm')
        self.assertEqual(dev.vms(), [])
        self.assertEqual(os.listdir(f'{dev.home}/.local/share/banger/vm'), [])
        self.assertNotIn('qemu-system-x86', world.names())
        self.assertEqual([path.name for path in world.JAILS.iterdir() if path.name != 'socket'], [])


if __name__ == '__main__':
    world.tap.main()
