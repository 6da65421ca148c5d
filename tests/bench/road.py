# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the time goes between a guest's first process and the reply about its command, where guests are emulated.

Runs in the world of tools/try, as the user who has image and kernel: tools/bench road [--json] [--rounds N].

after_ms     from the guest's first process to the reply, as tools/bench start has it
busy         processors that the VMM used meanwhile, as a share of those that its guest has
blocks       pieces of the guest's code that the emulator translated for it, each of them for the first time
block_us     processor time of the VMM for each
host_ms      processor time of bangerd for the whole start
again_ms     the same command once more in the same guest, from banger's call to its exit
steps        milliseconds since the first process, by the guest's own log: the drivers have found the disks, the disks
             are mounted, the command runs

Medians of rounds. What is the VMM's is counted until banger's end, less what it takes to the first process, which
the bare machine of tools/bench start shows.
"""

import argparse
import glob
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from gi.repository import Gio, GLib
from start import Bare, Log, banger, run_stamped, vmm_arguments

HELPER = 'org.banger.Helper'
STEPS = {'disks': r'virtio_blk \S+ \[vd', 'mounted': r'EXT4-fs \(vd\w+\): mounted', 'command': r'bench-road: here'}
FIRST = r'Run /init as init process'


def count_blocks(control):
    """Asks the VMM at the other end of `control`."""
    with control, control.makefile('rw') as file:
        file.readline()
        for command in ('qmp_capabilities', 'x-query-jit'):
            print(json.dumps({'execute': command}), file=file, flush=True)
            answer = {}
            while not answer.keys() & {'return', 'error'}:
                answer = json.loads(file.readline())
    if 'error' in answer:
        raise SystemExit('bench: this host\'s guests are not emulated; nothing of theirs is translated')
    return int(re.search(r'TB count +(\d+)', answer['return']['human-readable-text'])[1])


def ask_blocks(daemon, vm):
    """By a connection of our own in the place of bangerd's, which would want it back and is halted meanwhile. All of
    them end with ours to the bus."""
    bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)
    os.kill(daemon, signal.SIGSTOP)
    try:
        _, fds = bus.call_with_unix_fd_list_sync(HELPER, '/org/banger/Helper', HELPER, 'OpenVmm',
                                                 GLib.Variant('(ss)', (vm, '')), None, 0, -1, None, None)
        control = socket.socket(fileno=fds.get(0))
        control.setblocking(True)
        return count_blocks(control)
    finally:
        os.kill(daemon, signal.SIGCONT)


def processor_ms(pid):
    """Of all its threads, by the scheduler's own count."""
    times = []
    for path in glob.glob(f'/proc/{pid}/task/*/schedstat'):
        with open(path, encoding='ascii') as file:
            times.append(int(file.read().split()[0]))
    return sum(times) / 1e6


def find(program):
    for path in glob.glob('/proc/[0-9]*/cmdline'):
        with open(path, encoding='utf-8', errors='replace') as file:
            if os.path.basename(file.read().split('\0')[0]).startswith(program):
                return path.split('/')[2]
    raise SystemExit(f'bench: no {program} is running')


def measure_bare(bare):
    """What the VMM has used, and has translated, when the guest's first process is there. It stays when the guest has
    powered off, and tells."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f'{directory}/control')
        listener.listen()
        words = [*bare.words, '-no-shutdown', '-qmp', f'unix:{directory}/control']
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pass_fds=bare.fds) as vmm:
            control, _ = listener.accept()
            vmm.stdout.readline()
            used, blocks = processor_ms(vmm.pid), count_blocks(control)
            vmm.kill()
    return used, blocks


def run_steps():
    """Of the guest's own log."""
    text = banger('vm', 'run', '--rm', '--', 'sh', '-c', 'echo bench-road: here >/dev/kmsg; dmesg').decode()
    stamps = re.findall(r'\[ *([0-9.]+)\] (.*)', text)
    first, *_ = [float(stamp) for stamp, line in stamps if re.search(FIRST, line)]
    return {name: max(float(stamp) for stamp, line in stamps if re.search(pattern, line)) * 1000 - first * 1000
            for name, pattern in STEPS.items()}


def run_counted(log, bare):
    """One start whose guest does nothing but what it is told to, so that all that is counted is the start's."""
    daemon = int(find('bangerd'))
    host = processor_ms(daemon)
    at = run_stamped(log, '--name', 'bench', '--init', 'none')
    used, counted = processor_ms(find('qemu-system-')), time.monotonic() * 1000
    host = processor_ms(daemon) - host
    begin = time.monotonic()
    banger('vm', 'exec', 'bench', '--', 'true')
    again = (time.monotonic() - begin) * 1000
    vm, = [vm['id'] for vm in json.loads(banger('vm', 'list', '--json')) if vm['name'] == 'bench']
    blocks = ask_blocks(daemon, vm)
    banger('vm', 'delete', '-f', 'bench')
    bare_used, bare_blocks = measure_bare(bare)
    return {'after_ms': at['exec-reply'] - at['first-process'], 'counted_ms': counted - at['first-process'],
            'vmm_ms': used - bare_used, 'blocks': blocks - bare_blocks, 'host_ms': host, 'again_ms': again}


def measure(rounds):
    words = vmm_arguments()
    bare, log = Bare(words), Log()
    processors = int(words[words.index('-smp') + 1].split(',')[0])
    times = {}
    run_counted(log, bare)
    for number in range(rounds):
        result = {**run_counted(log, bare), **run_steps()}
        for name, value in result.items():
            times.setdefault(name, []).append(value)
        print(f'{number + 1}/{rounds}', *(f'{name}={value:.0f}' for name, value in result.items()), file=sys.stderr)
    middle = {name: statistics.median(values) for name, values in times.items()}
    used = middle['vmm_ms']
    steps = {name: round(middle.pop(name)) for name in STEPS}
    return {'after_ms': round(middle['after_ms'], 1), 'busy': round(used / middle['counted_ms'] / processors, 2),
            'blocks': round(middle['blocks']), 'block_us': round(used * 1000 / middle['blocks'], 1),
            'host_ms': round(middle['host_ms'], 1), 'again_ms': round(middle['again_ms'], 1), 'steps': steps}


def main():
    parser = argparse.ArgumentParser(prog='tools/bench road', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--json', action='store_true', help='one object on standard output')
    parser.add_argument('--rounds', type=int, default=5, metavar='N', help='how often each is run (default: 5)')
    options = parser.parse_args()
    result = measure(options.rounds)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f'{name:12} {value}')


if __name__ == '__main__':
    main()
