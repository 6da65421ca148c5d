# SPDX-License-Identifier: LGPL-2.1-or-later
"""What must not be in a trace of banger's own processes while somebody waits: no sleep, no timer that fires, no path of
ours tried a second time after it had failed, no child but those we know.

Reads what `strace -f -ttt` wrote, one line per call and calls that were interrupted by others' in two halves:

    PID TIME CALL(ARGUMENTS) = RESULT
    PID TIME CALL(ARGUMENTS <unfinished ...>
    PID TIME <... CALL resumed>ARGUMENTS) = RESULT
"""

import collections
import re

LINE = re.compile(r'(?P<pid>\d+)\s+(?P<time>\d+\.\d+)\s+(?P<rest>.*)')
CALL = re.compile(r'(?P<name>\w+)\((?P<arguments>.*)\)\s+= (?P<result>.*)')
HALF = re.compile(r'(?P<name>\w+)\((?P<arguments>.*)<unfinished \.\.\.>')
REST = re.compile(r'<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)\)\s+= (?P<result>.*)')
QUOTED = re.compile(r'@?"((?:[^"\\]|\\.)*)"')

SLEEPS = ('nanosleep', 'clock_nanosleep', 'pause')
# Calls that wait, and which of their arguments says how long: counted from the end, in what unit does not matter.
WAITS = {'poll': -1, 'epoll_wait': -1, 'epoll_pwait': -3, 'ppoll': -3, 'pselect6': -2, 'select': -1,
         'epoll_pwait2': -3, 'rt_sigtimedwait': -2}
FORKS = ('clone', 'clone3', 'fork', 'vfork')
ALARMS = ('SIGALRM', 'SIGVTALRM', 'SIGPROF')
LOOKS = ('open', 'openat', 'openat2', 'connect', 'access', 'faccessat', 'faccessat2', 'stat', 'lstat', 'newfstatat',
         'statx', 'readlink', 'execve')
# What says "not yet": whoever asks again after one of these waits by trying.
NOT_YET = ('ENOENT', 'ECONNREFUSED', 'EAGAIN', 'EBUSY', 'ETXTBSY')
EXPIRED = re.compile(r'0 \(Timeout\)|-1 EAGAIN')
NO_TIME = re.compile(r'^(0|NULL|\{tv_sec=0, tv_u?n?sec=0\})$')

Call = collections.namedtuple('Call', 'pid time name arguments result')


class Unreadable(Exception):
    """A line that this reader does not know: nothing can be said of such a trace."""


def read(lines):
    """The calls and signals of a trace, in order of their end."""
    halves = {}
    for line in lines:
        found = LINE.match(line)
        if not found:
            raise Unreadable(line)
        pid, time, rest = found['pid'], float(found['time']), found['rest']
        if rest.startswith('+++'):
            continue
        if rest.startswith('---'):
            yield Call(pid, time, 'signal', rest.split()[1], '')
        elif half := HALF.fullmatch(rest):
            halves[pid] = half
        elif again := REST.fullmatch(rest):
            half = halves.pop(pid, None)
            yield Call(pid, time, again['name'], (half['arguments'] if half else '') + again['arguments'],
                       again['result'])
        elif call := CALL.fullmatch(rest):
            yield Call(pid, time, call['name'], call['arguments'], call['result'])
        elif 'detached' not in rest:
            raise Unreadable(line)


def split(arguments):
    """At the commas outside of brackets and strings."""
    parts, depth, start, quoted = [], 0, 0, False
    for at, letter in enumerate(arguments):
        if letter == '"' and arguments[at - 1:at] != '\\':
            quoted = not quoted
        elif not quoted and letter in '([{':
            depth += 1
        elif not quoted and letter in ')]}':
            depth -= 1
        elif not quoted and letter == ',' and depth == 0:
            parts.append(arguments[start:at].strip())
            start = at + 1
    return [*parts, arguments[start:].strip()]


def expired(call):
    """Whether it waited for a time, and that ran out."""
    if call.name not in WAITS or not (EXPIRED.match(call.result) or call.result == '0'):
        return False
    arguments = split(call.arguments)
    limit = arguments[WAITS[call.name]] if len(arguments) >= -WAITS[call.name] else ''
    # A look without waiting, or one that waits until something comes.
    return not NO_TIME.match(limit.split(' => ')[0]) and limit != '-1'


class Timers:
    """Which descriptors are timers: a read of one that brings something is one that fired."""

    def __init__(self):
        self.numbers = set()

    def fired(self, call):
        key = (call.pid, call.arguments.split(',')[0].strip())
        if call.name == 'timerfd_create':
            self.numbers.add((call.pid, call.result.split()[0]))
        elif call.name == 'close':
            self.numbers.discard(key)
        return call.name == 'read' and key in self.numbers and call.result.startswith('8')


def look_key(call):
    found = QUOTED.search(call.arguments)
    return (call.name, found[1]) if found else None


class Strangers:
    """Who has become another's program that may be run, above all the VMM, and who comes from them."""

    def __init__(self, programs):
        self.programs, self.pids = programs, set()

    def note(self, call):
        """Whether it is one of theirs."""
        known = call.pid in self.pids
        if call.name == 'execve' and call.result == '0' and any(program in call.arguments for program in self.programs):
            self.pids.add(call.pid)
        elif known and call.name in FORKS and not call.result.startswith('-'):
            # In a pid namespace of its own it is told another number than ours.
            ours = re.search(r'/\* (\d+) in strace', call.result)
            self.pids.add(ours[1] if ours else call.result.split()[0])
        return known


def violations(calls, ours, own, others):
    """One line per offence. `ours`: what a path of banger's own looks like; `own`, `others`: programs that may be run,
    banger's and those whose doings do not count."""
    failed, timers, strangers, found = set(), Timers(), Strangers(others), []

    def offend(call, what):
        found.append(f'{call.time:.6f} {call.pid} {what}: {call.name}({call.arguments}) = {call.result}')

    for call in calls:
        if strangers.note(call):
            continue
        if call.name in SLEEPS:
            offend(call, 'a sleep')
        elif expired(call) or timers.fired(call) or (call.name == 'signal' and call.arguments in ALARMS):
            offend(call, 'a timer fired')
        elif call.name in ('execve', 'execveat') and not any(word in call.arguments for word in (*own, *others)):
            offend(call, 'a child')
        if call.name in LOOKS and (key := look_key(call)) and re.search(ours, key[1]):
            if key in failed:
                offend(call, 'a second try')
            if call.result.startswith('-1') and call.result.split()[1] in NOT_YET:
                failed.add(key)
    return found
