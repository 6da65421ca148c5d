# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole road, from a command line to a real guest and its exit status back, as a person walks it."""

import ctypes
import hashlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.environ['BANGER_SOURCE'] + '/tests/contract')
import tap  # noqa: E402

TRY = [os.environ['BANGER_SOURCE'] + '/tools/try', '-y']
if os.environ.get('BANGER_TRY_CACHE'):
    TRY += ['--cache', os.environ['BANGER_TRY_CACHE']]
PR_SET_CHILD_SUBREAPER = 36

DENY = """\
polkit.addRule(function(action, subject) {
    if (action.id == "org.banger.helper.launch-vmm")
        return polkit.Result.NO;
});
"""
# What the administrator wrote is there before polkit is started.
DENIED_RUN = """\
cat > /etc/polkit-1/rules.d/10-deny.rules || exit 1
exec su - dev -c 'banger vm run --rm -- true' </dev/null
"""
TWO_EXECS = """\
set -e
banger vm run -d --name road >&2
banger vm exec road -- cat /proc/sys/kernel/random/boot_id
banger vm exec road -- cat /proc/sys/kernel/random/boot_id
banger vm delete -f road >&2
"""


def run(*arguments, text=None):
    return subprocess.run([*TRY, *arguments], input=text or '',
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}, cwd='/', text=True, check=False)


def wait_for_every_child():
    """Orphans become ours, so a process left behind by anybody makes this wait for ever."""
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def read(path):
    return pathlib.Path(path).read_text(encoding='utf-8')


def host_state():
    loops = [str(p) for p in pathlib.Path('/sys/block').glob('loop*/loop/backing_file')]
    return {
        'mounts': sorted(line.split()[4] for line in read('/proc/self/mountinfo').splitlines()),
        'interfaces': sorted(os.listdir('/sys/class/net')),
        'loops': sorted(loops),
        'run': sorted(os.listdir('/run')),
        'shm': sorted(os.listdir('/dev/shm')),
        'users': read('/etc/passwd') + read('/etc/group'),
    }


class Road(unittest.TestCase):
    def setUp(self):
        self.before = host_state()

    def tearDown(self):
        wait_for_every_child()
        self.assertEqual(host_state(), self.before)

    def test_uname_when_run_then_linux_answers(self):
        done = run('--', 'uname', '-a')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r'\ALinux [^\n]+\n\Z')

    def test_exit_status_when_command_exits_42_then_42(self):
        done = run('--', 'sh', '-c', 'exit 42')
        self.assertEqual(done.returncode, 42, done.stderr)

    def test_nonce_when_piped_in_then_guest_hashes_it(self):
        nonce = os.urandom(16).hex()
        done = run('--', 'sha256sum', text=nonce)
        self.assertEqual(done.stdout, hashlib.sha256(nonce.encode()).hexdigest() + '  -\n', done.stderr)

    def test_boot_id_when_asked_twice_then_one_guest_and_not_the_host(self):
        done = run('--enter', '--', 'sh', '-c', TWO_EXECS)
        self.assertEqual(done.returncode, 0, done.stderr)
        ids = re.findall(r'^[0-9a-f-]{36}$', done.stdout, re.M)
        self.assertEqual(len(ids), 2, done.stdout)
        self.assertEqual(ids[0], ids[1])
        self.assertNotEqual(ids[0], read('/proc/sys/kernel/random/boot_id').strip())

    def test_bus_when_used_without_the_command_line_then_it_drives_a_vm(self):
        program = pathlib.Path(__file__).with_name('drive_vm.py').read_text(encoding='utf-8')
        done = run('--enter', '--', '/usr/bin/python3', '-c', program)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines(), [
            "uname (0, 0, 'Linux\\n')", "status (42, 0, '')", "write (0, 0, '')", "read (0, 0, 'kept\\n')", 'left []'])

    def test_rule_when_it_denies_launching_then_125_names_the_action(self):
        done = run('--enter', '--root', '--', 'sh', '-c', DENIED_RUN, text=DENY)
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertIn('org.banger.helper.launch-vmm', done.stderr)

    def test_kill_when_outer_process_dies_then_nothing_is_left(self):
        with subprocess.Popen([*TRY, '--', 'sh', '-c', 'echo up; exec sleep 1000'], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, cwd='/') as process:
            self.assertEqual(process.stdout.readline().strip(), b'up')
            process.send_signal(signal.SIGKILL)


if __name__ == '__main__':
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    tap.main()
