# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a VM's network lets through beside one that is plumbed by hand: tools/bench net [--json] [--pairs N] [--mib N].

Runs as root in the world of tools/try. A guest with --nat, and another of the same kernel, initramfs, disks and QEMU
line, talk by TCP to a program outside. The other's QEMU runs without a jail, on a bridge with masquerading and nothing
else, in a namespace that stands beside the host at the same router. Neither guest has anything else to do.

*_out_mib_s         what the guest sends; *_in_mib_s: what it is sent; *_latency_us: a byte there and back
throughput_*_ratio  banger's by that of the one plumbed by hand
latency_ratio       the one plumbed by hand by banger's: below 1 banger is the slower one, as with the others

Medians of pairs, and of their ratios: who else has work for the host has it for both. Each begins with the other one.
"""

import argparse
import contextlib
import glob
import json
import os
import pwd
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.append('/usr/src/tools')
import neighbourhood  # noqa: E402

NAME, PORT, TURNS = 'bench-net', 7000, 200
TARGET = 0.95
OURS, HAND = 'banger', 'hand'
HAND_ADDRESS, HAND_GATEWAY, HAND_LENGTH = '10.99.0.2', '10.99.0.1', 22
# As the host has its door.
HAND_DOOR = 'link add port2 type veth peer name eth0 netns hand\nlink set port2 master door up'
HAND_LINKS = f"""
link set lo up
addr add 192.168.50.8/24 dev eth0
link set eth0 up
route add default via {neighbourhood.ROUTER}
link add bridge type bridge
tuntap add dev tap mode tap vnet_hdr
link set tap master bridge up
addr add {HAND_GATEWAY}/{HAND_LENGTH} dev bridge
link set bridge up
"""
HAND_RULES = f"""
table ip hand {{
	chain postrouting {{
		type nat hook postrouting priority srcnat;
		ip saddr {HAND_GATEWAY}/{HAND_LENGTH} oifname eth0 masquerade
	}}
}}
"""
# The guest's init: does what it is told, a letter and eight digits, and no more. Put there, it may be in time for
# the guest that runs, to which nobody listens yet.
INIT = rf"""#!/usr/bin/perl
use Socket qw(:DEFAULT IPPROTO_TCP TCP_NODELAY);
my $block = "\0" x 65536;
socket(my $s, PF_INET, SOCK_STREAM, 0) or die($!);
setsockopt($s, IPPROTO_TCP, TCP_NODELAY, 1) or die($!);
connect($s, pack_sockaddr_in({PORT}, inet_aton("{neighbourhood.WORLD}"))) or sleep;
sub put {{ my $at = 0; while ($at < length($_[0])) {{ $at += (syswrite($s, $_[0], 65536, $at) or die($!)); }} }}
while (sysread($s, my $command, 9) == 9) {{
	my ($what, $n) = ($command =~ /^(.)(\d+)/);
	if ($what eq "o") {{ put($block) for 1 .. $n * 16; }}
	elsif ($what eq "i") {{
		my $left = $n << 20;
		while ($left > 0) {{ $left -= (sysread($s, my $data, 65536) or die($!)); }}
		put("x");
	}}
	else {{ for (1 .. $n) {{ sysread($s, my $byte, 1) or die($!); put($byte); }} }}
}}
"""


def banger(*arguments, data=None):
    """As the user who has image and kernel."""
    user = pwd.getpwnam('dev')
    runtime = f'/run/user/{user.pw_uid}'
    environment = {**os.environ, 'HOME': user.pw_dir, 'XDG_RUNTIME_DIR': runtime,
                   'DBUS_SESSION_BUS_ADDRESS': f'unix:path={runtime}/bus'}
    return subprocess.run(['banger', *arguments], input=data, stdout=subprocess.PIPE, check=True, text=True, cwd='/',
                          env=environment, user=user.pw_uid, group=user.pw_gid,
                          extra_groups=os.getgrouplist(user.pw_name, user.pw_gid)).stdout


def find_vmm():
    """Its pid and its words."""
    for path in glob.glob('/proc/[0-9]*/cmdline'):
        with open(path, encoding='utf-8') as file:
            words = file.read().split('\0')[:-1]
        if words and '/qemu-system-' in words[0]:
            return int(path.split('/')[2]), words
    raise SystemExit('bench: no VMM is running')


class ByHand:
    """The VMM of a VM that runs now, to be started once more without banger. It has that VM's disk as it is."""

    def __init__(self, directory):
        pid, words = find_vmm()
        opened = {os.path.basename(os.readlink(path)): path for path in glob.glob(f'/proc/{pid}/fd/*')}
        neighbourhood.run('cp', '--sparse=always', opened['disk.ext4'], f'{directory}/disk')
        disks = [os.open(opened['root.ext4'], os.O_RDONLY), os.open(f'{directory}/disk', os.O_RDWR)]
        boot = [os.open(f'/proc/{pid}/fd/{words[words.index(option) + 1].rpartition("/")[2]}', os.O_RDONLY)
                for option in ('-kernel', '-initrd')]
        self.fds = [*disks, *boot]
        changes = ((r'^socket,id=(\w+),fd=\d+', rf'socket,id=\1,path={directory}/\1'),
                   (r'^tap,id=net0,fd=\d+', 'tap,id=net0,ifname=tap,script=no,downscript=no'),
                   (r'banger\.address=\S+', f'banger.address={HAND_ADDRESS}/{HAND_LENGTH}'),
                   (r'banger\.gateway=\S+', f'banger.gateway={HAND_GATEWAY}'),
                   *((rf'^fd=\d+,set={number}$', f'fd={fd},set={number}') for number, fd in enumerate(disks)))
        for pattern, new in changes:
            words = [re.sub(pattern, new, word) for word in words]
        for option, fd in zip(('-kernel', '-initrd'), boot):
            words[words.index(option) + 1] = f'/proc/self/fd/{fd}'
        self.words = words

    @contextlib.contextmanager
    def run(self):
        space = neighbourhood.Space('hand')
        neighbourhood.Space('router', new=False).batch(HAND_DOOR)
        space.batch(HAND_LINKS)
        space.sysctl(ip_forward=1)
        with space.inside():
            neighbourhood.run('nft', '-f', '-', text=HAND_RULES)
            process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, pass_fds=self.fds)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def receive(guest, size):
    while size > 0:
        part = guest.recv(1 << 18)
        if not part:
            raise SystemExit('bench: a guest is gone')
        size -= len(part)


def tell(guest, letter, number):
    guest.sendall(f'{letter}{number:08}'.encode())


def send_out(guest, mib):
    begin = time.monotonic()
    tell(guest, 'o', mib)
    receive(guest, mib << 20)
    return mib / (time.monotonic() - begin)


def send_in(guest, mib):
    block = bytes(1 << 20)
    tell(guest, 'i', mib)
    begin = time.monotonic()
    for _ in range(mib):
        guest.sendall(block)
    receive(guest, 1)
    return mib / (time.monotonic() - begin)


def take_turns(guest, _):
    times = []
    tell(guest, 'e', TURNS)
    for _ in range(TURNS):
        begin = time.monotonic()
        guest.sendall(b'x')
        receive(guest, 1)
        times.append((time.monotonic() - begin) * 1e6)
    return statistics.median(times)


MEASURES = {'out_mib_s': send_out, 'in_mib_s': send_in, 'latency_us': take_turns}


def measure(guests, pairs, mib):
    values = {f'{name}_{what}': [] for name in (OURS, HAND) for what in MEASURES}
    # The first time everything is translated.
    for number in range(pairs + 1):
        for what, action in MEASURES.items():
            for name in (OURS, HAND)[::1 if number % 2 else -1]:
                values[f'{name}_{what}'].append(action(guests[name], mib))
        print(f'{number}/{pairs}', *(f'{key}={found[-1]:.1f}' for key, found in values.items()), file=sys.stderr)

    def ratio(what, of, by):
        found = zip(values[f'{of}_{what}'][1:], values[f'{by}_{what}'][1:])
        return round(statistics.median(one / other for one, other in found), 3)

    return {**{key: round(statistics.median(found[1:]), 1) for key, found in values.items()},
            'throughput_out_ratio': ratio('out_mib_s', OURS, HAND),
            'throughput_in_ratio': ratio('in_mib_s', OURS, HAND),
            'latency_ratio': ratio('latency_us', HAND, OURS)}


def accept(listener):
    guest, _ = listener.accept()
    guest.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return guest


def run(options):
    script = 'cat >/sbin/new && chmod 755 /sbin/new && mv /sbin/new /sbin/init && sync'
    banger('vm', 'exec', NAME, '--', 'sh', '-c', script, data=INIT)
    with neighbourhood.Space('world', new=False).socket() as listener, tempfile.TemporaryDirectory() as directory:
        machine = ByHand(directory)
        banger('vm', 'stop', '--timeout', '0', NAME)
        listener.bind((neighbourhood.WORLD, PORT))
        listener.listen()
        banger('vm', 'start', NAME)
        with accept(listener) as ours, machine.run(), accept(listener) as hand:
            return measure({OURS: ours, HAND: hand}, options.pairs, options.mib)


def main():
    parser = argparse.ArgumentParser(prog='tools/bench net', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--json', action='store_true', help='one object on standard output')
    parser.add_argument('--pairs', type=int, default=40, metavar='N', help='how often each is measured (default: 40)')
    parser.add_argument('--mib', type=int, default=64, metavar='N', help='how much is sent each time (default: 64)')
    options = parser.parse_args()
    banger('vm', 'run', '-d', '--nat', '--name', NAME)
    try:
        result = run(options)
    finally:
        banger('vm', 'delete', '-f', NAME)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        target = f'  (target: at least {TARGET})' if name.endswith('_ratio') else ''
        print(f'{name:22} {value:10}{target}')


if __name__ == '__main__':
    main()
