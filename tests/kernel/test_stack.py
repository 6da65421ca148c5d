#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The throw-away world of tools/try: what it shows, and that nothing of it is ever left.

Works in pid, mount and network namespaces of its own, as their first process: whatever a run leaves behind becomes our
child or stays visible, whoever else uses the machine.
"""

import os
import pathlib
import pty
import re
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.environ['BANGER_SOURCE'] + '/tests/contract')
import namespaces  # noqa: E402
import tap  # noqa: E402

STACK = os.environ['BANGER_STACK']
# As tools/trial.py has it.
AROUND = ['--bind-ro', os.environ['BANGER_SOURCE'] + '/tools:/usr/src/tools', '--world', '/usr/src/tools/world.py']
# Says that it is up, with polkit started, and ends when standard input does.
WAITING = ['sh', '-c', 'pkcheck --action-id org.freedesktop.policykit.exec --process $$ 2>/dev/null; echo up; read x']
# Who answers at each of its arguments, an address of a page.
FETCH = """
import ssl, sys, urllib.request
trust = ssl.create_default_context(cafile='/run/banger-world/ca.pem')
for page in sys.argv[1:]:
    print(urllib.request.urlopen(page, context=trust if page.startswith('https') else None).read().decode(), end='')
"""
# A shell's half of job control, for a command that stops: its arguments are the command.
LITTLE_SHELL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
_, status = os.waitpid(job, os.WUNTRACED)
if os.WIFSTOPPED(status):
    os.tcsetpgrp(0, os.getpgrp())
    print('stopped', flush=True)
    os.tcsetpgrp(0, job)
    os.kill(job, signal.SIGCONT)
    _, status = os.waitpid(job, 0)
    # The terminal's foreground is the job's again, or a read here would stop us.
    print('given back' if os.tcgetpgrp(0) == job else 'kept', flush=True)
    os.tcsetpgrp(0, os.getpgrp())
sys.exit(os.waitstatus_to_exitcode(status))
"""


def read(path):
    return pathlib.Path(path).read_text(encoding='utf-8')


def processes():
    return sorted(int(name) for name in os.listdir('/proc') if name.isdigit())


def state():
    return {'processes': processes(), 'mounts': read('/proc/self/mountinfo'),
            'interfaces': sorted(os.listdir('/sys/class/net')), 'run': os.listdir('/run'),
            'shm': os.listdir('/dev/shm')}


def stack(*arguments, text='', env=None):
    return subprocess.run([STACK, *arguments], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={} if env is None else env, cwd='/', text=True, check=False)


def start(*arguments):
    return subprocess.Popen([STACK, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, env={}, cwd='/')


def read_until(fd, pattern):
    """What a terminal says until it says `pattern`; a terminal whose last process ended says an error."""
    text = b''
    while not re.search(pattern, text):
        try:
            part = os.read(fd, 4096)
        except OSError:
            part = b''
        if not part:
            raise AssertionError(f'{pattern} is not in {text}')
        text += part
    return text


class Terminal:
    """A command as the leader of a terminal's session."""

    def __init__(self, *argv):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, {'TERM': 'dumb', 'PATH': '/usr/bin:/bin'})

    def send(self, data):
        os.write(self.fd, data)

    def expect(self, pattern):
        return read_until(self.fd, pattern)

    def wait(self):
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return status


class Stack(unittest.TestCase):
    def setUp(self):
        self.before = state()

    def tearDown(self):
        # We are the first process: this ends when everything has, and what hangs makes the test time out.
        while True:
            try:
                os.wait()
            except ChildProcessError:
                break
        self.assertEqual(state(), self.before)


class Command(Stack):
    def test_user_when_named_then_command_has_identity_and_groups(self):
        for arguments, expected in ((), 'dev banger'), (('--user', 'dev2'), 'dev2 banger'), \
                                   (('--user', 'outsider'), 'outsider'), (('--root',), 'root'):
            name = expected.split()[0]
            done = stack(*arguments, '--', 'sh', '-c', 'id -un; id -Gn; cd; stat -c %U .')
            self.assertEqual(done.stdout.split('\n')[:3], [name, expected, name], done.stderr)

    def test_users_when_images_are_built_then_each_has_subordinate_ids(self):
        for path in '/etc/subuid', '/etc/subgid':
            lines = stack('--', 'cat', path).stdout.splitlines()
            owners = [line.split(':') for line in lines if re.match('(dev|dev2|outsider):', line)]
            self.assertEqual([owner[0] for owner in owners], ['dev', 'dev2', 'outsider'])
            self.assertEqual(len({owner[1] for owner in owners}), 3)

    def test_status_when_command_ends_then_it_is_ours(self):
        for argv, status in ((['true'], 0), (['sh', '-c', 'exit 42'], 42), (['sh', '-c', 'kill -9 $$'], 137),
                             (['/nowhere/at-all'], 127), (['/etc'], 126)):
            self.assertEqual(stack('--', *argv).returncode, status, argv)

    def test_options_when_wrong_then_125_and_a_reason(self):
        for arguments in ('--user', 'nobody-of-ours', '--', 'true'), ('--stage', '/nowhere', '--', 'true'), \
                         ('--bind', 'x', '--', 'true'), ():
            done = stack(*arguments)
            self.assertEqual(done.returncode, 125, arguments)
            self.assertIn('banger-stack: ', done.stderr)

    def test_ordinary_user_when_starting_it_then_told_to_use_sudo(self):
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            # The build directory may be nobody's to enter.
            program = pathlib.Path(directory, 'banger-stack')
            program.write_bytes(pathlib.Path(STACK).read_bytes())
            program.chmod(0o755)
            done = subprocess.run([program, 'true'], user=65534, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 125)
        self.assertIn('sudo', done.stderr)

    def test_environment_when_caller_has_one_then_command_has_a_new_one(self):
        done = stack('--setenv', 'ONE=two', '--', 'env', env={'SECRET': 'x', 'TERM': 'dumb', 'LANG': 'C'})
        names = dict(line.split('=', 1) for line in done.stdout.splitlines())
        self.assertNotIn('SECRET', names)
        self.assertEqual([names[name] for name in ('ONE', 'TERM', 'LANG', 'USER', 'HOME')],
                         ['two', 'dumb', 'C', 'dev', '/home/dev'])
        self.assertEqual(names['DBUS_SESSION_BUS_ADDRESS'], f'unix:path={names["XDG_RUNTIME_DIR"]}/bus')

    def test_descriptors_when_caller_has_more_then_command_has_three(self):
        with tempfile.TemporaryFile() as file:
            done = subprocess.run([STACK, '--', 'ls', '/proc/self/fd'], pass_fds=[file.fileno()], cwd='/',
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
        # The fourth is of ls itself.
        self.assertEqual(done.stdout.split(), ['0', '1', '2', '3'])

    def test_input_when_piped_then_passed_through(self):
        self.assertEqual(stack('--', 'cat', text='x' * 200000).stdout, 'x' * 200000)


class Services(Stack):
    def test_buses_when_command_runs_then_both_answer(self):
        done = stack('--', 'sh', '-c', 'busctl list --no-pager && busctl --user list --no-pager')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count('\norg.freedesktop.DBus '), 2)

    def test_session_when_asked_for_another_user_then_theirs_answers_only_them(self):
        command = ('runuser -u dev2 -- busctl --address=unix:path=/run/user/41002/bus list --no-pager >/dev/null'
                   ' && ! runuser -u dev -- busctl --address=unix:path=/run/user/41002/bus list --no-pager')
        done = stack('--root', '--session', 'dev2', '--', 'sh', '-c', command)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_polkit_when_asked_then_started_and_answers(self):
        ask = 'pkcheck --action-id org.freedesktop.policykit.exec --process $$'
        self.assertEqual(stack('--root', '--', 'sh', '-c', ask).returncode, 0)
        done = stack('--', 'sh', '-c', ask)
        # 2: an administrator's password would be needed.
        self.assertEqual(done.returncode, 2, done.stderr)


class World(Stack):
    def test_network_when_not_the_hosts_then_loopback_alone_and_up(self):
        subprocess.run(['ip', 'link', 'add', 'host0', 'type', 'veth', 'peer', 'name', 'host1'], check=True)
        try:
            done = stack('--', 'sh', '-c', 'ls /sys/class/net; ip -o addr show lo')
            self.assertEqual(done.stdout.split('\n')[0], 'lo')
            self.assertIn('127.0.0.1/8', done.stdout)
            self.assertIn('host0', stack('--host-net', '--', 'ls', '/sys/class/net').stdout)
        finally:
            subprocess.run(['ip', 'link', 'delete', 'host0'], check=True)

    def test_files_when_root_writes_anywhere_then_nothing_reaches_the_host(self):
        paths = ['/etc/banger-test', '/usr/bin/banger-test', '/run/banger-test', '/dev/shm/banger-test',
                 '/tmp/banger-test', '/home/banger-test', '/var/lib/banger-test']
        passwd = read('/etc/passwd')
        # The bus becomes its own user, found in that file, behind the word that it is there; when it answers it has.
        script = 'busctl call org.freedesktop.DBus / org.freedesktop.DBus GetId >&2 && touch "$@" && rm /etc/passwd'
        done = stack('--root', '--', 'sh', '-c', script, 'sh', *paths)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([path for path in paths if os.path.lexists(path)], [])
        self.assertEqual(read('/etc/passwd'), passwd)

    def test_stage_when_given_then_lies_over_the_system(self):
        with tempfile.TemporaryDirectory() as stage:
            program = pathlib.Path(stage, 'usr/bin/banger-test')
            program.parent.mkdir(parents=True)
            program.write_text('#!/bin/sh\necho staged\n', encoding='utf-8')
            program.chmod(0o755)
            done = stack('--stage', stage, '--', 'sh', '-c', 'banger-test; stat -c %a / /usr')
        self.assertEqual(done.stdout.split(), ['staged', '755', '755'], done.stderr)

    def test_home_when_covered_then_changes_are_thrown_away(self):
        with tempfile.TemporaryDirectory() as home:
            pathlib.Path(home, 'old').write_text('old', encoding='utf-8')
            change = ['--', 'sh', '-c', 'cat old && echo new >new && rm -f old && ls']
            self.assertEqual(stack('--home', home, *change).stdout, 'oldnew\n')
            self.assertEqual(os.listdir(home), ['old'])
            self.assertEqual(stack('--home', home, '--keep-home', *change).stdout, 'oldnew\n')
            self.assertEqual(os.listdir(home), ['new'])

    def test_bind_when_read_only_then_seen_but_not_written(self):
        with tempfile.TemporaryDirectory() as shown:
            os.chmod(shown, 0o777)
            write = ['sh', '-c', 'echo x >/mnt/a/b/x']
            self.assertNotEqual(stack('--bind-ro', f'{shown}:/mnt/a/b', '--', *write).returncode, 0)
            self.assertEqual(os.listdir(shown), [])
            self.assertEqual(stack('--bind', f'{shown}:/mnt/a/b', '--', *write).returncode, 0)
            self.assertEqual(os.listdir(shown), ['x'])


class Around(Stack):
    def test_world_when_asked_for_then_somebody_answers_and_names_are_known(self):
        pages = ['http://world.test/', 'https://world.test/', 'https://93.184.216.34/', 'http://lan.test/',
                 'http://169.254.169.254/']
        done = stack(*AROUND, '--', 'python3', '-c', FETCH, *pages)
        self.assertEqual(done.stdout.splitlines(), ['world: hello, 192.168.50.2'] * 3 + ['lan: hello, 192.168.50.2',
                                                    'metadata: hello, 192.168.50.2'], done.stderr)

    def test_certificate_when_it_is_fetched_then_it_is_the_one_that_is_told(self):
        compare = 'python3 -c "$0" http://world.test/ca.pem | cmp /run/banger-world/ca.pem -'
        done = stack(*AROUND, '--', 'sh', '-c', compare, FETCH)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_names_when_nobody_has_them_then_they_are_not_there(self):
        done = stack(*AROUND, '--', 'sh', '-c', 'cat /etc/resolv.conf; getent hosts deb.debian.org')
        self.assertEqual((done.returncode, done.stdout), (2, 'nameserver 192.168.50.1\n'), done.stderr)

    def test_world_when_it_does_not_start_then_125_and_a_reason(self):
        done = stack('--world', '/usr/bin/true', '--', 'true')
        self.assertEqual(done.returncode, 125)
        self.assertIn('the world of root did not start; see /run/banger-stack/world.log', done.stderr)

    def test_world_when_the_network_is_the_hosts_then_refused(self):
        done = stack('--host-net', *AROUND, '--', 'true')
        self.assertEqual(done.returncode, 125)
        self.assertIn('--world with --host-net', done.stderr)


class Signals(Stack):
    def test_kill_when_any_process_is_hit_then_nothing_is_left(self):
        # polkit is started again when it is needed, and who answers for names is missed by nobody else; the buses, the
        # world and the command take everything along.
        statuses = {'banger-stack': {-9, 137}, 'dbus-daemon': {125}, 'sh': {137}, 'polkitd': {1}, 'world.py': {125},
                    'dnsmasq': {1}}
        names, more = [], True
        while more:
            with start(*AROUND, '--', *WAITING) as outer:
                self.assertEqual(outer.stdout.readline(), b'up\n')
                victims = [pid for pid in processes() if pid not in self.before['processes']]
                victim = victims[len(names)]
                names.append(read(f'/proc/{victim}/comm').strip())
                os.kill(victim, signal.SIGKILL)
                if statuses[names[-1]] == {1}:
                    outer.stdin.close()
                self.assertIn(outer.wait(), statuses[names[-1]], names)
            self.tearDown()
            more = len(names) < len(victims)
        self.assertEqual(sorted(names), ['banger-stack'] * 2 + ['dbus-daemon'] * 2 +
                         ['dnsmasq', 'polkitd', 'sh', 'world.py'])

    def test_signal_when_sent_to_the_outer_process_then_all_of_it_ends(self):
        for number in signal.SIGTERM, signal.SIGHUP:
            with start('--', 'sh', '-c', 'trap "" TERM HUP; echo up; read x') as outer:
                self.assertEqual(outer.stdout.readline(), b'up\n')
                outer.send_signal(number)
                self.assertEqual(outer.wait(), 128 + number)

    def test_interrupt_when_sent_to_the_outer_process_then_command_gets_it(self):
        with start('--', 'sh', '-c', 'trap "exit 7" INT; echo up; read x; exit 8') as outer:
            self.assertEqual(outer.stdout.readline(), b'up\n')
            outer.send_signal(signal.SIGINT)
            self.assertEqual(outer.wait(), 7)

    def test_key_when_ctrl_c_on_a_terminal_then_command_gets_it(self):
        terminal = Terminal(STACK, '--', 'sh', '-c', 'trap "echo caught; exit 7" INT; echo up; read x; exit 8')
        terminal.expect(b'up')
        terminal.send(b'\x03')
        terminal.expect(b'caught')
        self.assertEqual(terminal.wait(), 7)

    def test_shell_when_interactive_then_has_job_control(self):
        terminal = Terminal(STACK, '--', 'bash', '--norc', '-i')
        terminal.send(b'jobs; set -o | grep monitor; echo $((6 * 7))\n')
        text = terminal.expect(b'\n42')
        self.assertNotIn(b'no job control', text)
        self.assertRegex(text, rb'monitor\s+on')
        terminal.send(b'exit 5\n')
        terminal.expect(b'exit')
        self.assertEqual(terminal.wait(), 5)

    def test_key_when_ctrl_z_on_a_terminal_then_stops_and_goes_on(self):
        terminal = Terminal('/usr/bin/python3', '-c', LITTLE_SHELL, STACK, '--', 'sh', '-c',
                            'echo up; read x; echo got $x; exit 6')
        terminal.expect(b'up')
        terminal.send(b'\x1a')
        terminal.expect(b'stopped')
        terminal.send(b'word\n')
        terminal.expect(b'got word')
        terminal.expect(b'given back')
        self.assertEqual(terminal.wait(), 6)

    def test_terminal_when_command_is_killed_raw_then_as_before(self):
        terminal = Terminal('/bin/sh', '-c', '"$0" -- sh -c "stty raw -echo; kill -9 \\$\\$"; stty -a', STACK)
        text = terminal.expect(rb'echoke')
        self.assertRegex(text, rb' icanon .* echo ')
        self.assertEqual(terminal.wait(), 0)


if __name__ == '__main__':
    namespaces.enter('/run', '/dev/shm')
    # A sysfs shows the interfaces of the namespace it was mounted in.
    subprocess.run(['mount', '-t', 'sysfs', 'sysfs', '/sys'], check=True)
    tap.main()
