# SPDX-License-Identifier: LGPL-2.1-or-later
"""How fast a Debian root becomes an image, beside the usual way: tar -x, mke2fs -d and a sync.

Runs in the world of tools/try, as its user, with home and images on the disk: tools/bench image [--json] [--rounds N].

ours_ms      `banger image import FILE`, from the call to its exit: read, hashed, written, synced, published
tar_ms       `tar -x` and `mke2fs -d`, the image synced at the end
read_ms      reading the archive alone
peak_kib     the most memory that banger-image-writer takes for this archive, and what bangerd has grown by (its
             high-water mark after all rounds, less what it had before them)
ratio        tar_ms / ours_ms

The archive is a Debian root that mmdebstrap made, over 300 MB and in memory when the clock starts. The usual way needs
root's rights: it has those of a user namespace with the user's subordinate ids, so owners and attributes are kept in
full, and leaves out device nodes, which no namespace can make. Medians of interleaved rounds.
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

ARCHIVE = '/usr/src/banger-root/root.tar'
WRITER = '/usr/libexec/banger-image-writer'
HOME = os.path.expanduser('~')
TREES, IMAGE = os.path.join(HOME, 'trees'), os.path.join(HOME, 'image')
# As root of a namespace; files of many owners can only be removed there, too.
AS_ROOT = ['unshare', '--map-root-user', '--map-auto']
TARGETS = {'ratio': ('at least', 4), 'peak_kib': ('at most', 32 * 1024)}
ARCHIVE_MIN = 300 * 1000 * 1000


def run(*words):
    subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


def timed(function):
    begin = time.monotonic()
    function()
    return (time.monotonic() - begin) * 1000


def read():
    buffer = bytearray(1 << 20)
    with open(ARCHIVE, 'rb', buffering=0) as source:
        while source.readinto(buffer):
            pass


def ours():
    run('banger', 'image', 'import', '--name', 'bench', ARCHIVE)


def usual(tree):
    run(*AS_ROOT, 'tar', '-x', '-p', '--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner', '--exclude=./dev/*',
        '-f', ARCHIVE, '-C', tree)
    size = os.stat(ARCHIVE).st_size * 3 // 2 // 1024
    run(*AS_ROOT, '/usr/sbin/mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal', '-d', tree, IMAGE, f'{size}k')
    run('sync', IMAGE)


def settle():
    """What one round wrote must not be written out during the next."""
    os.sync()


def make_trees():
    """ext4 takes no inode that was freed within the last minutes, and looks at each of them to find that out
    (recently_deleted() in fs/ext4/ialloc.c): tar -x takes five times as long where a tree was just removed. So trees
    stay until the end, and each begins in another part of the disk."""
    os.mkdir(TREES)
    subprocess.run(['chattr', '+T', TREES], stderr=subprocess.DEVNULL, check=False)  # other filesystems have no such


def one_round():
    tree = os.path.join(TREES, os.urandom(8).hex())  # the part of the disk follows from the name
    os.mkdir(tree)
    settle()
    times = {'read_ms': timed(read), 'ours_ms': timed(ours)}
    run('banger', 'image', 'delete', '-f', 'bench')
    settle()
    times['tar_ms'] = timed(lambda: usual(tree))
    os.unlink(IMAGE)
    return times


def writer_peak():
    """Alone, since only a parent is told exactly: the kernel counts, nobody looks in between."""
    source = os.open(ARCHIVE, os.O_RDONLY)
    image = os.open(IMAGE, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    process = subprocess.Popen([WRITER, '--input', str(source), '--output', str(image)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, pass_fds=[source, image])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    os.close(source)
    os.close(image)
    os.unlink(IMAGE)
    if process.returncode != 0:
        raise SystemExit('bench: the writer failed')
    return usage.ru_maxrss


def daemon_memory(field):
    for path in glob.glob('/proc/[0-9]*/status'):
        try:
            with open(path, encoding='utf-8') as file:
                status = file.read()
        except FileNotFoundError:  # it ended meanwhile, so it was not the daemon
            continue
        if status.startswith('Name:\tbangerd\n'):
            return int(re.search(rf'^{field}:\s+(\d+) kB$', status, re.MULTILINE).group(1))
    raise SystemExit('bench: bangerd is not running')


def measure(rounds):
    make_trees()
    read()
    run('banger', 'image', 'list')  # starts the daemon
    before = daemon_memory('VmRSS')
    times = {}
    for number in range(rounds):
        for name, value in one_round().items():
            times.setdefault(name, []).append(value)
        print(f'{number + 1}/{rounds}', *(f'{name}={found[-1]:.0f}' for name, found in times.items()), file=sys.stderr)
    run(*AS_ROOT, 'rm', '-r', TREES)
    result = {name: round(statistics.median(values), 1) for name, values in times.items()}
    return result | {'peak_kib': writer_peak() + daemon_memory('VmHWM') - before,
                     'ratio': round(result['tar_ms'] / result['ours_ms'], 2)}


def main():
    parser = argparse.ArgumentParser(prog='tools/bench image', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--json', action='store_true', help='one object on standard output')
    parser.add_argument('--rounds', type=int, default=5, metavar='N', help='how often each is run (default: 5)')
    options = parser.parse_args()
    size = os.stat(ARCHIVE).st_size
    if size < ARCHIVE_MIN:
        raise SystemExit(f'bench: the archive has {size} bytes only')
    result = measure(options.rounds)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        target = f'  (target: {" ".join(map(str, TARGETS[name]))})' if name in TARGETS else ''
        print(f'{name:10} {value:10}{target}')


main()
