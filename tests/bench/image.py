# SPDX-License-Identifier: LGPL-2.1-or-later
"""How fast an archive becomes an image, beside the usual way: tar -x and mke2fs -d.

    image.py --writer banger-image-writer --tar root.tar [--runs 5] [--dir DIR]

prints {"ours_ms", "tar_ms", "read_ms", "peak_kib", …}: medians of interleaved rounds. Both ways end
with the image on the disk. `read_ms` is reading the archive alone. As root, since tar -x needs it.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def timed(run):
    start = time.monotonic()
    result = run()
    return (time.monotonic() - start) * 1000, result


def read(path):
    """The archive as a program that only reads it would."""
    buffer = bytearray(1 << 20)
    with open(path, 'rb', buffering=0) as source:
        while source.readinto(buffer):
            pass


def ours(writer, archive, image):
    """One process from call to exit; returns its peak memory in KiB."""
    with open(archive, 'rb') as source:
        output = os.open(image, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            process = subprocess.Popen([writer, '--input', '0', '--output', str(output)],
                                       stdin=source, stdout=subprocess.DEVNULL, pass_fds=[output])
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            os.close(output)
    if process.returncode != 0:
        raise SystemExit('the writer failed')
    return usage.ru_maxrss


def theirs(archive, tree, image, size):
    """With what keeps the same things: owners, attributes, ACLs. The sync is part of it, as of ours."""
    os.mkdir(tree)
    subprocess.run(['tar', '-x', '-p', '--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner', '-f',
                    archive, '-C', tree], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(['mke2fs', '-q', '-F', '-t', 'ext4', '-O', '^has_journal', '-d', tree, image,
                    str(size // 1024)], check=True, stdout=subprocess.DEVNULL)
    fd = os.open(image, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--writer', required=True)
    parser.add_argument('--tar', required=True)
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--dir', default=None, help='where images and trees are made')
    args = parser.parse_args()
    size = os.stat(args.tar).st_size
    rounds = {'ours_ms': [], 'tar_ms': [], 'read_ms': []}
    peak = 0
    read(args.tar)  # all three begin with the archive in memory
    for _ in range(args.runs):
        with tempfile.TemporaryDirectory(prefix='banger-bench-', dir=args.dir) as directory:
            image, tree = os.path.join(directory, 'image'), os.path.join(directory, 'tree')
            rounds['read_ms'].append(timed(lambda: read(args.tar))[0])
            ms, kib = timed(lambda: ours(args.writer, args.tar, image))
            rounds['ours_ms'].append(ms)
            peak = max(peak, kib)
            os.unlink(image)
            os.sync()
            rounds['tar_ms'].append(timed(lambda: theirs(args.tar, tree, image, size * 3 // 2))[0])
            shutil.rmtree(tree)
            os.unlink(image)
            os.sync()
    result = {key: round(statistics.median(values), 1) for key, values in rounds.items()}
    result |= {'peak_kib': peak, 'tar_bytes': size,
               'times_faster': round(result['tar_ms'] / result['ours_ms'], 2)}
    json.dump(result, sys.stdout)
    print()


if __name__ == '__main__':
    main()
