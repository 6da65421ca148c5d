# SPDX-License-Identifier: LGPL-2.1-or-later
"""Archives for the image writer's tests, byte by byte, and what an image made of them must hold."""

import ctypes
import hashlib
import io
import json
import os
import stat
import struct
import subprocess
import tarfile
import traceback

BLOCK = 4096
ZEROS = bytes(BLOCK)


def field(value, size):
    """A number as old tars write it, or in base 256 where that does not fit."""
    digits = size - 1
    if 0 <= value < 8 ** digits:
        return b'%0*o\0' % (digits, value)
    return bytes([0x80 if value >= 0 else 0xff]) + value.to_bytes(size - 1, 'big', signed=value < 0)


def header(name, kind=b'0', size=0, mode=0o644, uid=0, gid=0, mtime=0, target=b'', device=(0, 0),
           magic=b'ustar\x0000', tail=b''):
    block = (name[:100].ljust(100, b'\0') + field(mode, 8) + field(uid, 8) + field(gid, 8)
             + field(size, 12) + field(mtime, 12) + b' ' * 8 + kind + target[:100].ljust(100, b'\0')
             + magic + bytes(64) + field(device[0], 8) + field(device[1], 8) + tail)
    block = block.ljust(512, b'\0')
    return block[:148] + b'%06o\0 ' % sum(block) + block[156:]


def pad(data):
    return data + bytes(-len(data) % 512)


def record(key, value):
    text = b' ' + key + b'=' + value + b'\n'
    size = len(text)
    while len(str(size + len(str(size)))) != len(str(size)) or size < len(text) + len(str(size)):
        size = len(text) + len(str(size))
        if size == len(text) + len(str(size)):
            break
    return str(size).encode() + text


class Archive:
    """An archive written entry by entry. Extended records are bytes, so that any value can be told."""

    def __init__(self):
        self.out = io.BytesIO()

    def pax(self, records):
        body = b''.join(record(k.encode(), v) for k, v in records.items())
        self.out.write(header(b'pax', b'x', len(body)) + pad(body))

    def add(self, name, data=b'', pax=None, stored=None, **fields):
        if isinstance(name, str):
            name = name.encode()
        records = dict(pax or {})
        target = fields.get('target', b'')
        if len(name) > 100 and 'path' not in records:
            records['path'] = name
        if len(target) > 100:
            records['linkpath'] = target
        if records:
            self.pax(records)
        size = len(data) if stored is None else stored
        self.out.write(header(name, size=size, **fields) + pad(data))
        return self

    def dir(self, name, mode=0o755, **fields):
        return self.add(name, kind=b'5', mode=mode, **fields)

    def link(self, name, target, **fields):
        return self.add(name, kind=b'1', target=target, **fields)

    def symlink(self, name, target, **fields):
        return self.add(name, kind=b'2', target=target, mode=0o777, **fields)

    def raw(self, data):
        self.out.write(data)
        return self

    def end(self):
        return self.out.getvalue() + bytes(1024)


def content_digest(pieces, size):
    """`pieces` are (offset, bytes), rising; the digest that image-dump prints."""
    blocks = {}
    for offset, data in pieces:
        while data:
            index, at = divmod(offset, BLOCK)
            part = data[:BLOCK - at]
            block = blocks.setdefault(index, bytearray(BLOCK))
            block[at:at + len(part)] = part
            data = data[len(part):]
            offset += len(part)
    digest = hashlib.sha256()
    for index in sorted(blocks):
        if blocks[index] != ZEROS:
            digest.update(struct.pack('<Q', index) + blocks[index])
    return digest.hexdigest()


class Writer:
    """Runs the program under test."""

    def __init__(self, program, dump, directory):
        self.program, self.dumper, self.image = program, dump, os.path.join(directory, 'image')

    def run(self, data, *options):
        """Returns (exit status, last line, all lines). `data` is bytes or an open file."""
        if os.path.exists(self.image):
            os.unlink(self.image)
        output = os.open(self.image, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            source = {'input': data} if isinstance(data, bytes) else {'stdin': data}
            done = subprocess.run(
                [self.program, '--input', '0', '--output', str(output), *options],
                stdout=subprocess.PIPE, pass_fds=[output], check=False, timeout=120, **source)
        finally:
            os.close(output)
        lines = done.stdout.decode().splitlines()
        return done.returncode, lines[-1] if lines else '', lines

    def make(self, data, *options):
        status, last, _ = self.run(data, *options)
        assert status == 0 and last.startswith('done '), last
        self.check()
        return last.split()

    def check(self):
        done = subprocess.run(['e2fsck', '-fn', self.image], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False,
                              env={'PATH': '/usr/sbin:/sbin:/usr/bin:/bin', 'LC_ALL': 'C'})
        assert done.returncode == 0, done.stdout.decode(errors='replace')

    def dump(self):
        done = subprocess.run([self.dumper, self.image], stdout=subprocess.PIPE, check=True)
        found = {}
        for line in done.stdout.splitlines():
            entry = json.loads(line)
            path = bytes.fromhex(entry['path'])
            assert path not in found, path
            entry['xattrs'] = {bytes.fromhex(k).decode(): bytes.fromhex(v)
                               for k, v in entry['xattrs'].items()}
            if 'target' in entry:
                entry['target'] = bytes.fromhex(entry['target'])
            found[path] = entry
        return found

    def refuse(self, data, keyword, *words, options=()):
        status, last, _ = self.run(data, *options)
        assert status == 1, (status, last)
        assert last.startswith(f'error {keyword} '), last
        for word in words:
            assert word in last, (word, last)
        self.check_empty()

    def check_empty(self):
        st = os.stat(self.image)
        assert (st.st_size, st.st_blocks) == (0, 0), 'something is left of a failure'

    def begin(self, **streams):
        """The program with a pipe to feed; the caller ends it."""
        if os.path.exists(self.image):
            os.unlink(self.image)
        output = os.open(self.image, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            return subprocess.Popen([self.program, '--input', '0', '--output', str(output)],
                                    stdin=subprocess.PIPE, pass_fds=[output], **streams)
        finally:
            os.close(output)


CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000


def in_child(run):
    """In a process of its own, whose failure is ours."""
    pid = os.fork()
    if pid == 0:
        try:
            run()
            os._exit(0)
        except BaseException:  # whatever it was, only the parent goes on
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0, 'it failed in the child'


def mount_small(directory, size):
    """A tmpfs of `size` bytes, in namespaces of our own: gone with us."""
    libc = ctypes.CDLL(None, use_errno=True)
    maps = (('setgroups', 'deny'), ('uid_map', f'0 {os.getuid()} 1'), ('gid_map', f'0 {os.getgid()} 1'))
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), 'unshare')
    for name, text in maps:
        with open(f'/proc/self/{name}', 'w', encoding='ascii') as file:
            file.write(text)
    if libc.mount(b'none', os.fsencode(directory), b'tmpfs', 0, b'size=%d' % size) != 0:
        raise OSError(ctypes.get_errno(), 'mount')


def times_of(text):
    """'-1.5' is one and a half seconds before the epoch."""
    sign = text.startswith('-')
    whole, _, fraction = text.lstrip('-').partition('.')
    nanoseconds = int(fraction[:9].ljust(9, '0') or '0')
    seconds = int(whole)
    if sign:
        seconds = -seconds
        if nanoseconds:
            seconds, nanoseconds = seconds - 1, 1000000000 - nanoseconds
    return [seconds, nanoseconds]


def read_pieces(tar, member):
    with tar.extractfile(member) as file:
        for offset, size in member.sparse or [(0, member.size)]:
            file.seek(offset)
            yield offset, file.read(size)


def read_archive(path):
    """What a tar archive holds, by Python's reader alone: path → what image-dump should say."""
    found = {}
    with tarfile.open(path, errors='surrogateescape') as tar:
        for member in tar:
            name = os.fsencode(member.name).strip(b'/')
            name = b'' if name == b'.' else name[2:] if name.startswith(b'./') else name
            if member.islnk():
                found[name] = found[os.fsencode(member.linkname).removeprefix(b'./')]
                found[name]['links'] += 1
                continue
            kind = {tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK,
                    tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK,
                    tarfile.FIFOTYPE: stat.S_IFIFO}.get(member.type, stat.S_IFREG)
            entry = {'mode': kind | member.mode, 'uid': member.uid, 'gid': member.gid, 'links': 1,
                     'mtime': times_of(member.pax_headers.get('mtime', str(int(member.mtime))))}
            if member.issym():
                entry['target'] = os.fsencode(member.linkname)
            if member.isdev() and not member.isfifo():
                entry['device'] = member.devmajor << 32 | member.devminor
            if member.isreg():
                entry['size'] = member.size
                entry['content'] = content_digest(read_pieces(tar, member), member.size)
            entry['xattrs'] = {k[len('SCHILY.xattr.'):]: os.fsencode(v)
                               for k, v in member.pax_headers.items()
                               if k.startswith('SCHILY.xattr.')}
            found[name] = entry
    return found


def compare(expected, found):
    """Entry by entry; what the image has on its own account is its root and lost+found."""
    assert set(found) - set(expected) <= {b'', b'lost+found'}, set(found) - set(expected)
    assert set(expected) <= set(found), set(expected) - set(found)
    for path, entry in expected.items():
        for key, value in entry.items():
            if key == 'links' and stat.S_ISDIR(entry['mode']):
                continue
            assert found[path][key] == value, (path, key, value, found[path][key])
