# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `banger vm run --rm -- true` costs beside starting the same machine with nothing around it.

Runs in the world of tools/try, as the user who has image and kernel: tools/bench start [--json] [--pairs N].

bare_ms      the same VMM with the same machine, kernel and initramfs, whose /init marks and powers off
run_ms       `banger vm run --rm -- true`, from the call to its exit
before_ms    from the call to the VMM's start
after_ms     from the guest's first process to the reply about the command
share        (run - bare) / bare
share_road   (before + after) / bare
q35_ms       as bare, with the plain q35 machine and kernel line

Medians of interleaved pairs, by the monotonic clock. The parts inside are from the stamps that bangerd writes for each
operation, and the guest's own count since its first process.
"""

import argparse
import glob
import json
import os
import re
import statistics
import subprocess
import sys
import time

LOG = '/run/banger-stack/dev.log'
AGENT, INIT = '/usr/libexec/banger-vsock-agent', '/usr/src/banger-trial/bench-init'
MARK = b'bench-init: here'
TARGETS = {'share': 0.25, 'share_road': 0.12}
Q35_EVERY = 4
# What a machine has around it in the product, with its number of words: the bare one talks to nobody and has no disk.
SURROUNDINGS = {'-chardev': 2, '-mon': 2, '-serial': 2, '-add-fd': 2, '-blockdev': 2}
SURROUNDING_DEVICES = ('virtserialport', 'virtio-blk')


def banger(*arguments):
    return subprocess.run(['banger', *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout


def vmm_arguments():
    """Of a machine as the product starts it."""
    banger('vm', 'run', '-d', '--name', 'bench')
    try:
        for path in glob.glob('/proc/[0-9]*/cmdline'):
            with open(path, 'rb') as file:
                words = file.read().decode().split('\0')[:-1]
            if words and '/qemu-system-' in words[0]:
                return words
    finally:
        banger('vm', 'delete', '-f', 'bench')
    raise SystemExit('bench: no VMM is running')


def padded(data):
    return data + b'\0' * (-len(data) % 4)


def cpio_entry(name, mode, data):
    """One member of a "newc" archive, as the kernel unpacks it (Documentation/driver-api/early-userspace/
    buffer-format.rst)."""
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    header = b'070701' + b''.join(b'%08X' % field for field in fields)
    return padded(header + name + b'\0') + padded(data)


def with_init(archive, path):
    """The kernel unpacks archives one behind the other, and the last /init wins."""
    with open(path, 'rb') as file:
        init = file.read()
    return padded(archive) + cpio_entry(b'init', 0o100755, init) + cpio_entry(b'TRAILER!!!', 0, b'')


def bare_initramfs(kernels):
    """What the product boots, its agent included, and then ours in the agent's place: all the rest costs the same."""
    return with_init(with_init(kernels, AGENT), INIT)


def memory_file(name, data):
    fd = os.memfd_create(name)
    os.write(fd, data)
    os.set_inheritable(fd, True)
    return fd


def without_surroundings(words):
    kept, i = [], 0
    while i < len(words):
        if words[i] == '-device' and words[i + 1].startswith(SURROUNDING_DEVICES):
            i += 2
        elif words[i] in SURROUNDINGS:
            i += SURROUNDINGS[words[i]]
        else:
            kept.append(words[i])
            i += 1
    return kept


def replaced(words, option, value):
    at = words.index(option) + 1
    return [*words[:at], value, *words[at + 1:]]


class Bare:
    """The machine alone. Its console is what we read the mark from."""

    def __init__(self, words):
        with open(*glob.glob(os.path.expanduser('~/.local/share/banger/kernel/*/initramfs')), 'rb') as file:
            initramfs = memory_file('initramfs', bare_initramfs(file.read()))
        with open(*glob.glob(os.path.expanduser('~/.local/share/banger/kernel/*/vmlinux')), 'rb') as file:
            kernel = memory_file('kernel', file.read())
        self.fds = [kernel, initramfs]
        words = replaced(without_surroundings(words), '-kernel', f'/proc/self/fd/{kernel}')
        words = replaced(words, '-initrd', f'/proc/self/fd/{initramfs}')
        self.words = [*words, '-serial', 'stdio']
        self.plain = replaced([word for word in self.words if word != '-no-acpi'], '-M', 'q35')
        self.plain = replaced(self.plain, '-append', 'console=ttyS0 quiet')
        # Devices of the microvm machine do not exist on the other's bus.
        self.plain = [re.sub(r'^(virtio-\w+)-device\b', r'\1-pci', word) for word in self.plain]

    def run(self, words):
        begin = time.monotonic()
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pass_fds=self.fds, check=True)
        end = time.monotonic()
        if MARK not in done.stdout:
            raise SystemExit(f'bench: the bare machine did not get to its /init: {done.stdout[-500:]}')
        return (end - begin) * 1000


class Log:
    """What bangerd has written since the last look."""

    def __init__(self):
        self.file = open(LOG, encoding='utf-8', errors='replace')
        self.stages()

    def stages(self):
        """stage → the fields of its line, of the operation that launched a VMM."""
        lines = [dict(re.findall(r'(\w+)=(\S+)', line)) for line in self.file if 'mono_us=' in line]
        launched = [line['op'] for line in lines if line.get('stage') == 'launched']
        return {line['stage']: line for line in lines if line['op'] == launched[-1]} if launched else {}


def run_stamped(log, *options):
    """When what happened, in milliseconds of the monotonic clock."""
    # By names that no stage of bangerd's has.
    at = {'call': time.monotonic() * 1000}
    banger('vm', 'run', *options, '--', 'true')
    at['return'] = time.monotonic() * 1000
    stages = log.stages()
    missing = {'launched', 'hello', 'exec-reply'} - stages.keys()
    if missing:
        raise SystemExit(f'bench: bangerd wrote no stamp for {", ".join(sorted(missing))}')
    at.update((stage, int(fields['mono_us']) / 1000) for stage, fields in stages.items())
    at['first-process'] = at['hello'] - int(stages['hello']['guest_us']) / 1000
    return at


def run_once(log):
    at = run_stamped(log, '--rm')
    return {'run_ms': at['return'] - at['call'], 'before_ms': at['launched'] - at['call'],
            'after_ms': at['exec-reply'] - at['first-process']}


def measure(pairs):
    bare, log = Bare(vmm_arguments()), Log()
    times = {}
    # The first run finds nothing in memory, and measures the host's accelerator.
    bare.run(bare.words)
    run_once(log)
    for number in range(pairs):
        rounds = [('bare_ms', bare.run(bare.words)), *run_once(log).items()]
        if number % Q35_EVERY == 0:
            rounds.append(('q35_ms', bare.run(bare.plain)))
        for name, value in rounds:
            times.setdefault(name, []).append(value)
        print(f'{number + 1}/{pairs}', *(f'{name}={value:.0f}' for name, value in rounds), file=sys.stderr)
    return {name: round(statistics.median(values), 1) for name, values in times.items()}


def main():
    parser = argparse.ArgumentParser(prog='tools/bench start', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--json', action='store_true', help='one object on standard output')
    parser.add_argument('--pairs', type=int, default=20, metavar='N', help='how often each is run (default: 20)')
    options = parser.parse_args()
    result = measure(options.pairs)
    result['share'] = round((result['run_ms'] - result['bare_ms']) / result['bare_ms'], 3)
    result['share_road'] = round((result['before_ms'] + result['after_ms']) / result['bare_ms'], 3)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        target = f'  (target: at most {TARGETS[name]})' if name in TARGETS else ''
        print(f'{name:12} {value:10}{target}')


if __name__ == '__main__':
    main()
