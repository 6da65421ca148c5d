# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a command as the first process of new namespaces and of a new control group; nothing of it outlives us.

Namespaces end with their last process, a control group does not: so a keeper stands beside us. Whoever of us two is
killed, the other ends what runs and removes the group.
"""

import os
import pathlib
import select
import signal

# The kernel ends such a command with the keeper, and everything that it started with it.
ENTER = ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--', '/usr/bin/unshare', '--mount', '--net', '--pid', '--ipc',
         '--uts', '--cgroup', '--fork', '--kill-child', '--mount-proc', '--']


def make_group():
    """Below our own group of the unified hierarchy, wherever that is mounted."""
    with open('/proc/self/mountinfo', encoding='utf-8') as file:
        mounts = [line.split()[4] for line in file if line.partition(' - ')[2].startswith('cgroup2 ')]
    with open('/proc/self/cgroup', encoding='utf-8') as file:
        own = next(line.strip()[3:] for line in file if line.startswith('0::'))
    group = pathlib.Path(mounts[0] + own, f'banger-host-{os.getpid()}')
    group.mkdir()
    return group


def end_group(group):
    """Returns when all its processes are gone, and the group with them."""
    if not group.exists():
        return
    events = os.open(group / 'cgroup.events', os.O_RDONLY | os.O_CLOEXEC)
    changed = select.poll()
    changed.register(events, select.POLLPRI)
    (group / 'cgroup.kill').write_text('1', encoding='utf-8')
    while b'populated 1' in os.pread(events, 4096, 0):
        changed.poll()
    os.close(events)
    for directory, _, _ in os.walk(group, topdown=False):
        os.rmdir(directory)


def start(argv, group):
    pid = os.fork()
    if pid == 0:
        # Before the namespace of groups is made: this one is its root.
        (group / 'cgroup.procs').write_text('0', encoding='utf-8')
        os.execv(ENTER[0], [*ENTER, *argv])
    return pid


def keep(argv, group, caller):
    """In a session of its own: what is sent to the caller's process group does not end it."""
    os.setsid()
    pid = start(argv, group)
    ended = os.pidfd_open(pid)
    ready, _, _ = select.select([caller, ended], [], [])
    if ended not in ready:
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    end_group(group)
    os._exit(status if status >= 0 else 128 - status)


def run(argv):
    """Its exit status; 128 and the signal's number where one ended it."""
    group = make_group()
    caller, ours = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        os.close(ours)
        keep(argv, group, caller)
    status = os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1])
    end_group(group)
    return status if status >= 0 else 128 - status
