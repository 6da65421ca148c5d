# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests use that run as root in the world of tools/try: its users, their commands, and what runs there."""

import fcntl
import json
import os
import pathlib
import pty
import pwd
import signal
import struct
import subprocess
import sys
import termios

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', '..', 'contract'))
import tap  # noqa: E402, F401

TOOLS = '/usr/src/tools'
LEDGER = pathlib.Path('/run/banger-helper')
JAILS = pathlib.Path('/run/banger-jail')


class User:
    def __init__(self, name):
        entry = pwd.getpwnam(name)
        self.name, self.uid, self.home = name, entry.pw_uid, entry.pw_dir
        self.identity = {'user': entry.pw_uid, 'group': entry.pw_gid,
                         'extra_groups': os.getgrouplist(name, entry.pw_gid)}
        runtime = f'/run/user/{self.uid}'
        self.environment = {'HOME': self.home, 'USER': name, 'LOGNAME': name, 'PATH': '/usr/bin:/bin', 'TERM': 'xterm',
                            'LANG': 'C.UTF-8', 'XDG_RUNTIME_DIR': runtime,
                            'DBUS_SESSION_BUS_ADDRESS': f'unix:path={runtime}/bus'}

    def start(self, *argv, **options):
        settings = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE,
                    'env': self.environment, 'cwd': self.home, **self.identity, **options}
        return subprocess.Popen(argv, **settings)

    def run(self, *argv, data=None, **options):
        """A completed process, with text in it. `data`: bytes for standard input."""
        if data is not None:
            options['stdin'] = subprocess.PIPE
        with self.start(*argv, **options) as process:
            out, err = process.communicate(data)
        return subprocess.CompletedProcess(argv, process.returncode, (out or b'').decode(errors='replace'),
                                           (err or b'').decode(errors='replace'))

    def banger(self, *arguments, **options):
        return self.run('banger', *arguments, **options)

    def must(self, *arguments, **options):
        """What a command that has to succeed prints."""
        done = self.banger(*arguments, **options)
        if done.returncode != 0:
            raise AssertionError(f'banger {" ".join(arguments)}: {done.returncode}: {done.stderr}')
        return done.stdout

    def execute(self, vm, *argv, **options):
        return self.must('vm', 'exec', vm, '--', *argv, **options)

    def show(self, vm):
        return json.loads(self.must('--json', 'vm', 'show', vm))

    def vms(self):
        return [row['name'] for row in json.loads(self.must('--json', 'vm', 'list'))]

    def pid_of(self, program):
        """Of this user's process of that name."""
        return next(pid for pid, name, uid in processes() if name == program and uid == self.uid)


def processes():
    """(pid, name, uid) of all in this world."""
    for entry in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            status = dict(line.split(':\t', 1) for line in (entry / 'status').read_text().splitlines() if ':\t' in line)
            yield int(entry.name), status['Name'], int(status['Uid'].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue


def names():
    return [name for _, name, _ in processes()]


def kill(pid):
    """As an accident would; returns when it is gone."""
    fd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    wait_gone(fd)


def wait_gone(pidfd):
    import select
    select.select([pidfd], [], [])
    os.close(pidfd)


class Terminal:
    """A command on a terminal of its own, of which we are the person."""

    def __init__(self, user, *argv, rows=24, columns=80):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.seen = b''
        os.fchmod(slave, 0o666)
        self.process = user.start(*argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                  preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def type(self, data):
        os.write(self.master, data)

    def read(self):
        try:
            return os.read(self.master, 65536)
        except OSError:
            return b''

    def wait_for(self, text):
        """Everything up to `text`, from where the last one ended."""
        while text not in self.seen:
            data = self.read()
            if not data:
                raise AssertionError(f'{text!r} never came: {self.seen[-2000:]!r}')
            self.seen += data
        at = self.seen.index(text) + len(text)
        before, self.seen = self.seen[:at], self.seen[at:]
        return before

    def end(self):
        """Its exit status; everything else it wrote is in `seen`."""
        while data := self.read():
            self.seen += data
        os.close(self.master)
        return self.process.wait()
