# SPDX-License-Identifier: LGPL-2.1-or-later
"""The judge of traces, judged: each bad trace must be found bad, and for its own reason."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'contract'))
import tap  # noqa: E402
import traces  # noqa: E402

OURS, OWN, OTHERS = '/banger', ('"/usr/bin/banger"',), ('"/usr/bin/qemu-system-x86_64"',)
GOOD = """\
10 1.000000 execve("/usr/bin/banger", ["banger"], 0x7ffd /* 2 vars */) = 0
15 1.000001 execve("/usr/bin/qemu-system-x86_64", ["qemu", "-M"], 0x7ffd /* 2 vars */) = 0
15 1.000001 clone3({flags=CLONE_VM|CLONE_THREAD}, 88) = 3 /* 16 in strace's PID NS */
16 1.000001 clone3({flags=CLONE_VM|CLONE_THREAD}, 88) = 17
16 1.000001 poll([{fd=3, events=POLLIN}], 1, 10) = 0 (Timeout)
10 1.000002 openat(AT_FDCWD, "/etc/banger/helper.conf", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)
10 1.000003 poll([{fd=3, events=POLLIN}], 1, 0) = 0 (Timeout)
10 1.000004 epoll_wait(4, [], 8, 0) = 0
10 1.000005 poll([{fd=3, events=POLLIN}], 1, 5000) = 1 ([{fd=3, revents=POLLIN}])
10 1.000006 ppoll([{fd=3, events=POLLIN}], 1, NULL, NULL, 8) = 1 ([{fd=3, revents=POLLIN}])
10 1.000007 timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC) = 9
10 1.000008 read(9, 0x7ffd, 8) = -1 EAGAIN (Resource temporarily unavailable)
10 1.000009 read(8, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8
11 1.000010 connect(5, {sa_family=AF_UNIX, sun_path="/run/other"}, 110 <unfinished ...>
10 1.000011 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED} ---
11 1.000012 <... connect resumed>) = -1 ENOENT (No such file or directory)
11 1.000013 connect(5, {sa_family=AF_UNIX, sun_path="/run/other"}, 110) = 0
11 1.000014 +++ exited with 0 +++
"""
# What is added to the good one, and the offence that it must be called.
BAD = {
    'sleeps': ('12 2.0 clock_nanosleep(CLOCK_REALTIME, 0, {tv_sec=0, tv_nsec=1000}, NULL) = 0', 'a sleep'),
    'old_sleep': ('12 2.0 nanosleep({tv_sec=1, tv_nsec=0}, NULL) = 0', 'a sleep'),
    'poll_expires': ('12 2.0 poll([{fd=3, events=POLLIN}], 1, 10) = 0 (Timeout)', 'a timer fired'),
    'ppoll_expires': ('12 2.0 ppoll([{fd=3, events=POLLIN}], 1, {tv_sec=0, tv_nsec=5000}, NULL, 8) = 0 (Timeout)',
                      'a timer fired'),
    'epoll_expires': ('12 2.0 epoll_wait(4, [], 8, 25) = 0', 'a timer fired'),
    'epoll_pwait_expires': ('12 2.0 epoll_pwait(4, [], 8, 25, NULL, 8) = 0', 'a timer fired'),
    'select_expires': ('12 2.0 select(4, [3], NULL, NULL, {tv_sec=0, tv_usec=10}) = 0 (Timeout)', 'a timer fired'),
    'timerfd_fires': ('10 2.0 read(9, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8', 'a timer fired'),
    'alarm': ('12 2.0 --- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---', 'a timer fired'),
    'cut_wait': ('12 2.0 poll([{fd=3, events=POLLIN}], 1, 10 <unfinished ...>\n'
                 '12 2.1 <... poll resumed>) = 0 (Timeout)', 'a timer fired'),
    'second_try': ('12 2.0 connect(5, {sa_family=AF_UNIX, sun_path="/run/banger-jail/socket"}, 110)'
                   ' = -1 ENOENT (No such file or directory)\n'
                   '12 2.1 connect(5, {sa_family=AF_UNIX, sun_path="/run/banger-jail/socket"}, 110) = 0',
                   'a second try'),
    'second_try_of_another': ('13 2.0 openat(AT_FDCWD, "/run/banger-jail/x", O_RDONLY) = -1 ENOENT (No such file)\n'
                              '14 2.1 openat(AT_FDCWD, "/run/banger-jail/x", O_RDONLY) = 3', 'a second try'),
    'child_fails': ('12 2.0 execve("/usr/bin/qemu-system-x86_64", ["qemu"], 0x7ffd) = -1 ENOENT (No such file)\n'
                    '12 2.1 nanosleep({tv_sec=1, tv_nsec=0}, NULL) = 0', 'a sleep'),
    'child': ('12 2.0 execve("/bin/sh", ["sh", "-c", "true"], 0x7ffd /* 2 vars */) = 0', 'a child'),
}


def judge(text):
    return traces.violations(traces.read(text.splitlines()), OURS, OWN, OTHERS)


class Judge(unittest.TestCase):
    def test_trace_when_good_then_nothing_is_found(self):
        self.assertEqual(judge(GOOD), [])

    def test_line_when_unknown_then_nothing_is_said(self):
        for line in 'nonsense', '12 2.0 what is this', '12 2.0 write(1, "x"':
            with self.assertRaises(traces.Unreadable):
                judge(GOOD + line)


def add_bad(name, text, offence):
    def test(self):
        found = judge(GOOD + text)
        self.assertEqual(len(found), 1, found)
        self.assertIn(offence + ':', found[0])
    setattr(Judge, f'test_trace_when_{name}_then_found', test)


for bad_name, (bad_text, bad_offence) in BAD.items():
    add_bad(bad_name, bad_text, bad_offence)

if __name__ == '__main__':
    tap.main()
