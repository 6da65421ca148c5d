# SPDX-License-Identifier: LGPL-2.1-or-later
"""A start, watched by strace from the call to the reply in all of banger's own processes."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest

import world

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', '..', 'trace'))
import traces  # noqa: E402

OURS = r'/(run/banger|usr/lib\w*/banger|\.local/(share|state)/banger|\.cache/banger|etc/banger)'
# The daemon has its disk made; the launcher of jails starts the VMM, which may do as it likes; nobody else starts any.
OWN, OTHERS = ('"/usr/bin/banger"', '/banger-image-writer"'), ('"/usr/bin/qemu-system-x86_64"',)
CALLS = sorted({*traces.SLEEPS, *traces.WAITS, *traces.LOOKS, *traces.FORKS, 'read', 'close', 'timerfd_create',
                'execveat'})
STRACE = ['strace', '-f', '-ttt', '-s', '256', '--decode-pids=pidns', '-e', 'trace=' + ','.join(CALLS)]
dev = world.User('dev')


class Strace:
    """Of processes that run, and of whoever they start."""

    def __init__(self, pids):
        self.file = tempfile.NamedTemporaryFile(mode='r', encoding='utf-8', errors='replace')
        attach = [word for pid in pids for word in ('-p', str(pid))]
        self.process = subprocess.Popen([*STRACE, '-o', self.file.name, *attach], stderr=subprocess.PIPE, text=True)
        # It says so of each process that it has.
        for _ in pids:
            assert 'attached' in self.process.stderr.readline()

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate()
        return self.file.read().splitlines()


def pid_of(name):
    """Of the first of that name: launchers of jails and jails have one."""
    return min(pid for pid, found, _ in world.processes() if found == name)


class Start(unittest.TestCase):
    maxDiff = None

    def test_start_when_watched_then_nobody_sleeps_fires_or_tries_again(self):
        # Helper, launcher and daemon are there, and the accelerator is known, as in daily use.
        dev.must('vm', 'run', '--rm', '--', 'true')
        watched = Strace([pid_of(name) for name in ('bangerd', 'banger-helper', 'banger-jail')])
        with tempfile.NamedTemporaryFile(mode='r', encoding='utf-8') as file:
            os.chmod(file.name, 0o666)
            done = dev.run(*STRACE, '-o', file.name, 'banger', 'vm', 'run', '--rm', '--', 'echo', 'watched')
            client = file.read().splitlines()
        lines = watched.end() + client
        self.assertEqual((done.returncode, done.stdout), (0, 'watched\n'), done.stderr)
        calls = sorted(traces.read(lines), key=lambda call: call.time)
        # It saw what it came for: the client's own exec, and that of the VMM.
        executed = ' '.join(call.arguments for call in calls if call.name == 'execve')
        self.assertIn('/usr/bin/qemu-system-x86_64', executed)
        self.assertGreater(len(calls), 200)
        self.assertEqual('\n'.join(traces.violations(calls, OURS, OWN, OTHERS)), '')


if __name__ == '__main__':
    world.tap.main()
