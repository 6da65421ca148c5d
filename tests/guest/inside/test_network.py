# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real guests with a card on a tap, which is the whole network of this world; before the helper makes taps itself, a
launcher between it and the real one adds them.
"""

import array
import contextlib
import fcntl
import hashlib
import http.server
import json
import os
import re
import socket
import struct
import subprocess
import threading
import unittest

import world

LAUNCHER = '/usr/libexec/banger-jail'
MTU = 1400
ZONE = 'dev.vm'
# By the name of a machine: its subnet, and what it is.
SUBNETS = {'micro': ('10.77.1', 'qemu-microvm'), 'classic': ('10.77.2', 'qemu-q35')}
TUNSETIFF, TAP = 0x400454ca, 0x5002  # IFF_TAP, IFF_NO_PI, IFF_VNET_HDR
REQUEST_MAX, FDS_MAX = 4096, 16
ICMP_ECHO, ICMP_REPLY = 8, 0
SIZE = 16 << 20
# As src/shared/rules/boot-cmdline.c says it.
GENERAL = 'net.ifnames=0 systemd.mask=systemd-networkd-wait-online.service'

dev = world.User('dev')

# Its bus may not be there yet, and nothing outside tells when it is.
SETTLED = 'until systemctl is-system-running --wait 2>/dev/null | grep -E "running|degraded"; do sleep .2; done'
FACTS = """
echo '{"link":'; ip -json link show eth0
echo ',"addresses":'; ip -json address show dev eth0
echo ',"routes":'; ip -json route show
echo ',"neighbours":'; ip -json -6 route show dev eth0
echo '}'
"""
# The image has no ping, but perl: who answers an echo, and with what.
PING = r"""
socket(my $s, PF_INET, SOCK_RAW, 1) or die $!;
my $sum = unpack("%32n*", my $text = pack("C2n3", 8, 0, 0, 7, 1));
$sum = ($sum >> 16) + ($sum & 0xffff);
send($s, pack("C2n3", 8, 0, ~$sum & 0xffff, 7, 1), 0, sockaddr_in(0, inet_aton($ARGV[0]))) or die $!;
recv($s, my $answer, 1500, 0);
printf("%s %d\n", inet_ntoa(substr($answer, 12, 4)), unpack("x20C", $answer));
"""
SERVE = r"""
my $s = IO::Socket::INET->new(LocalAddr => $ARGV[0], LocalPort => 7000, Listen => 1) or die $!;
$| = 1;
print("ready\n");
my $c = $s->accept;
open(STDIN, "<&", $c) or die $!;
exec("sha256sum");
"""


def launcher_on(path):
    """The real launcher, listening there."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(16)

    def become_activated():
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        os.execve(LAUNCHER, [LAUNCHER], {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'})

    return subprocess.Popen([LAUNCHER], preexec_fn=become_activated, close_fds=False)


class Between:
    """A launcher for the helper that gives machines of some names a tap, and leaves the rest to the real one."""

    def __init__(self):
        world.JAILS.mkdir(mode=0o700, exist_ok=True)
        self.behind = '/run/banger-test-launcher'
        self.process = launcher_on(self.behind)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(world.JAILS / 'socket'))
        self.listener.listen(16)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.pass_on, args=(connection,), daemon=True).start()

    def pass_on(self, connection):
        with connection, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as real:
            request, fds, _, _ = socket.recv_fds(connection, REQUEST_MAX, FDS_MAX)
            request, fds = self.add_network(request, fds)
            real.connect(self.behind)
            socket.send_fds(real, [request], fds)
            reply, back, _, _ = socket.recv_fds(real, REQUEST_MAX, FDS_MAX)
            socket.send_fds(connection, [reply], back)
            for fd in *fds, *back:
                os.close(fd)

    def add_network(self, request, fds):
        name = re.search(rb'banger\.hostname=(\S+?)[ \0]', request)
        subnet, _ = SUBNETS.get(name.group(1).decode() if name else '', (None, None))
        if not subnet:
            return request, fds
        # The command line is the last of the request; before it come the card's address, and whether there is one.
        at = request.index(b'console=ttyS0')
        end = request.index(b'\0', at)
        words = (f' {GENERAL} banger.address={subnet}.2/24 banger.gateway={subnet}.1 '
                 f'banger.mtu={MTU} banger.domain={ZONE}').encode()
        address = socket.inet_aton(f'{subnet}.2')
        changed = (request[:at - 7] + b'\1\x02\x62' + address + request[at:end] + words + request[end + len(words):])
        return changed, [*fds, make_tap(f'bgr-t{address.hex()}', f'{subnet}.1/24')]


def make_tap(name, address):
    fd = os.open('/dev/net/tun', os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH22x', name.encode(), TAP))
    for command in ['address', 'add', address, 'dev', name], ['link', 'set', name, 'mtu', str(MTU), 'up']:
        subprocess.run(['ip', *command], check=True)
    return fd


def setUpModule():
    Between()


def ping(address):
    """From this world: the kernel of who has that address answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        body = bytes([ICMP_ECHO, 0, 0, 0, 0, 7, 0, 1])
        total = sum(array.array('H', body))
        check = ~((total >> 16) + (total & 0xffff)) & 0xffff
        sock.sendto(body[:2] + check.to_bytes(2, 'little') + body[4:], (address, 0))
        while True:
            answer, (source, _) = sock.recvfrom(1500)
            if source == address and answer[20] == ICMP_REPLY:
                return True


class Files(http.server.BaseHTTPRequestHandler):
    content = os.urandom(SIZE)

    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', str(SIZE))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serving(address):
    with http.server.ThreadingHTTPServer((address, 0), Files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


class Network:
    """What every machine with a card has to show; `name`: which."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.subnet, vmm = SUBNETS[cls.name]
        cls.own, cls.gateway = f'{cls.subnet}.2', f'{cls.subnet}.1'
        # The first command runs before there is anything of the image's.
        cls.first = json.loads(dev.must('vm', 'run', '--name', cls.name, '--vmm', vmm, '--', 'sh', '-c', FACTS))

    @classmethod
    def tearDownClass(cls):
        dev.must('vm', 'delete', '-f', cls.name)

    def execute(self, *argv, **options):
        return dev.execute(self.name, *argv, **options)

    def check_facts(self, facts):
        link, = facts['link']
        self.assertIn('UP', link['flags'])
        self.assertEqual((link['mtu'], link['address']),
                         (MTU, '02:62:' + ':'.join(f'{byte:02x}' for byte in socket.inet_aton(self.own))))
        card, = facts['addresses']
        self.assertEqual([(info['family'], info['local'], info['prefixlen'], info['broadcast'])
                          for info in card['addr_info']], [('inet', self.own, 24, f'{self.subnet}.255')])
        self.assertEqual(sorted((route['dst'], route.get('gateway'), route['dev']) for route in facts['routes']),
                         [(f'{self.subnet}.0/24', None, 'eth0'), ('default', self.gateway, 'eth0')])
        self.assertEqual(facts['neighbours'], [])

    def test_card_when_the_first_command_looks_then_up_as_told(self):
        self.check_facts(self.first)

    def test_names_when_looked_up_then_the_gateway_is_asked_and_the_machine_has_its_address(self):
        self.assertEqual(self.execute('cat', '/etc/resolv.conf'), f'nameserver {self.gateway}\nsearch {ZONE}\n')
        self.assertEqual(self.execute('getent', 'hosts', self.name).split(), [self.own, self.name])
        self.assertRegex(self.execute('getent', 'hosts', 'localhost'), r'^(127.0.0.1|::1)\s')

    def test_ping_when_sent_either_way_then_answered(self):
        self.assertTrue(ping(self.own))
        self.assertEqual(self.execute('perl', '-MSocket', '-e', PING, self.gateway), f'{self.gateway} 0\n')

    def test_stream_when_the_guest_fetches_then_intact(self):
        with serving(self.gateway) as port:
            done = self.execute('sh', '-c', f'curl -sS http://{self.gateway}:{port}/ | sha256sum')
        self.assertEqual(done.split()[0], hashlib.sha256(Files.content).hexdigest())

    def test_stream_when_the_guest_serves_then_intact(self):
        server = dev.start('banger', 'vm', 'exec', self.name, '--', 'perl', '-MIO::Socket::INET', '-e', SERVE, self.own)
        self.assertEqual(server.stdout.readline(), b'ready\n')
        with socket.create_connection((self.own, 7000)) as sock:
            sock.sendall(Files.content)
        out, err = server.communicate()
        self.assertEqual(out.decode().split()[:1], [hashlib.sha256(Files.content).hexdigest()], err)

    def test_networkd_when_started_then_it_leaves_the_card_alone(self):
        self.execute('sh', '-c', SETTLED)
        self.check_facts(json.loads(self.execute('sh', '-c', FACTS)))
        self.execute('systemctl', 'start', 'systemd-networkd')
        self.execute('sh', '-c', 'until networkctl --no-legend list eth0 | grep -q unmanaged; do sleep .2; done')
        self.check_facts(json.loads(self.execute('sh', '-c', FACTS)))
        # It would wait in vain for a card that networkd has: nobody who waits for the network waits for that.
        self.execute('systemctl', 'enable', '--quiet', 'systemd-networkd')
        self.execute('systemctl', 'start', 'network-online.target')
        self.assertEqual(self.execute('systemctl', 'show', '-P', 'LoadState', 'systemd-networkd-wait-online'),
                         'masked\n')
        self.assertIn('unmanaged-devices+=interface-name:eth0',
                      self.execute('cat', '/run/NetworkManager/conf.d/00-banger.conf'))


class Microvm(Network, unittest.TestCase):
    name = 'micro'

    def test_resolver_when_it_is_a_service_of_the_images_then_its_file_is_there_and_it_is_told(self):
        link = '../run/systemd/resolve/stub-resolv.conf'
        # What lies over the image's file is gone with the machine, and so is this mount.
        self.execute('sh', '-c', f'umount /etc/resolv.conf && ln -fs {link} /etc/resolv.conf && sync')
        dev.must('vm', 'stop', self.name)
        dev.must('vm', 'start', self.name)
        self.assertEqual(self.execute('readlink', '/etc/resolv.conf'), f'{link}\n')
        self.assertEqual(self.execute('cat', '/etc/resolv.conf', '/run/systemd/resolved.conf.d/00-banger.conf'),
                         f'nameserver {self.gateway}\nsearch {ZONE}\n[Resolve]\nDNS={self.gateway}\nDomains={ZONE}\n')


class Q35(Network, unittest.TestCase):
    name = 'classic'


class Without(unittest.TestCase):
    def test_machine_when_it_has_no_network_then_as_before(self):
        script = ('ls /sys/class/net /run/banger /run/systemd /run/NetworkManager 2>/dev/null; cat /etc/hosts; '
                  'stat -c %s /etc/resolv.conf; cat /proc/cmdline')
        lines = dev.must('vm', 'run', '--rm', '--name', 'plain', '--', 'sh', '-c', script).splitlines()
        self.assertEqual(lines[:-1], ['/run/banger:', 'fstab', 'hostname', 'hosts', '', '/sys/class/net:', 'lo',
                                      '127.0.0.1 localhost', '127.0.1.1 plain', '::1 localhost ip6-localhost', '0'])
        self.assertNotIn('net.ifnames', lines[-1])


class Zz(unittest.TestCase):
    def test_taps_when_the_machines_are_gone_then_gone_too(self):
        self.assertEqual([name for name in os.listdir('/sys/class/net') if name.startswith('bgr-')], [])


if __name__ == '__main__':
    world.tap.main()
