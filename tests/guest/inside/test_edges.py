# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes wrong around machines: clients that die, rules that say no, full disks, images with next to nothing."""

import glob
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tarfile
import time
import unittest

import world

sys.path.append(os.path.join(os.path.dirname(__file__), '..', '..', 'bench'))
import start  # noqa: E402

RULE = pathlib.Path('/etc/polkit-1/rules.d/10-test.rules')
DENY = 'polkit.addRule(function(a, s) { if (a.id == "org.banger.helper.launch-vmm") return polkit.Result.NO; });\n'
AGENT = '/usr/libexec/banger-vsock-agent'
PROGRAMS = ('/bin/sh', '/usr/bin/cat', '/usr/bin/sleep')

dev, dev2, outsider = world.User('dev'), world.User('dev2'), world.User('outsider')


def left():
    """What a machine leaves on the host while it is there."""
    return {
        'vmms': [name for name in world.names() if name.startswith('qemu-system')],
        'jails': sorted(path.name for path in world.JAILS.iterdir()) if world.JAILS.exists() else [],
        'disks': sorted(os.listdir(f'{dev.home}/.local/share/banger/vm')),
        'rows': dev.vms(),
    }


class Clean(unittest.TestCase):
    """Afterwards there is what there was before."""

    def setUp(self):
        dev.must('vm', 'run', '--rm', '--', 'true')
        self.before = left()

    def tearDown(self):
        # The daemon clears up after a client that has gone while we look: what it does last is taking the row away.
        while dev.vms() != self.before['rows']:
            time.sleep(0.1)
        self.assertEqual(left(), self.before)


class Ephemeral(Clean):
    def test_rm_when_command_ends_then_gone(self):
        self.assertEqual(dev.banger('vm', 'run', '--rm', '--', 'sh', '-c', 'exit 9').returncode, 9)

    def test_rm_when_client_is_killed_then_gone(self):
        client = dev.start('banger', 'vm', 'run', '--rm', '--', 'sh', '-c', 'echo up; exec sleep 1000')
        self.assertEqual(client.stdout.readline(), b'up\n')
        world.kill(client.pid)
        client.communicate()

    def test_start_when_interrupted_then_130_and_gone(self):
        client = dev.start('banger', 'vm', 'run', '--rm', '--', 'true')
        while len(left()['vmms']) == len(self.before['vmms']):
            time.sleep(0.1)
        client.send_signal(signal.SIGINT)
        client.communicate()
        self.assertEqual(client.returncode, 130)

    def test_start_when_client_is_killed_then_gone(self):
        client = dev.start('banger', 'vm', 'run', '--rm', '--', 'true')
        while len(left()['vmms']) == len(self.before['vmms']):
            time.sleep(0.1)
        world.kill(client.pid)
        client.communicate()


class Denied(Clean):
    def setUp(self):
        super().setUp()
        RULE.write_text(DENY)
        world.kill(world.User('polkitd').pid_of('polkitd'))

    def tearDown(self):
        RULE.unlink()
        world.kill(world.User('polkitd').pid_of('polkitd'))
        super().tearDown()

    def test_launch_when_a_rule_denies_then_125_names_action_and_remedy(self):
        done = dev.banger('vm', 'run', '--rm', '--', 'true')
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertIn('org.banger.helper.launch-vmm', done.stderr)
        self.assertIn('rules.d', done.stderr)


class Damaged(Clean):
    def test_image_when_it_is_no_file_then_named_and_everything_else_goes_on(self):
        for image in pathlib.Path(f'{dev.home}/.local/share/banger/image').glob('*/root.ext4'):
            aside = image.with_name('aside')
            image.rename(aside)
            os.mkfifo(image, 0o600)
            os.chown(image, dev.uid, dev.uid)
            self.addCleanup(aside.rename, image)
        done = dev.banger('vm', 'run', '--rm', '--', 'true')
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertIn('/root.ext4 is not a regular file', done.stderr)
        self.assertNotIn('--help', done.stderr)


class Users(unittest.TestCase):
    def test_outsider_when_running_then_not_authorized(self):
        outsider.run('mkdir', '-p', f'{outsider.home}/.local/share')
        subprocess.run(['cp', '-a', '--reflink=auto', f'{dev.home}/.local', outsider.home], check=True)
        subprocess.run(['chown', '-R', f'{outsider.uid}', f'{outsider.home}/.local'], check=True)
        done = outsider.banger('vm', 'run', '--rm', '--', 'true')
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertIn('org.banger.helper.', done.stderr)
        self.assertEqual(outsider.vms(), [])

    def test_two_users_when_at_once_then_neither_sees_the_other(self):
        subprocess.run(['cp', '-a', f'{dev.home}/.local', dev2.home], check=True)
        subprocess.run(['chown', '-R', f'{dev2.uid}', f'{dev2.home}/.local'], check=True)
        both = [user.start('banger', 'vm', 'run', '--name', 'same', '--', 'cat', '/etc/hostname')
                for user in (dev, dev2)]
        for process in both:
            out, err = process.communicate()
            self.assertEqual((process.returncode, out), (0, b'same\n'), err)
        for user in (dev, dev2):
            self.assertEqual(user.vms(), ['same'])
            user.must('vm', 'delete', '-f', 'same')


class Late(unittest.TestCase):
    """A guest whose parts come up in an order in which they seldom do: what one of them still looks for stays."""

    # What is there already is loaded so many times more.
    TIMES = 2000

    def setUp(self):
        path, = glob.glob(f'{dev.home}/.local/share/banger/kernel/*/initramfs')
        self.initramfs = pathlib.Path(path)
        self.addCleanup(self.write, self.initramfs.read_bytes())

    def write(self, data):
        self.initramfs.write_bytes(data)
        # It has the old one in memory.
        dev.must('vm', 'list')
        world.kill(dev.pid_of('bangerd'))

    def delay(self, plan, module, behind):
        """Whoever loads the modules of the plan, before that one or behind it."""
        old = self.initramfs.read_bytes()
        line = f'/banger/mod/{module}.ko'.encode()
        lines = next(text for text in re.findall(rb'(?:/banger/mod/[^\n\0]+\n)+', old) if line in text).splitlines()
        at = next(i for i, found in enumerate(lines) if found.startswith(line)) + behind
        lines[at:at] = [lines[0]] * self.TIMES
        entry = start.cpio_entry(f'banger/plan/{plan}'.encode(), 0o100644, b'\n'.join(lines) + b'\n')
        self.write(start.padded(old) + entry + start.cpio_entry(b'TRAILER!!!', 0, b''))

    def test_card_when_its_driver_is_late_then_up_for_the_first_command_and_without_ipv6(self):
        self.delay('later', 'virtio_net', behind=False)
        look = 'ip route get 192.0.2.1; cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6'
        lines = dev.must('vm', 'run', '--rm', '--network', 'host', '--', 'sh', '-c', look).splitlines()
        self.assertRegex(lines[0], r'^192\.0\.2\.1 via \S+ dev eth0 ')
        self.assertEqual(lines[-1], '1')

    def test_agent_when_its_driver_is_late_then_the_command_runs(self):
        self.delay('mmio', 'virtio_mmio', behind=True)
        self.assertEqual(dev.must('vm', 'run', '--rm', '--', 'echo', 'up'), 'up\n')


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.directory = f'{dev.home}/.local/share/banger/vm'
        subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size=48M,uid={dev.uid},gid={dev.uid},mode=0700', 'tmpfs',
                        self.directory], check=True)

    def tearDown(self):
        for name in dev.vms():
            dev.banger('vm', 'delete', '-f', name)
        subprocess.run(['umount', '-l', self.directory], check=True)

    def fill(self):
        """A machine that found no space for what its command, which is returned, writes."""
        dev.must('vm', 'run', '-d', '--name', 'full')
        # One that writes while there is no space pauses too; an init has always something to write.
        dev.must('vm', 'run', '-d', '--name', 'other', '--init', 'none')
        dev.execute('other', 'sync')
        writer = dev.start('banger', 'vm', 'exec', 'full', '--', 'sh', '-c',
                           'head -c 96M /dev/urandom > /srv/big && sync && sha256sum < /srv/big')
        while dev.show('full')['state'] == 'running':
            time.sleep(0.2)
        return writer

    def make_space(self):
        subprocess.run(['mount', '-o', 'remount,size=512M', self.directory], check=True)

    def test_vm_when_host_disk_is_full_then_it_pauses_alone_and_goes_on_after(self):
        writer = self.fill()
        shown = dev.show('full')
        self.assertEqual(shown['state'], 'paused')
        self.assertIn('disk is full', shown['error'])
        self.assertEqual(dev.execute('other', 'echo', 'well'), 'well\n')
        self.make_space()
        dev.must('vm', 'start', 'full')
        out, err = writer.communicate()
        self.assertEqual(writer.returncode, 0, err)
        self.assertIn(b"the VM is paused: the host's disk is full", err)
        self.assertEqual(dev.execute('full', 'sh', '-c', 'sha256sum < /srv/big').encode(), out)
        self.assertEqual(dev.show('full')['error'], '')

    def test_paused_vm_when_daemon_is_killed_then_found_paused_and_goes_on_after(self):
        writer = self.fill()
        world.kill(dev.pid_of('bangerd'))
        writer.communicate()
        self.assertEqual(writer.returncode, 125)
        while (state := dev.show('full')['state']) == 'starting':
            time.sleep(0.1)
        self.assertEqual(state, 'paused')
        self.assertIn('disk is full', dev.show('full')['error'])
        self.assertEqual(dev.banger('vm', 'exec', 'full', '--', 'true').returncode, 125)
        self.make_space()
        dev.must('vm', 'start', 'full')
        self.assertEqual(dev.execute('full', 'sh', '-c', 'sync; dmesg | grep -c "I/O error" || true'), '0\n')

    def test_create_when_host_disk_is_full_then_refused_and_nothing_left(self):
        subprocess.run(['mount', '-o', 'remount,size=4k', self.directory], check=True)
        done = dev.banger('vm', 'run', '--name', 'none', '--', 'true')
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertIn('space', done.stderr)
        self.assertEqual((dev.vms(), os.listdir(self.directory)), ([], []))


def small_root():
    """A root with a shell, two programs, what those are linked with, and no init."""
    paths = {os.path.realpath(program): program for program in PROGRAMS}
    for program in PROGRAMS:
        for word in subprocess.run(['ldd', program], stdout=subprocess.PIPE, check=True).stdout.decode().split():
            if word.startswith('/'):
                paths[os.path.realpath(word)] = word
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode='w') as tar:
        for real, name in paths.items():
            tar.add(real, name.lstrip('/'))
    return archive.getvalue()


def small_kernel(release):
    """What passes for a bzImage, with the least of an ELF file in it."""
    elf = b'\x7fELF\x02\x01\x01' + bytes(9) + struct.pack('<HHIQQQIHHHHHH', 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    elf += struct.pack('<IIQQQQQQ', 1, 5, 120, 0, 0, 8, 8, 4096) + bytes(8)
    payload, setup = gzip.compress(elf), bytearray(1024)
    setup[0x1f1], setup[0x202:0x208], setup[0x20e:0x210] = 1, b'HdrS\x0f\x02', b'\0\1'
    setup[0x248:0x250] = struct.pack('<II', 0, len(payload))
    setup[0x300:0x300 + len(release) + 1] = release.encode() + b' '
    return bytes(setup) + payload


def replace_file(path, data):
    """As an upgrade does, with owner and mode as they were."""
    old = os.stat(path)
    pathlib.Path(f'{path}.new').write_bytes(data)
    os.chown(f'{path}.new', old.st_uid, old.st_gid)
    os.chmod(f'{path}.new', old.st_mode)
    os.replace(f'{path}.new', path)


def old_initramfs(part):
    """As older stores have it: with an agent of its own, which here is none."""
    out = b''
    for name, mode, data in (b'init', 0o100755, b'no program'), (b'TRAILER!!!', 0, b''):
        fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        for piece in b'070701' + b''.join(b'%08X' % field for field in fields) + name + b'\0', data:
            out += piece + bytes(-len(piece) % 4)
    return out + part


class Kernels(unittest.TestCase):
    def test_agent_when_upgraded_then_the_next_start_has_it_without_an_import(self):
        old = pathlib.Path(AGENT).read_bytes()
        self.addCleanup(replace_file, AGENT, old)
        for agent in old, old + b'upgraded':
            replace_file(AGENT, agent)
            shown = dev.must('vm', 'run', '--rm', '--', 'sh', '-c', 'sha256sum < /proc/$PPID/exe')
            self.assertEqual(shown.split()[0], hashlib.sha256(agent).hexdigest())

    def test_kernel_when_of_an_older_store_then_boots_with_the_installed_agent(self):
        path, = glob.glob(f'{dev.home}/.local/share/banger/kernel/*/initramfs')
        part = pathlib.Path(path).read_bytes()
        self.addCleanup(replace_file, path, part)
        replace_file(path, old_initramfs(part))
        # What it has in memory is of before.
        world.kill(dev.pid_of('bangerd'))
        dev.must('vm', 'run', '--rm', '--', 'true')

    def test_release_when_it_is_no_name_then_one_is_made_of_it(self):
        path = f'{dev.home}/vmlinuz'
        for release, name in ('6.9.0-RC1~x+', '6.9.0-rc1-x'), ('+', ''):
            pathlib.Path(path).write_bytes(small_kernel(release))
            done = dev.banger('kernel', 'import', '--vmlinuz', path)
            if name:
                self.assertEqual(done.returncode, 0, done.stderr)
                shown = json.loads(dev.must('--json', 'kernel', 'show', name))
                self.assertEqual((shown['name'], shown['release']), (name, release))
                dev.must('kernel', 'delete', name)
            else:
                self.assertEqual(done.returncode, 1)
                self.assertIn('give it one', done.stderr)
        os.unlink(path)


class Ends(Clean):
    """With a patience that no run outlasts: whoever is not heard waits for ever."""

    def test_stop_when_init_is_at_any_point_of_its_start_then_heard(self):
        dev.must('vm', 'create', '--name', 'early')
        # systemd makes its directory before it listens, and its bus behind that.
        waits = ('true', 'until [ -e /run/systemd/system ]; do :; done',
                 'until [ -e /run/systemd/private ]; do :; done')
        for wait in waits:
            dev.must('vm', 'start', 'early')
            dev.execute('early', 'sh', '-c', wait)
            dev.must('vm', 'stop', '--timeout', '1000', 'early')
            self.assertEqual(dev.show('early')['state'], 'stopped', wait)
        dev.must('vm', 'restart', 'early')
        self.assertEqual(dev.show('early')['state'], 'running')
        dev.must('vm', 'delete', '-f', 'early')

    def test_panic_when_running_then_error_with_its_words(self):
        dev.must('vm', 'run', '-d', '--name', 'panics')
        done = dev.banger('vm', 'exec', 'panics', 'sh', '-c', 'echo c > /proc/sysrq-trigger')
        self.assertEqual(done.returncode, 125, done.stderr)
        while dev.show('panics')['state'] == 'running':
            time.sleep(0.1)
        shown = dev.show('panics')
        self.assertEqual(shown['state'], 'error')
        self.assertIn('Kernel panic - not syncing: sysrq triggered crash', shown['error'])
        dev.must('vm', 'delete', '-f', 'panics')

    def test_start_when_guest_has_too_little_memory_then_its_last_words(self):
        done = dev.banger('vm', 'run', '--rm', '--memory', '64M', '--', 'true')
        self.assertEqual(done.returncode, 125)
        self.assertIn('Kernel panic', done.stderr)
        self.assertNotIn('vm logs', done.stderr)


class Images(unittest.TestCase):
    def test_image_when_without_init_then_commands_run(self):
        dev.must('image', 'import', '--name', 'small', '-', data=small_root())
        try:
            done = dev.banger('vm', 'run', '--rm', '--image', 'small', '--', 'sh', '-c', 'cat /proc/1/comm; exit 3')
            self.assertEqual((done.returncode, done.stdout), (3, 'init\n'), done.stderr)
        finally:
            dev.must('image', 'delete', 'small')

    def test_default_image_when_told_to_do_without_init_then_commands_run(self):
        dev.must('vm', 'create', '--name', 'plain', '--init', 'none')
        dev.must('vm', 'start', 'plain')
        self.assertEqual(dev.execute('plain', 'cat', '/proc/1/comm'), 'init\n')
        dev.execute('plain', 'sh', '-c', 'echo kept > /srv/file')
        dev.must('vm', 'restart', 'plain')
        self.assertEqual(dev.execute('plain', 'cat', '/srv/file'), 'kept\n')
        dev.must('vm', 'delete', '-f', 'plain')

    def test_image_when_used_then_not_deleted(self):
        dev.must('vm', 'create', '--name', 'user')
        done = dev.banger('image', 'delete', '-f', dev.show('user')['image'])
        self.assertEqual(done.returncode, 1)
        self.assertIn('user', done.stderr)
        dev.must('vm', 'delete', '-f', 'user')


if __name__ == '__main__':
    world.tap.main()
