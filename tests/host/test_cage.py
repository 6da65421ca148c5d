# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of this directory run in: nothing of it is left, whoever is killed."""

import os
import pathlib
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.environ['BANGER_SOURCE'] + '/tests/contract')
import cage  # noqa: E402
import tap  # noqa: E402

RUN = ['/usr/bin/python3', '-B', '-c', 'import cage, sys; sys.exit(cage.run(sys.argv[1:]))', '/bin/sh', '-c']
# Groups below its own, a mount, and a process that left its session; then it waits.
BUSY = """
mount -t cgroup2 cgroup2 /sys/fs/cgroup && mkdir -p /sys/fs/cgroup/a/b || exit
setsid sh -c 'echo 0 >/sys/fs/cgroup/a/b/cgroup.procs && echo up && trap "" TERM HUP INT && exec sleep infinity' &
wait
"""


def start(script):
    return subprocess.Popen([*RUN, script], cwd=os.path.dirname(os.path.realpath(__file__)), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE)


def child_of(pid):
    return int(pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text(encoding='utf-8').split()[0])


class Cage(unittest.TestCase):
    def check_gone(self, process):
        # The pipe ends with the last process that has it: ours and all that the command started.
        process.stdout.read()
        status = process.wait()
        process.stdout.close()
        groups = cage.make_group().parent
        (groups / f'banger-host-{os.getpid()}').rmdir()
        self.assertFalse((groups / f'banger-host-{process.pid}').exists())
        return status

    def test_status_when_command_ends_then_it_is_ours(self):
        for status in 0, 42:
            self.assertEqual(self.check_gone(start(f'exit {status}')), status)

    def test_processes_when_command_ends_without_them_then_they_end(self):
        self.assertEqual(self.check_gone(start(BUSY.replace('wait', 'exit 7'))), 7)

    def test_kill_when_any_process_is_hit_then_nothing_is_left(self):
        for generation in range(4):
            process = start(BUSY)
            self.assertEqual(process.stdout.readline(), b'up\n')
            victim = process.pid
            for _ in range(generation):
                victim = child_of(victim)
            os.kill(victim, signal.SIGKILL)
            self.assertNotEqual(self.check_gone(process), 0, generation)

    def test_group_of_processes_when_killed_then_nothing_is_left(self):
        process = subprocess.Popen([*RUN, BUSY], cwd=os.path.dirname(os.path.realpath(__file__)),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
        self.assertEqual(process.stdout.readline(), b'up\n')
        os.killpg(process.pid, signal.SIGKILL)
        self.check_gone(process)


if __name__ == '__main__':
    tap.main()
