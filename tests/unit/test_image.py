# SPDX-License-Identifier: LGPL-2.1-or-later
"""tar → ext4: every image is checked by e2fsck and read back entry by entry. TAP on stdout."""

import contextlib
import gzip
import hashlib
import lzma
import os
import resource
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import traceback

from image_archive import (BLOCK, Archive, Writer, compare, content_digest, header, in_child, mount_small, pad,
                           read_archive)

REG, DIR, LNK = stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK


def test_types_when_all_kinds_then_kept(w):
    a = Archive()
    a.dir('./', mode=0o711, uid=5, gid=6, mtime=7)
    a.dir('dir', mode=0o1777).add('dir/file', b'hello\n', mode=0o4755, uid=1, gid=2, mtime=123)
    a.symlink('fast', b't' * 59).symlink('slow', b't' * 60).symlink('long', b'/' + b'u' * 4094)
    a.add('null', kind=b'3', device=(1, 3), mode=0o666).add('disk', kind=b'4', device=(259, 70000))
    a.add('fifo', kind=b'6', mode=0o600).add('empty').add('old-style', b'x', kind=b'\0')
    a.link('hard', b'./dir/file')
    fields = w.make(a.end())
    found = w.dump()
    root = found[b'']
    assert (root['mode'], root['uid'], root['gid'], root['mtime']) == (DIR | 0o711, 5, 6, [7, 0])
    assert found[b'dir']['mode'] == DIR | 0o1777
    f = found[b'dir/file']
    assert (f['mode'], f['uid'], f['gid'], f['size']) == (REG | 0o4755, 1, 2, 6)
    assert f['mtime'] == f['atime'] == f['ctime'] == f['crtime'] == [123, 0]
    assert f['content'] == content_digest([(0, b'hello\n')], 6)
    assert f['links'] == 2 and f['ino'] == found[b'hard']['ino']
    for name, target in ((b'fast', b't' * 59), (b'slow', b't' * 60), (b'long', b'/' + b'u' * 4094)):
        assert found[name]['mode'] == LNK | 0o777 and found[name]['target'] == target
    assert found[b'null']['device'] == 1 << 32 | 3 and stat.S_ISCHR(found[b'null']['mode'])
    assert found[b'disk']['device'] == 259 << 32 | 70000 and stat.S_ISBLK(found[b'disk']['mode'])
    assert stat.S_ISFIFO(found[b'fifo']['mode'])
    assert found[b'empty']['size'] == 0 and found[b'empty']['runs'] == 0
    assert found[b'old-style']['size'] == 1
    assert int(fields[2]) == os.stat(w.image).st_size and fields[4:] == ['12', '0', '-']


def test_times_when_far_or_fine_then_exact_and_clamped(w):
    cases = {'before': (b'-1.5', [-2, 500000000]), 'late': (b'4102444800.123456789', [4102444800, 123456789]),
             'first': (b'-2147483648', [-2147483648, 0]), 'last': (b'15032385535', [15032385535, 0]),
             'wrap': (b'2147483648', [2147483648, 0]), 'after': (b'99999999999', [15032385535, 0]),
             'earlier': (b'-99999999999', [-2147483648, 0]), 'zero': (b'0', [0, 0])}
    a = Archive()
    for name, (text, _) in cases.items():
        a.add(name, pax={'mtime': text})
    a.add('all', pax={'mtime': b'1.1', 'atime': b'2.2', 'ctime': b'3.3',
                      'LIBARCHIVE.creationtime': b'4.4'})
    a.add('binary', mtime=-5)
    w.make(a.end())
    found = w.dump()
    for name, (_, value) in cases.items():
        assert found[name.encode()]['mtime'] == value, (name, found[name.encode()]['mtime'])
    f = found[b'all']
    assert [f['mtime'], f['atime'], f['ctime'], f['crtime']] == [
        [1, 100000000], [2, 200000000], [3, 300000000], [4, 400000000]]
    assert found[b'binary']['mtime'] == [-5, 0]


def test_owners_when_over_16_bits_then_kept_and_over_32_refused(w):
    a = Archive().add('a', uid=65536, gid=4294967294).add('b', pax={'uid': b'2013265920', 'gid': b'70000'})
    w.make(a.end())
    found = w.dump()
    assert (found[b'a']['uid'], found[b'a']['gid']) == (65536, 4294967294)
    assert (found[b'b']['uid'], found[b'b']['gid']) == (2013265920, 70000)
    w.refuse(Archive().add('bad', pax={'uid': b'4294967295'}).end(), 'OWNER', "'bad'")
    w.refuse(Archive().add('bad', uid=-1).end(), 'OWNER', "'bad'")


CAPABILITY = struct.pack('<5I', 0x02000001, 1 << 13, 0, 0, 0)


def acl(*entries):
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *e) for e in entries)


def test_xattrs_when_small_large_and_acl_then_kept(w):
    values = {'user.small': b'v', 'user.empty': b'', 'security.capability': CAPABILITY,
              'trusted.overlay.opaque': b'y', 'user.binary': bytes(range(256)),
              'user.' + 'n' * 200: b'long name'}
    large = {'user.large': os.urandom(30000), 'user.max': b'm' * 65536, 'user.other': b'o' * 3000,
             'user.second': b's' * 3000}
    a = Archive()
    a.add('file', b'data', pax={'SCHILY.xattr.' + k: v for k, v in values.items()})
    a.add('large', pax={'SCHILY.xattr.' + k: v for k, v in large.items()})
    a.dir('dir', pax={'SCHILY.acl.default': b'user::rwx,user::r-x:1000,group::r-x,mask::rwx,other::---',
                      'SCHILY.xattr.user.d': b'd'})
    a.add('acl', mode=0o640, pax={'SCHILY.acl.access':
                                  b'user::rw-\nuser:joe:r--:70000\nuser:bin:rw-:2\ngroup::r--\n'
                                  b'group:x:rwx:7\nmask::rw-\nother::---'})
    a.add('raw', pax={'SCHILY.xattr.system.posix_acl_access': acl((1, 6, 2**32 - 1), (2, 4, 9),
                                                                  (4, 4, 2**32 - 1), (16, 4, 2**32 - 1),
                                                                  (32, 0, 2**32 - 1))})
    a.add('plain', mode=0o640, pax={'SCHILY.acl.access': b'user::rw-,group::r--,other::---'})
    a.symlink('link', b'file', pax={'SCHILY.xattr.security.selinux': b'label\0'})
    a.add('foreign', pax={'SCHILY.xattr.com.apple.quarantine': b'q'})
    w.make(a.end())
    found = w.dump()
    assert found[b'file']['xattrs'] == values
    assert found[b'large']['xattrs'] == large
    none = 2**32 - 1
    assert found[b'acl']['xattrs'] == {'system.posix_acl_access': acl(
        (1, 6, none), (2, 6, 2), (2, 4, 70000), (4, 4, none), (8, 7, 7), (16, 6, none), (32, 0, none))}
    assert found[b'dir']['xattrs'] == {'user.d': b'd', 'system.posix_acl_default': acl(
        (1, 7, none), (2, 5, 1000), (4, 5, none), (16, 7, none), (32, 0, none))}
    assert found[b'raw']['xattrs']['system.posix_acl_access'][4:6] == b'\x01\0'
    assert found[b'plain']['xattrs'] == {} and found[b'plain']['mode'] == REG | 0o640
    assert found[b'link']['xattrs'] == {'security.selinux': b'label\0'}
    assert found[b'foreign']['xattrs'] == {}


def test_xattrs_when_impossible_then_refused_by_name(w):
    w.refuse(Archive().add('big', pax={'SCHILY.xattr.user.x': b'x' * 65537}).end(), 'XATTR', "'big'", 'user.x')
    by_name = b'user::rw-,user:joe:r--,group::r--,mask::r--,other::r--'
    w.refuse(Archive().add('acl', pax={'SCHILY.acl.access': by_name}).end(), 'XATTR', "'acl'", 'joe')
    for bad in (b'', b'\x02\0\0\0', acl((1, 6, 0))[:-1], acl((3, 6, 0)), acl((1, 9, 0)), acl((64, 1, 0))):
        w.refuse(Archive().add('raw', pax={'SCHILY.xattr.system.posix_acl_access': bad}).end(), 'XATTR', "'raw'")
    many = {f'SCHILY.xattr.user.{i:0200}': b'v' * 100 for i in range(40)}
    w.refuse(Archive().add('many', pax=many).end(), 'XATTR', "'many'")


def test_names_when_odd_then_kept_byte_for_byte(w):
    names = [b'\xff\xfe latin \xe9', 'Főtanúsítvány'.encode(), b'n' * 255, b'new\nline', b'%n%s', b' ',
             b'd/' + b'/'.join([b'p' * 200] * 15)]
    a = Archive()
    for name in names:
        a.add(name, name)
        a.add(b'pax-' + name.split(b'/')[0][:251], b'', pax={'path': b'pax-' + name.split(b'/')[0][:251]})
    a.symlink(b'bytes', b'\xff\xfe').symlink(b'pax-bytes', b'', pax={'linkpath': b'\xff\xfe'})
    w.make(a.end())
    found = w.dump()
    for name in names:
        assert found[name]['content'] == content_digest([(0, name)], len(name)), name
        assert b'pax-' + name.split(b'/')[0][:251] in found, name
    assert found[b'bytes']['target'] == found[b'pax-bytes']['target'] == b'\xff\xfe'


def test_paths_when_absolute_or_dotted_then_stripped_and_parents_made(w):
    a = Archive().add('/abs/file', b'1', mtime=9).add('./rel//./file', b'2').add('.//x/.', kind=b'5')
    a.add('a/b/c/d', b'3', mtime=77)
    w.make(a.end())
    found = w.dump()
    assert {b'abs/file', b'rel/file', b'x', b'a/b/c/d'} <= set(found)
    assert found[b'a/b']['mode'] == DIR | 0o755 and found[b'a/b']['mtime'] == [77, 0]
    assert found[b'']['mode'] == DIR | 0o755 and found[b'lost+found']['mode'] == DIR | 0o700


def test_paths_when_hostile_then_refused_by_name(w):
    for name in ('../x', 'a/../b', '..', '/..', 'a/..'):
        w.refuse(Archive().add(name, b'x').end(), 'NAME', name)
    w.refuse(Archive().add(b'n' * 256).end(), 'NAME', 'nnnn')
    w.refuse(Archive().add(b'/'.join([b'p' * 250] * 17)).end(), 'NAME', 'pppp')
    w.refuse(Archive().link('l', b'../../etc/passwd').end(), 'LINK', "'l'")
    w.refuse(Archive().add('f', b'x').add('f/below').end(), 'CONFLICT', "'f/below'")
    w.refuse(Archive().symlink('x', b'y').symlink('y', b'x').add('x/z').end(), 'CONFLICT', "'x/z'")
    w.refuse(Archive().add('./', b'', kind=b'2', target=b'x').end(), 'TYPE')
    w.refuse(Archive().symlink('empty', b'').end(), 'LINK', "'empty'")
    w.refuse(Archive().add('\x1b[31mred/../\n', b'').end(), 'NAME', '\\x1b[31mred', '\\x0a')
    w.refuse(Archive().add('dev', kind=b'3', device=(4096, 0)).end(), 'TYPE', "'dev'")


def test_lost_and_found_when_no_directory_then_refused_however_it_is_named(w):
    for a in (Archive().add('lost+found', b'x'), Archive().symlink('lost+found', b'f'),
              Archive().add('f', b'x').link('lost+found', b'f'), Archive().link('./lost+found', b'f').add('f', b'x'),
              Archive().symlink('r', b'/').add('f', b'x').link('r/lost+found', b'f'),
              Archive().dir('lost+found').add('lost+found', b'x'), Archive().add('lost+found', kind=b'6')):
        w.refuse(a.end(), 'TYPE', "lost+found'")
    w.refuse(Archive().link('f', b'lost+found').end(), 'LINK', "'f'")
    a = Archive().dir('lost+found', mode=0o711, uid=3).add('lost+found/f', b'x').link('d/lost+found', b'lost+found/f')
    w.make(a.end())
    found = w.dump()
    assert (found[b'lost+found']['mode'], found[b'lost+found']['uid']) == (DIR | 0o711, 3)
    assert found[b'd/lost+found']['ino'] == found[b'lost+found/f']['ino']


def test_parents_when_symbolic_links_then_resolved_inside_the_image(w):
    a = Archive().symlink('lib', b'usr/lib').symlink('up', b'../../../etc').symlink('abs', b'/usr/share')
    a.dir('usr').dir('usr/lib').symlink('usr/lib/deeper', b'../bin/.')
    a.add('lib/a', b'a').add('up/b', b'b').add('abs/c', b'c').add('lib/deeper/d', b'd')
    a.link('e', b'lib/a')
    w.make(a.end())
    found = w.dump()
    assert {b'usr/lib/a', b'etc/b', b'usr/share/c', b'usr/bin/d'} <= set(found)
    assert found[b'lib']['target'] == b'usr/lib'
    assert found[b'e']['ino'] == found[b'usr/lib/a']['ino']


def test_hard_links_when_before_target_or_chained_then_bound(w):
    a = Archive().link('c', b'b').link('b', b'a').link('gone', b'nowhere').add('gone', b'now a file')
    a.add('a', b'content').link('late', b'c').symlink('s', b'a').link('s2', b's')
    w.make(a.end())
    found = w.dump()
    assert len({found[n]['ino'] for n in (b'a', b'b', b'c', b'late')}) == 1
    assert found[b'a']['links'] == 4 and found[b'gone']['size'] == 10
    assert found[b's2']['ino'] == found[b's']['ino'] and found[b's2']['target'] == b'a'


def test_hard_links_when_impossible_then_refused_by_name(w):
    w.refuse(Archive().link('l', b'nowhere').add('x').end(), 'LINK', "'l'")
    w.refuse(Archive().link('l', b'm').link('m', b'l').end(), 'LINK', 'itself')
    w.refuse(Archive().link('l', b'l').end(), 'LINK', "'l'")
    w.refuse(Archive().dir('d').link('l', b'd').end(), 'LINK', "'l'", 'directory')
    w.refuse(Archive().link('l', b'd').dir('d').end(), 'LINK', "'l'", 'directory')
    a = Archive().add('f')
    for i in range(65000):
        a.link(f'l{i}', b'f')
    w.refuse(a.end(), 'LINK', '65001')


def test_hard_links_when_target_replaced_then_old_content_stays(w):
    a = Archive().add('a', b'old').link('b', b'a').add('a', b'new!').link('a', b'a')
    w.make(a.end())
    found = w.dump()
    assert found[b'a']['size'] == 4 and found[b'b']['size'] == 3
    assert found[b'a']['links'] == found[b'b']['links'] == 1


def test_duplicates_when_any_type_then_last_wins(w):
    a = Archive().add('f', b'1' * 10000).add('f', b'22')
    a.dir('d').add('d/x', b'x').add('d', b'now a file')
    a.add('g', b'file').dir('g', mode=0o700).add('g/y', b'y')
    a.dir('k', mode=0o700, pax={'SCHILY.xattr.user.a': b'1'}).add('k/z', b'z').dir('k', mode=0o711)
    a.symlink('s', b'f').add('s', b'regular').add('t', b'x').symlink('t', b'f')
    a.dir('e').dir('e/e2').add('e/e2/deep').symlink('e', b'f').dir('e', mode=0o750)
    w.make(a.end())
    found = w.dump()
    assert found[b'f']['size'] == 2 and found[b'd']['size'] == 10 and b'd/x' not in found
    assert found[b'g']['mode'] == DIR | 0o700 and b'g/y' in found
    assert found[b'k']['mode'] == DIR | 0o711 and b'k/z' in found and not found[b'k']['xattrs']
    assert found[b's']['size'] == 7 and found[b't']['target'] == b'f'
    assert found[b'e']['mode'] == DIR | 0o750 and not [p for p in found if p.startswith(b'e/')]


def pax_sparse(name, pieces, size, mtime=0):
    """GNU's format 1.0: the map stands before the data."""
    text = f'{len(pieces)}\n' + ''.join(f'{o}\n{len(d)}\n' for o, d in pieces)
    body = pad(text.encode()) + b''.join(d for _, d in pieces)
    a = Archive()
    a.add('GNUSparseFile.0/x', body, mtime=mtime,
          pax={'GNU.sparse.major': b'1', 'GNU.sparse.minor': b'0', 'GNU.sparse.name': name.encode(),
               'GNU.sparse.realsize': str(size).encode()})
    return a.out.getvalue()


def gnu_sparse(name, pieces, size):
    """The old GNU format: up to four pieces in the header, twenty-one in each block after it."""
    def piece(p):
        return b'%011o\0%011o\0' % (p[0], len(p[1]))
    data = b''.join(d for _, d in pieces)
    first, rest = pieces[:4], pieces[4:]
    tail = b'\0' * 41 + b''.join(map(piece, first)).ljust(96, b'\0')
    tail += b'\1' if rest else b'\0'
    tail += b'%011o\0' % size
    out = header(name.encode(), b'S', len(data), magic=b'ustar  \0', tail=tail)
    while rest:
        part, rest = rest[:21], rest[21:]
        out += b''.join(map(piece, part)).ljust(504, b'\0') + (b'\1' if rest else b'\0') + bytes(7)
    return out + pad(data)


def test_sparse_when_pax_or_gnu_then_holes_stay_holes(w):
    pieces = [(0, b'a' * 512), (40960, b'b' * 5120), (1 << 20, b'c' * 512)]
    unaligned = [(100, b'x' * 1000), (5000, b'y' * 100), (9000, b'z' * 20000)]
    many = [(i * 8192, bytes([i % 251 + 1]) * 4096) for i in range(2000)]
    a = Archive()
    a.raw(pax_sparse('pax', pieces, 2 << 20)).raw(pax_sparse('unaligned', unaligned, 30000))
    a.raw(gnu_sparse('gnu', pieces + [(2 << 20, b'')], 2 << 20))
    a.raw(pax_sparse('hole', [(1 << 30, b'')], 1 << 30)).raw(pax_sparse('many', many, 2000 * 8192))
    w.make(a.end())
    found = w.dump()
    for name, p, size in ((b'pax', pieces, 2 << 20), (b'unaligned', unaligned, 30000),
                          (b'gnu', pieces, 2 << 20), (b'hole', [], 1 << 30), (b'many', many, 2000 * 8192)):
        assert found[name]['size'] == size, name
        assert found[name]['content'] == content_digest(p, size), name
    assert found[b'hole']['runs'] == 0 and found[b'pax']['runs'] >= 1
    assert os.stat(w.image).st_blocks * 512 < 32 << 20


def test_sparse_when_map_lies_then_refused(w):
    w.refuse(pax_sparse('f', [(8192, b'a' * 512), (0, b'b' * 512)], 16384) + bytes(1024), 'CORRUPT')
    w.refuse(pax_sparse('f', [(0, b'a' * 512)], 100) + bytes(1024), 'CORRUPT')
    w.refuse(pax_sparse('f', [(1 << 44, b'a' * 512)], (1 << 44) + 512) + bytes(1024), 'TOO_LARGE', "'f'")


def test_large_files_when_over_4_gib_then_mapped(w):
    """Sparse in the archive, so that the test stays small: the file's end is beyond 32 bits."""
    size = (5 << 30) + 12345
    pieces = [(0, b'start'.ljust(512, b'\0')), ((5 << 30), b'end' * 100)]
    w.make(Archive().raw(pax_sparse('large', pieces, size)).end())
    found = w.dump()
    assert found[b'large']['size'] == size and found[b'large']['content'] == content_digest(pieces, size)


def test_extents_when_a_file_has_over_128_mib_then_several(w):
    """Dense: 300 MiB are three extents of one run; more than four in a map with a tree above."""
    data = os.urandom(BLOCK) * 256
    a = Archive().raw(header(b'dense', size=300 << 20))
    with tempfile.TemporaryFile() as f:
        f.write(a.out.getvalue())
        for _ in range(300):
            f.write(data)
        f.write(header(b'after', size=3) + pad(b'abc') + bytes(1024))
        f.seek(0)
        w.make(f)
    found = w.dump()
    assert found[b'dense']['size'] == 300 << 20 and found[b'dense']['runs'] == 1
    assert found[b'after']['content'] == content_digest([(0, b'abc')], 3)


def test_directories_when_large_then_indexed(w):
    a = Archive()
    for i in range(12000):
        a.add(f'big/entry-{i:06}', mode=0o600)
    for i in range(200):
        a.add(f'medium/{i}')
    for i in range(9000):
        a.add(b'huge/' + b'h' * 240 + b'%06d' % i)
    for i in range(66000):
        a.dir(f'wide/{i}')
    w.make(a.end())
    found = w.dump()
    assert found[b'big']['index'] and found[b'huge']['index'] and not found[b'medium']['index']
    assert found[b'huge']['size'] > 508 * BLOCK  # two levels of index
    assert sum(p.startswith(b'big/') for p in found) == 12000
    assert sum(p.startswith(b'huge/') for p in found) == 9000
    assert found[b'wide']['links'] == 1


def test_directories_when_deep_then_bounded(w):
    a = Archive().symlink('x', b'/').dir('d')
    path = 'd'
    for _ in range(30):
        step = '/'.join(['e'] * 60)
        a.dir(path + '/' + step)
        path += '/' + step
    w.make(a.end())
    a = Archive()
    for i in range(3):
        a.dir('l%d/' % i + '/'.join(['e'] * 1000))
        a.symlink('l%d' % (i + 1), ('l%d/' % i + '/'.join(['e'] * 1000)).encode())
    w.refuse(a.end(), 'NAME', 'nested')


def test_input_when_truncated_anywhere_then_refused(w):
    a = Archive().add('one', b'1' * 1000).add('two', b'2' * 3000, pax={'mtime': b'1.5'}).end()
    whole = len(a) - 1024
    for cut in (1, 100, 511):
        status, last, _ = w.run(a[:cut])
        assert status == 1 and last.split()[1] in ('FORMAT', 'TRUNCATED', 'CORRUPT'), last
    for cut in (512, 700, 1024, 1536, 1600, 2048, 2100, 3000, whole - 512, whole - 1):
        w.refuse(a[:cut], 'TRUNCATED')
    w.refuse(a[:whole], 'TRUNCATED', 'end mark')
    w.make(a[:whole + 512])
    packed = gzip.compress(a + os.urandom(5000))
    w.refuse(packed[:len(packed) // 2], 'TRUNCATED')


def test_input_when_garbage_then_refused(w):
    w.refuse(b'', 'EMPTY')
    w.refuse(bytes(10240), 'EMPTY')
    w.refuse(os.urandom(4096).replace(b'\x1f', b'x'), 'FORMAT')
    w.refuse(b'hello world\n' * 100, 'FORMAT')
    a = Archive().add('good', b'x').out.getvalue()
    status, last, _ = w.run(a + b'garbage!' * 64 + bytes(1024))
    assert status == 1 and last.split()[1] == 'CORRUPT', last
    w.refuse(Archive().raw(header(b'neg', size=-1)).end(), 'CORRUPT')
    w.refuse(Archive().raw(header(b'huge', size=1 << 62)).end(), 'TOO_LARGE', "'huge'")
    broken = bytearray(gzip.compress(a * 50 + bytes(1024)))
    broken[len(broken) // 2] ^= 0xff
    status, last, _ = w.run(bytes(broken))
    assert status == 1, last


def test_input_when_compressed_then_same_image(w):
    a = Archive().add('f', os.urandom(100000)).dir('d').symlink('l', b'f').end()
    images = []
    zstd = subprocess.run(['zstd', '-q', '-c'], input=a, stdout=subprocess.PIPE, check=True).stdout
    for data in (a, gzip.compress(a), lzma.compress(a), zstd, gzip.compress(a[:5000]) + gzip.compress(a[5000:])):
        fields = w.make(data)
        assert fields[1] == hashlib.sha256(a).hexdigest()
        with open(w.image, 'rb') as f:
            images.append(f.read())
    assert all(i == images[0] for i in images)


def test_output_when_not_an_empty_file_then_refused(w):
    a = Archive().add('f').end()
    for make in (lambda: os.open('/dev/null', os.O_RDWR), lambda: os.pipe()[1],
                 lambda: os.open(w.image, os.O_RDONLY)):
        w.make(a)
        fd = make()
        done = subprocess.run([w.program, '--input', '0', '--output', str(fd)], input=a,
                              stdout=subprocess.PIPE, pass_fds=[fd], check=False)
        assert done.returncode == 1 and done.stdout.startswith(b'error INVALID'), done
        os.close(fd)
    fd = os.open(w.image, os.O_RDWR)
    done = subprocess.run([w.program, '--input', '0', '--output', str(fd)], input=a,
                          stdout=subprocess.PIPE, pass_fds=[fd], check=False)
    assert b'not empty' in done.stdout
    os.close(fd)


def test_limits_when_at_and_over_then_kept_and_refused(w):
    a = Archive().add('a').add('b').add('c').end()
    w.make(a, '--max-entries', '3')
    w.refuse(a, 'TOO_MANY', '2 entries', options=('--max-entries', '2'))
    big = Archive().add('a', bytes(10 << 20)).end()
    w.refuse(big, 'TOO_LARGE', options=('--max-bytes', str(8 << 20)))
    w.make(big, '--max-bytes', str(16 << 20))


def test_init_when_behind_links_then_found(w):
    a = Archive().symlink('sbin', b'usr/sbin').dir('usr/sbin').symlink('usr/sbin/init', b'/lib/systemd/systemd')
    a.symlink('lib', b'usr/lib').add('usr/lib/systemd/systemd', b'#!', mode=0o755)
    assert w.make(a.end())[5:] == ['1', '/sbin/init']
    a = Archive().add('sbin/init', b'', mode=0o644).add('bin/init', b'', mode=0o755)
    assert w.make(a.end())[5:] == ['1', '/bin/init']
    a = Archive().symlink('sbin/init', b'/nowhere')
    assert w.make(a.end())[5:] == ['0', '-']


def test_progress_when_reading_then_lines_rise(w):
    _, _, lines = w.run(Archive().add('f', bytes(8 << 20)).end())
    seen = [tuple(map(int, l.split()[1:])) for l in lines if l.startswith('progress ')]
    assert seen == sorted(seen) and len(lines) == len(seen) + 1


def test_progress_when_compressed_then_counts_what_came(w):
    packed = gzip.compress(Archive().add('f', bytes(64 << 20)).end())
    _, _, lines = w.run(packed)
    seen = [int(line.split()[1]) for line in lines if line.startswith('progress ')]
    assert seen and max(seen) <= len(packed), seen


def test_usage_when_wrong_then_status_2(w):
    for args in ([], ['--input', '0'], ['--blank', '--output', '1'], ['--input', '99', '--output', '1'],
                 ['--what'], ['--input', '0', '--output', '1', 'more'], ['--blank', '--size', '1', '--input', '0']):
        done = subprocess.run([w.program, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False)
        assert done.returncode == 2, args
    done = subprocess.run([w.program, '--help'], stdout=subprocess.PIPE, check=False)
    assert done.returncode == 0 and b'--input FD' in done.stdout


def test_output_when_its_disk_is_full_then_refused_and_emptied(w):
    """At every size of the disk, so that each kind of write is once the one that fails."""
    a = Archive().add('f', os.urandom(300000)).add('d/x', pax={'SCHILY.xattr.user.large': b'x' * 9000}).end()
    directory = os.path.dirname(w.image)
    for blocks in range(1, 200, 4):
        def on_small_disk(blocks=blocks):
            mount_small(directory, blocks * BLOCK)
            status, last, _ = w.run(a)
            if status == 0:
                return w.check()
            assert last.startswith('error NO_SPACE '), last
            return w.check_empty()
        in_child(on_small_disk)
    w.make(a)


def test_output_when_over_the_file_limit_then_refused_and_emptied(w):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))
        w.refuse(Archive().add('f', bytes(8 << 20)).end(), 'TOO_LARGE')
    in_child(limited)


def test_writer_when_its_reader_is_gone_then_ends_and_leaves_nothing(w):
    writer = w.begin(stdout=subprocess.PIPE)
    writer.stdin.write(header(b'endless', size=1 << 40))
    writer.stdin.write(b'x' * (8 << 20))
    assert writer.stdout.readline().startswith(b'progress ')
    writer.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        while True:
            writer.stdin.write(b'x' * (1 << 20))
    with contextlib.suppress(BrokenPipeError):
        writer.stdin.close()
    assert writer.wait() == 1
    w.check_empty()


def test_writer_when_input_stalls_and_it_is_told_to_end_then_ends(w):
    """Its caller cancels by a signal and throws the output away, whatever is in it."""
    writer = w.begin(stdout=subprocess.PIPE)
    writer.stdin.write(Archive().add('f', bytes(4 << 20)).out.getvalue())
    writer.stdin.flush()
    assert writer.stdout.readline().startswith(b'progress ')
    writer.send_signal(signal.SIGTERM)
    assert writer.wait() == -signal.SIGTERM
    writer.stdin.close()
    writer.stdout.close()


def fill_tree(top):
    """What a file system of the host's can hold of the odd things, so that real archivers pack them."""
    def path(name):
        return os.path.join(os.fsencode(top), name)
    os.makedirs(path(b'dir/sub'))
    for name in (b'plain', b'n' * 255, b'\xff\xfe latin \xe9', b'dir/sub/new\nline'):
        with open(path(name), 'wb') as file:
            file.write(name * 1000)
    with open(path(b'sparse'), 'wb') as file:
        file.seek(1 << 20)
        file.write(b'data' * 3000)
        file.truncate((5 << 30) + 77)
    os.link(path(b'plain'), path(b'dir/hard'))
    os.symlink(b't' * 300, path(b'dir/long-link'))
    os.mkfifo(path(b'fifo'))
    os.chmod(path(b'plain'), 0o6755)
    os.chmod(path(b'dir'), 0o1777)
    os.utime(path(b'dir/sub/new\nline'), ns=(-1500000000 * 10**9, -86400 * 10**9))
    os.utime(path(b'fifo'), ns=(0, 4102444800 * 10**9))


def test_archives_when_made_by_tar_then_every_entry_is_the_same(w):
    directory = os.path.dirname(w.image)
    tree, packed = os.path.join(directory, 'tree'), os.path.join(directory, 'packed')
    os.mkdir(tree)
    fill_tree(tree)
    for options in (['--format=gnu', '--sparse', '--mtime=@-5', '--owner=:70000', '--group=:4294967294'],
                    ['--format=gnu', '--exclude=sparse', '--owner=:70000', '--group=:4294967294'],
                    ['--format=pax', '--sparse', '--owner=:2097153', '--group=:70001'],
                    ['--format=pax', '--sparse', '--sparse-version=0.1', '--numeric-owner']):
        subprocess.run(['tar', '-c', '-f', packed, *options, '-C', tree, '.'], check=True)
        with open(packed, 'rb') as file:
            w.make(file)
        found = w.dump()
        compare(read_archive(packed), found)
        assert found[b'plain']['links'] == 2 and found[b'plain']['mode'] == REG | 0o6755
        assert '--exclude=sparse' in options or found[b'sparse']['size'] == (5 << 30) + 77


def blank(w, size, *options):
    if os.path.exists(w.image):
        os.unlink(w.image)
    fd = os.open(w.image, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    done = subprocess.run([w.program, '--blank', '--output', str(fd), '--size', str(size), *options],
                          stdout=subprocess.PIPE, pass_fds=[fd], check=False)
    os.close(fd)
    return done.returncode, done.stdout.decode().strip()


def test_blank_when_any_size_then_clean_sparse_and_journaled(w):
    for size in (16 << 20, (16 << 20) + 4095, 100 << 20, 1 << 30, 32 << 30, (128 << 20) + 4096):
        status, line = blank(w, size, '--label', 'banger-root')
        assert status == 0 and line.split()[:3] == ['done', '-', str(size // BLOCK * BLOCK)], line
        w.check()
        assert os.stat(w.image).st_blocks * 512 < 1 << 20
        with open(w.image, 'rb') as f:
            f.seek(1024)
            sb = f.read(1024)
        assert struct.unpack_from('<I', sb, 0x5c)[0] & 4 and sb[0x78:0x88].rstrip(b'\0') == b'banger-root'
        assert set(w.dump()) == {b'', b'lost+found'}
    assert blank(w, 1 << 30, '--overlay')[0] == 0
    w.check()
    modes = {name: entry['mode'] for name, entry in w.dump().items()}
    assert modes == {b'': DIR | 0o755, b'lost+found': DIR | 0o700, b'upper': DIR | 0o755, b'work': DIR | 0o700}, modes


def test_blank_when_as_large_as_can_be_asked_for_then_made(w):
    status, line = blank(w, (16 << 40) - (1 << 20))
    assert status == 0, line


def test_blank_when_asked_wrong_then_refused(w):
    for args in ((1 << 20,), (16 << 40,), (1 << 30, '--label', 'x' * 17)):
        status, line = blank(w, *args)
        assert status == 1 and line.startswith('error INVALID'), line
    first = blank(w, 64 << 20)
    with open(w.image, 'rb') as f:
        one = f.read(4096)
    assert first[0] == 0 and blank(w, 64 << 20)[0] == 0
    with open(w.image, 'rb') as f:
        assert f.read(4096)[1024 + 0x68:][:16] != one[1024 + 0x68:][:16], 'two disks with one UUID'


def main():
    tests = [(n, f) for n, f in globals().items()
             if n.startswith('test_') and n == os.environ.get('BANGER_TEST', n)]
    print(f'1..{len(tests)}')
    failed = False
    for number, (name, run) in enumerate(tests, 1):
        with tempfile.TemporaryDirectory(prefix='banger-image-') as directory:
            try:
                run(Writer(sys.argv[1], sys.argv[2], directory))
                print(f'ok {number} - {name}', flush=True)
            except Exception:  # a test's failure is a line of the result, and the rest still runs
                traceback.print_exc()
                print(f'not ok {number} - {name}', flush=True)
                failed = True
    sys.exit(failed)


if __name__ == '__main__':
    main()
