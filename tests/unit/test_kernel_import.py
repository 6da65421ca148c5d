# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernel packages and files made by hand → what VMs boot. TAP on stdout."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import random
import resource
import struct
import subprocess
import sys
import tarfile
import tempfile
import traceback

RELEASE = '6.1.0-9-test-amd64'
# What stands in for a loaded segment.
TEXT = random.Random(1).randbytes(6000)
# As they depend on each other in a kernel where nothing is built in.
DEPENDS = {'virtio': '', 'virtio_ring': 'virtio', 'virtio_console': 'virtio,virtio_ring',
           'virtio_blk': 'virtio-ring,virtio', 'virtio_mmio': 'virtio,virtio_ring', 'virtio_pci': 'virtio_ring',
           'crc16': '', 'mbcache': '', 'jbd2': '', 'ext4': 'mbcache,jbd2,crc16', 'overlay': '',
           'failover': '', 'net_failover': 'failover', 'virtio_net': 'net_failover,virtio_ring', 'af_packet': ''}
PLANS = {
    'mmio': 'virtio virtio_ring virtio_console virtio_blk virtio_mmio*',
    'pci': 'virtio virtio_ring virtio_console virtio_blk virtio_pci*',
    'root': 'mbcache jbd2 crc16 ext4 overlay',
    'later': 'failover net_failover virtio virtio_ring virtio_net af_packet',
}


def xz(data):
    return lzma.compress(data, check=lzma.CHECK_CRC32, preset=0)


def elf_kernel(text=TEXT):
    ident = b'\x7fELF\x02\x01\x01' + bytes(9)
    header = struct.pack('<HHIQQQIHHHHHH', 2, 62, 1, 0x1000000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack('<IIQQQQQQ', 1, 5, 120, 0, 0, len(text), len(text), 4096)
    return ident + header + segment + text


def bzimage(payload, release=RELEASE, tail=b'\0\0\1\0', version=0x20f):
    setup = bytearray(1024)
    setup[0x1f1] = 1
    setup[0x202:0x206] = b'HdrS'
    setup[0x206:0x208] = struct.pack('<H', version)
    setup[0x20e:0x210] = struct.pack('<H', 0x100)
    text = f'{release} (banger) #1'.encode() + b'\0'
    setup[0x300:0x300 + len(text)] = text
    setup[0x248:0x250] = struct.pack('<II', 0, len(payload) + len(tail))
    return bytes(setup) + payload + tail


def module(depends='', signature=b''):
    info = f'license=GPL\0depends={depends}\0name=x\0'.encode()
    names = b'\0.shstrtab\0.modinfo\0'
    body = info + names
    sections = b''.join(struct.pack('<IIQQQQIIQQ', name, kind, 0, 0, offset, size, 0, 0, 1, 0)
                        for name, kind, offset, size in
                        ((0, 0, 0, 0), (11, 1, 64, len(info)), (1, 3, 64 + len(info), len(names))))
    header = b'\x7fELF\x02\x01\x01' + bytes(9) + struct.pack('<HHIQQQIHHHHHH', 1, 62, 1, 0, 0, 64 + len(body), 0, 64,
                                                             0, 0, 64, 3, 2)
    if signature:
        signature += bytes(8) + struct.pack('>I', len(signature)) + b'~Module signature appended~\n'
    return header + body + sections + signature


def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def ar(members):
    out = b'!<arch>\n'
    for name, content in members.items():
        out += f'{name:<16}{0:<12}{0:<6}{0:<6}{"100644":<8}{len(content):<10}`\n'.encode() + content
        out += b'\n' if len(content) % 2 else b''
    return out


def modules(depends=None, suffix='', pack=lambda data: data, prefix='./lib'):
    return {f'{prefix}/modules/{RELEASE}/kernel/drivers/{name}.ko{suffix}': pack(module(needs))
            for name, needs in (DEPENDS if depends is None else depends).items()}


def package(files, member='data.tar.xz', pack=xz):
    return ar({'debian-binary': b'2.0\n', 'control.tar.xz': xz(tar({})), member: pack(tar(files))})


def whole(**how):
    image = bzimage(xz(elf_kernel()))
    return {f'./boot/vmlinuz-{RELEASE}': image, **modules(**how)}


def zstd(data):
    return subprocess.run(['zstd', '-c'], input=data, stdout=subprocess.PIPE, check=True).stdout


def lz4(data):
    return subprocess.run(['lz4', '-c', '-l'], input=data, stdout=subprocess.PIPE, check=True).stdout


def read_cpio(data):
    """newc: name → (mode, device, content), in order."""
    found, at = {}, 0
    while True:
        assert data[at:at + 6] == b'070701', data[at:at + 6]
        field = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        name = data[at + 110:at + 110 + field[11] - 1].decode()
        start = (at + 110 + field[11] + 3) & ~3
        if name == 'TRAILER!!!':
            return found
        assert name not in found
        found[name] = (field[1], (field[9], field[10]), data[start:start + field[6]])
        at = (start + field[6] + 3) & ~3


class Importer:
    def __init__(self, program, directory):
        self.program, self.directory = program, directory

    def run(self, *, preexec=None, **inputs):
        """Returns (status, last line); the files are self.kernel and self.initramfs."""
        with contextlib.ExitStack() as stack:
            fds, args = [], []
            for name, content in inputs.items():
                path = os.path.join(self.directory, name)
                with open(path, 'wb') as f:
                    f.write(content)
                fds.append(stack.enter_context(open(path, 'rb')))
                args += [f'--{name}', str(fds[-1].fileno())]
            for name in ('kernel', 'initramfs'):
                fds.append(stack.enter_context(open(os.path.join(self.directory, name), 'w+b')))
                args += [f'--{name}', str(fds[-1].fileno())]
            done = subprocess.run([self.program, *args, '--status', '1'], stdout=subprocess.PIPE, check=False,
                                  pass_fds=[f.fileno() for f in fds], timeout=60, preexec_fn=preexec)
            # The offset is shared with the child.
            self.kernel, self.initramfs = (f.seek(0) or f.read() for f in fds[-2:])
        return done.returncode, done.stdout.decode().splitlines()[-1]

    def make(self, **inputs):
        status, line = self.run(**inputs)
        words = line.split()
        assert status == 0 and words[0] == 'done' and len(words) == 3 and len(words[2]) == 64, line
        return words

    def refuse(self, words, **inputs):
        status, line = self.run(**inputs)
        assert status == 1 and line.startswith('error ') and words in line, line
        assert not self.kernel and not self.initramfs


def test_package_when_whole_then_kernel_modules_and_plans(i):
    done = i.make(package=package(whole()))
    assert done[1] == RELEASE
    assert i.kernel == elf_kernel()
    found = read_cpio(i.initramfs)
    assert 'init' not in found
    assert found['dev/console'][:2] == (0o020600, (5, 1))
    for name, row in PLANS.items():
        lines = ''.join(f'/banger/mod/{word.rstrip("*")}.ko{" async_probe" if word.endswith("*") else ""}\n'
                        for word in row.split())
        assert found[f'banger/plan/{name}'][2].decode() == lines, name
    kept = {word.rstrip('*') for row in PLANS.values() for word in row.split()}
    assert {n for n in found if n.startswith('banger/mod/')} == {f'banger/mod/{name}.ko' for name in kept}
    assert found['banger/mod/ext4.ko'][2] == module(DEPENDS['ext4'])
    assert found['proc'][0] == 0o040755


def test_package_when_same_content_then_same_bytes(i):
    first = i.make(package=package(whole())), i.initramfs
    again = i.make(package=package(dict(reversed(whole().items())))), i.initramfs
    assert first == again
    other = i.make(package=package(whole(depends={**DEPENDS, 'overlay': 'crc16'})))
    assert other[2] != first[0][2]


def test_package_when_compressed_otherwise_then_read(i):
    expected = i.make(package=package(whole())), i.initramfs
    for member, pack in (('data.tar', bytes), ('data.tar.gz', gzip.compress), ('data.tar.bz2', bz2.compress),
                         ('data.tar.zst', zstd)):
        assert (i.make(package=package(whole(), member, pack)), i.initramfs) == expected, member


def test_kernel_when_any_compressor_made_it_then_uncompressed(i):
    for pack in (gzip.compress, bz2.compress, zstd, lz4, lambda d: lzma.compress(d, lzma.FORMAT_ALONE, preset=0),
                 xz):
        # With what the kernel's build puts behind it, and without.
        for tail in (b'', struct.pack('<I', len(elf_kernel()))):
            i.make(vmlinuz=bzimage(pack(elf_kernel()), tail=tail))
            assert i.kernel == elf_kernel()
    i.refuse('does not say its release', vmlinuz=elf_kernel())


def test_modules_when_compressed_then_plain_in_the_guest(i):
    i.make(package=package(whole()))
    expected = i.initramfs
    for suffix, pack in (('.xz', xz), ('.zst', zstd),
                         ('.gz', gzip.compress)):
        i.make(package=package(whole(suffix=suffix, pack=pack)))
        assert i.initramfs == expected, suffix
    i.refuse('virtio.ko.xz', package=package(whole(suffix='.xz', pack=lambda d: xz(d)[:-20])))


def test_modules_when_signed_then_without(i):
    files = whole()
    path = f'./lib/modules/{RELEASE}/kernel/drivers/overlay.ko'
    files[path] = module(signature=b's' * 300)
    i.make(package=package(files))
    assert read_cpio(i.initramfs)['banger/mod/overlay.ko'][2] == module()
    # A length that cannot be is part of the module.
    files[path] = module() + bytes(8) + b'\xff' * 4 + b'~Module signature appended~\n'
    i.make(package=package(files))
    assert read_cpio(i.initramfs)['banger/mod/overlay.ko'][2] == files[path]


def test_modules_when_built_in_then_not_needed(i):
    files = {f'./boot/vmlinuz-{RELEASE}': bzimage(gzip.compress(elf_kernel())),
             f'./lib/modules/{RELEASE}/modules.builtin': b'kernel/fs/ext4/ext4.ko\nkernel/drivers/virtio/virtio.ko\n'
                                                         b'kernel/drivers/virtio/virtio_ring.ko\n',
             **modules({'virtio_blk': 'virtio_ring', 'virtio_mmio': 'virtio'})}
    i.make(package=package(files))
    found = read_cpio(i.initramfs)
    assert found['banger/plan/mmio'][2] == b'/banger/mod/virtio_blk.ko\n/banger/mod/virtio_mmio.ko async_probe\n'
    assert found['banger/plan/root'][2] == b''


def test_modules_when_one_is_missing_or_in_a_circle_then_named(i):
    i.refuse('module ext4 needs one that is not there', package=package(whole(depends={**DEPENDS, 'ext4': 'jbd3'})))
    i.refuse('needs one that is not there',
             package=package(whole(depends={**DEPENDS, 'jbd2': 'mbcache', 'mbcache': 'jbd2'})))


def test_files_when_given_then_as_a_package(i):
    i.make(package=package(whole()))
    kernel, initramfs = i.kernel, i.initramfs
    image = bzimage(gzip.compress(elf_kernel()))
    for prefix in ('lib', './lib', '/lib', 'usr/lib', './usr/lib'):
        i.make(vmlinuz=image, modules=gzip.compress(tar(modules(prefix=prefix))))
        assert (i.kernel, i.initramfs) == (kernel, initramfs), prefix
    i.refuse('two kernels', vmlinuz=bzimage(gzip.compress(elf_kernel()), '5.10'), modules=tar(modules()))


def test_input_when_wrong_then_refused_in_words(i):
    good = package(whole())
    image = bzimage(gzip.compress(elf_kernel()))
    for words, data in (('not a Debian package', b''), ('not a Debian package', b'MZ' * 4000),
                        ('no data.tar', ar({'debian-binary': b'2.0\n'})),
                        ('meta-package', package({'./usr/share/doc/linux-image/changelog': b'x'})),
                        ('', good[:len(good) // 2]), ('', good[:-600]),
                        ('not a kernel release', package({'./boot/vmlinuz-a b': image})),
                        ('not a kernel release', package({'./boot/vmlinuz-../x': image})),
                        ('two kernels', package({**whole(), './lib/modules/5.10/modules.builtin': b''})),
                        ('is damaged', package({**whole(), f'./lib/modules/{RELEASE}/overlay.ko': b'\x7fELF' * 99}))):
        i.refuse(words, package=data)
    for words, data in (('neither a bzImage', b'does not say'), ('neither a bzImage', bzimage(b'', version=0x207))):
        status, line = i.run(vmlinuz=data)
        assert status == 1 and ('does not say its release' in line or words in line), line
    for data in (bzimage(b'not compressed'), bzimage(gzip.compress(b'no ELF')),
                 bzimage(gzip.compress(elf_kernel())[:200]), bzimage(gzip.compress(elf_kernel()[:-1])), bzimage(b'')):
        i.refuse('cannot be uncompressed', vmlinuz=data)
    i.refuse('neither a bzImage', vmlinuz=image[:1100])


def test_input_when_a_file_is_too_large_then_named(i):
    name = f'lib/modules/{RELEASE}/modules.builtin'
    status, line = i.run(package=package({**whole(), './' + name: bytes((1 << 20) + 1)}))
    assert status == 1 and line.endswith(f'a file in the archive is too large: {name}'), line


def test_input_when_a_directory_then_told_so(i):
    with open(os.path.join(i.directory, 'out'), 'wb') as out:
        fd = os.open(i.directory, os.O_RDONLY)
        done = subprocess.run([i.program, '--package', str(fd), '--kernel', str(out.fileno()), '--initramfs',
                               str(out.fileno()), '--status', '1'], pass_fds=[fd, out.fileno()],
                              stdout=subprocess.PIPE, text=True, check=False)
        os.close(fd)
    assert 'not a Debian package: Is a directory' in done.stdout, done.stdout


def test_input_when_it_names_a_place_outside_then_only_its_name_counts(i):
    files = {f'./lib/modules/{RELEASE}/../../../../tmp/overlay.ko': module(), **whole()}
    i.make(package=package(files))
    assert not [name for name in read_cpio(i.initramfs) if '..' in name]


def test_version_when_it_lies_at_the_very_end_then_not_read_beyond(i):
    # No NUL and no space behind it: what follows is not ours.
    image = bytearray(bzimage(b'', tail=b''))
    image[0x20e:0x210] = struct.pack('<H', len(image) - 0x200 - 4)
    image[-4:] = b'6.10'
    i.refuse('neither a bzImage' if len(image) < 0x250 else 'cannot be uncompressed', vmlinuz=bytes(image))


def test_output_when_full_then_no_space(i):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    status, line = i.run(preexec=limit, vmlinuz=bzimage(gzip.compress(elf_kernel())))
    assert status == 1 and line.startswith('error '), line


def main():
    tests = [(n, f) for n, f in globals().items()
             if n.startswith('test_') and n == os.environ.get('BANGER_TEST', n)]
    print(f'1..{len(tests)}')
    failed = False
    for number, (name, run) in enumerate(tests, 1):
        with tempfile.TemporaryDirectory(prefix='banger-kernel-') as directory:
            try:
                run(Importer(sys.argv[1], directory))
                print(f'ok {number} - {name}', flush=True)
            except Exception:  # a test's failure is a line of the result, and the rest still runs
                traceback.print_exc()
                print(f'not ok {number} - {name}', flush=True)
                failed = True
    sys.exit(failed)


if __name__ == '__main__':
    main()
