# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's neighbourhood (tools/neighbourhood.py), and guests that are namespaces behind the helper's taps.

A process may have sockets in every namespace at once: whoever speaks in a test is a socket made in there, and nothing
has to be started. What must not arrive is awaited by what may: a datagram that takes the same way behind it.
"""

import fcntl
import functools
import itertools
import os
import pwd
import select
import socket
import struct
import subprocess
import sys

import gi
gi.require_version('Gio', '2.0')
from gi.repository import Gio, GLib  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(HERE, *parts) for parts in (('..', 'contract'), ('..', 'faults'), ('..', '..', 'tools'))]
import inside as faults  # noqa: E402
import neighbourhood as around  # noqa: E402
import tap  # noqa: E402,F401
from neighbourhood import (FAR, HOST, LAN, LAN6, METADATA, NEAR, NEAR6, ROUTER, UPLINK, UPLINK2,  # noqa: E402,F401
                           UPLINK6, WORLD, Space, ip_batch, run, write)

HELPER, HELPER_PATH = faults.NAME, faults.PATH
WIRE = f'{faults.BUILT}/net/wire'
DEV, DEV2, OUTSIDER = (pwd.getpwnam(name).pw_uid for name in ('dev', 'dev2', 'outsider'))
# Nothing waits for longer: what has not come by then does not come.
PATIENCE = 30
PORT, BARRIER_PORT, DNS_PORT = 7777, 7778, 53
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454ca, 0x2, 0x1000, 0x4000
ETH_P_ALL, ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 3, 0x800, 0x806, 0x86dd
BROADCAST = b'\xff' * 6


class Refused(Exception):
    """A call of the helper that failed."""

    def __init__(self, name, message):
        super().__init__(f'{name}: {message}')
        self.name = name.rsplit('.', 1)[-1]
        self.message = message


def read(path):
    with open(path, encoding='ascii') as file:
        return file.read().strip()


def wait(fd, events=select.POLLIN, seconds=PATIENCE):
    poll = select.poll()
    poll.register(fd, events)
    return bool(poll.poll(seconds * 1000))


def receive(sock):
    """What has come, or None where nothing has."""
    try:
        return sock.recv(65536, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None


def await_word(sock, word):
    """Whatever came before `word` is gone."""
    while True:
        if not wait(sock):
            raise AssertionError(f'{word} never came')
        if sock.recv(65536, socket.MSG_DONTWAIT) == word:
            return


WORDS = (f'word {n}'.encode() for n in itertools.count())


def carry(source, sender_address, target, address, port, uid=0):
    """A datagram that must arrive."""
    word = next(WORDS)
    with target.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, \
         source.socket(socket.AF_INET, socket.SOCK_DGRAM, 0, uid=uid) as client:
        server.bind((address, port))
        client.bind((sender_address, 0))
        client.sendto(word, (address, port))
        await_word(server, word)


class Place:
    """Somebody who may be reached, and may try to reach others: a namespace, an address, and who acts there."""

    def __init__(self, space, address, host_address=None, uid=0):
        self.space, self.address, self.host_address, self.uid = space, address, host_address, uid

    def flush_to_host(self):
        """What was sent from here is past the host's filter, or in it."""
        if self.space is not HOST:
            carry(self.space, self.address, HOST, self.host_address, BARRIER_PORT)

    def flush_from_host(self):
        """What the host sent to here has come."""
        if self.space is not HOST:
            carry(HOST, '0.0.0.0', self.space, self.address, BARRIER_PORT)

    def at(self, address):
        """The same place by another name."""
        return Place(self.space, address, self.host_address, self.uid)


def settle(source, target):
    source.flush_to_host()
    target.flush_from_host()


def reach_udp(source, target, expected, port=PORT):
    word = next(WORDS)
    with target.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, \
         source.space.socket(socket.AF_INET, socket.SOCK_DGRAM, 0, uid=source.uid) as client:
        server.bind((target.address, port))
        try:
            client.sendto(word, (target.address, port))
        except (PermissionError, OSError) as error:
            return f'refused by the host itself: {error}' if expected else False
        if not expected:
            settle(source, target)
            return receive(server) is not None
        if not wait(server):
            return False
        got, sender = server.recvfrom(64)
        # Words of barriers go to another port.
        server.sendto(got, sender)
        return got == word and wait(client) and client.recv(64) == word


def reach_tcp(source, target, expected, port=PORT):
    with target.space.socket(socket.AF_INET, socket.SOCK_STREAM) as server, \
         source.space.socket(socket.AF_INET, socket.SOCK_STREAM, 0, uid=source.uid) as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((target.address, port))
        server.listen()
        server.setblocking(False)
        client.setblocking(False)
        error = client.connect_ex((target.address, port))
        if not expected:
            settle(source, target)
            return wait(server, seconds=0)
        if error != 115 or not wait(server):  # EINPROGRESS
            return False
        with server.accept()[0] as peer:
            client.send(b'x') if wait(client, select.POLLOUT) else None
            return wait(peer) and peer.recv(1) == b'x'


KINDS = {'udp': reach_udp, 'tcp': reach_tcp}


class Flow:
    """A TCP connection that stays."""

    def __init__(self, source, target, port=PORT, uid=0):
        self.source, self.target = source, target
        with target.space.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((target.address, port))
            server.listen()
            self.near = source.space.socket(socket.AF_INET, socket.SOCK_STREAM, 0, uid=uid)
            self.near.setblocking(False)
            self.near.connect_ex((target.address, port))
            if not wait(server):
                raise AssertionError(f'{target.address} is not reached')
            self.far, self.seen_as = server.accept()

    def carries(self, expected):
        """(there, back)"""
        return (self._carries(self.near, self.far, expected, self.source, self.target),
                self._carries(self.far, self.near, expected, self.target, self.source))

    @staticmethod
    def _carries(sender, receiver, expected, source, target):
        word = next(WORDS)
        sender.send(word)
        if not expected:
            settle(source, target)
            return wait(receiver, seconds=0)
        return wait(receiver) and receiver.recv(64) == word

    def close(self):
        self.near.close()
        self.far.close()


class Neighbourhood:
    """What is around the host, once for a process."""

    def __init__(self):
        spaces = around.make()
        self.router = spaces['router']
        self.places = {name: Place(spaces[name], address, UPLINK)
                       for name, address in (('world', WORLD), ('lan', LAN), ('far', FAR))}
        self.places['metadata'] = Place(self.router, METADATA, UPLINK)
        self.places['near'] = Place(spaces['near'], NEAR, UPLINK2)

    def __getitem__(self, name):
        return self.places[name]


@functools.cache
def neighbourhood():
    return Neighbourhood()


class User:
    """A caller of the helper, with what it was given."""

    def __init__(self, uid):
        self.uid = uid
        self.connection = faults.connect(uid)
        self.dns = []
        self.bridge = self.address = self.prefix = self.note = None

    def call(self, method, signature='()', *arguments):
        """(values, descriptors); Refused."""
        try:
            value, fds = self.connection.call_with_unix_fd_list_sync(
                HELPER, HELPER_PATH, HELPER, method, GLib.Variant(signature, arguments), None, 0, PATIENCE * 1000, None,
                None)
        except GLib.Error as error:
            raise Refused(Gio.DBusError.get_remote_error(error) or 'timed out', error.message) from None
        return value.unpack(), fds.steal_fds() if fds else []

    def ensure(self):
        """Where it holds sockets already they are closed first: their port is wanted again."""
        self.close_dns()
        (self.bridge, self.address, self.prefix, dns, self.note), fds = self.call('EnsureBridge', '(s)', '')
        self.dns = [socket.socket(fileno=fds[n]) for n in dns]
        return self

    def close_dns(self):
        for sock in self.dns:
            sock.close()
        self.dns = []

    def remove(self):
        self.call('RemoveBridge', '(s)', '')

    def on_vm(self, method, vm, *more, signature=''):
        return self.call(method, f'(ss{signature})', vm, '', *more)

    def set_reach(self, vm, reach):
        if reach == 'none':
            self.on_vm('DisableNat', vm)
        else:
            self.on_vm('EnableNat', vm, reach == 'lan', signature='b')

    def create_tap(self, vm, host=0, peer=False):
        (_, address, mac, mtu), fds = self.on_vm('CreateTap', vm, host, peer, signature='ub')
        return fds[0], address, mac, mtu

    def list(self):
        return self.call('ListResources')[0][0]


@functools.cache
def services():
    """Who ends the helper, so that the next call finds none."""
    return faults.Rig(faults.World())


@functools.cache
def user(uid):
    """One for each: two would want the same port."""
    return User(uid).ensure()


NUMBERS = itertools.count(1)


def new_vm():
    return f'{next(NUMBERS):032x}'


class Guest(Place):
    """A VM without the VM: its kernel is this one, in a namespace that has only a card."""

    def __init__(self, user, peer=False, host=0):
        self.user, self.vm = user, new_vm()
        self.tap, address, self.mac, self.mtu = user.create_tap(self.vm, host, peer)
        super().__init__(Space(f'guest{next(NUMBERS)}'), address, user.address)
        self.packet = None
        with self.space.inside():
            card = self._make_card()
        fds = (self.tap, card)
        # pylint: disable-next=consider-using-with
        self.wire = subprocess.Popen([WIRE, *map(str, fds)], pass_fds=fds)
        os.close(card)

    def _make_card(self):
        card = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(card, TUNSETIFF, struct.pack('16sH22x', b'eth0', IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
        ip_batch(f'link set lo up\nlink set eth0 addrgenmode none\n'
                 f'link set eth0 address {self.mac} mtu {self.mtu} up\n'
                 f'addr add {self.address}/{self.user.prefix} dev eth0\nroute add default via {self.user.address}')
        self.packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.packet.bind(('eth0', 0))
        return card

    @property
    def hardware(self):
        return bytes.fromhex(self.mac.replace(':', ''))

    def flush_to_host(self):
        """By the only way that is always open."""
        word = next(WORDS)
        with self.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(word, (self.host_address, DNS_PORT))
        await_word(self.user.dns[0], word)

    def set_reach(self, reach):
        self.user.set_reach(self.vm, reach)

    def set_peer(self, peer):
        self.user.on_vm('SetPeer', self.vm, peer, signature='b')

    def know(self, other):
        """No question for the other's hardware address: a hostile guest can make it up."""
        self.space.batch(f'neigh replace {other.address} lladdr {other.mac} dev eth0')

    def forget(self):
        """Also whom it has asked for in vain."""
        self.space.batch('neigh flush dev eth0')

    def route(self, address, via=None):
        """By the host's hardware, or by the wire alone."""
        self.space.batch(f'route replace {address}/32 {f"via {via} onlink " if via else ""}dev eth0')

    def send(self, frame):
        self.packet.send(frame)

    def frames(self):
        """What has come out of the wire, and what was sent into it."""
        while (frame := receive(self.packet)) is not None:
            yield frame

    def close(self, release=True):
        self.wire.kill()
        self.wire.wait()
        os.close(self.tap)
        self.packet.close()
        self.space.close()
        if release:
            self.user.on_vm('ReleaseVM', self.vm)


def packets_on(interface, space=HOST):
    """Everything that passes an interface, as it was at the wire."""
    with space.inside():
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        sock.bind((interface, 0))
    return sock


def ethernet(destination, source, kind, payload):
    return destination + source + struct.pack('!H', kind) + payload


def arp(operation, sender_mac, sender, target_mac, target):
    return struct.pack('!HHBBH', 1, ETH_P_IP, 6, 4, operation) + sender_mac + socket.inet_aton(sender) + target_mac + \
        socket.inet_aton(target)


def checksum(data):
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def ipv4(source, destination, protocol, payload):
    head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, socket.inet_aton(source),
                       socket.inet_aton(destination))
    return head[:10] + struct.pack('!H', checksum(head)) + head[12:] + payload


def udp(source_port, port, data):
    # No checksum: IPv4 allows it.
    return struct.pack('!HHHH', source_port, port, 8 + len(data), 0) + data


def bytes_of(mac):
    return bytes.fromhex(mac.replace(':', ''))


def mac_of(interface):
    return bytes_of(read(f'/sys/class/net/{interface}/address'))
