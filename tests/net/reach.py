# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who reaches whom: every pair of places around the host, with every flag, by datagrams and by connections."""

import contextlib
import errno
import itertools
import select
import socket
import struct
import unittest

from world import (DEV, DEV2, DNS_PORT, HOST, KINDS, LAN, LAN6, METADATA, NEAR, NEAR6, OUTSIDER, PORT, ROUTER, UPLINK,
                   UPLINK2, UPLINK6, WORLD, Flow, Guest, Place, WORDS, ethernet, ipv4, mac_of,
                   neighbourhood, packets_on, receive, settle, tap, udp, user, wait, write, ETH_P_IP)

# What lies beyond the host's own end of the bridge, and from which flag on it is reached.
BEYOND = {'none': (), 'nat': ('world',), 'lan': ('world', 'lan', 'far', 'metadata', 'near')}
BRIDGED = '/proc/sys/net/bridge/bridge-nf-call-iptables'
IP_MTU, IP_MTU_DISCOVER, IP_PMTUDISC_DO = 14, 10, 2


class Reach(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.around = neighbourhood()
        cls.dev, cls.dev2 = user(DEV), user(DEV2)
        cls.host = Place(HOST, cls.dev.address)
        # The host forwards for it as long as the test runs: what others do not reach is not for lack of a router.
        cls.first = Guest(cls.dev2)
        cls.first.set_reach('lan')

    @classmethod
    def tearDownClass(cls):
        cls.first.close()

    def setUp(self):
        self.guests = []

    def tearDown(self):
        for guest in self.guests:
            guest.close()

    def guest(self, reach='none', owner=None, **options):
        guest = Guest(owner or self.dev, **options)
        self.guests.append(guest)
        if reach != 'none':
            guest.set_reach(reach)
        return guest

    def expect(self, source, target, expected, **options):
        for kind, reach in KINDS.items():
            with self.subTest(kind=kind, source=source.address, target=target.address, **options):
                self.assertEqual(reach(source, target, expected, **options), expected)


class Outward(Reach):
    def test_beyond_when_flags_change_then_what_they_say_is_reached(self):
        guest = self.guest()
        for reach in 'none', 'nat', 'lan', 'nat', 'lan', 'none':
            guest.set_reach(reach)
            for name, place in self.around.places.items():
                with self.subTest(reach=reach, place=name):
                    self.expect(guest, place, name in BEYOND[reach])

    def test_host_when_a_guest_asks_then_no_service_of_it_is_reached(self):
        for reach in BEYOND:
            guest = self.guest(reach)
            for address in (self.dev.address, self.dev2.address, UPLINK, UPLINK2):
                for port in PORT, 22, 52, 54:
                    self.expect(guest, Place(HOST, address), False, port=port)

    def test_host_when_another_users_bridge_has_a_resolver_then_only_its_own_guests_reach_it(self):
        guest = self.guest('lan')
        word = next(WORDS)
        with guest.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, \
             guest.space.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
            client.sendto(word, (self.dev2.address, DNS_PORT))
            stream.setblocking(False)
            stream.connect_ex((self.dev2.address, DNS_PORT))
            settle(guest, self.host)
            while (got := receive(self.dev2.dns[0])) is not None:
                self.assertNotEqual(got, word)
            self.assertFalse(wait(self.dev2.dns[1], seconds=0))

    def test_resolver_when_a_guest_asks_then_both_sockets_hear_it(self):
        guest = self.guest()
        word = next(WORDS)
        with guest.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(word, (self.dev.address, DNS_PORT))
            self.assertTrue(wait(self.dev.dns[0]))
            got, sender = self.dev.dns[0].recvfrom(64)
            self.assertEqual((got, sender[0]), (word, guest.address))
            self.dev.dns[0].sendto(b'answer', sender)
            self.assertTrue(wait(client))
            self.assertEqual(client.recv(64), b'answer')
        with guest.space.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.setblocking(False)
            client.connect_ex((self.dev.address, DNS_PORT))
            self.assertTrue(wait(self.dev.dns[1]))
            self.dev.dns[1].accept()[0].close()

    def test_resolver_when_a_guest_asks_without_end_then_it_is_bounded_and_others_are_heard(self):
        noisy, quiet = self.guest(), self.guest()
        heard = 0
        with noisy.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood, \
             quiet.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for _ in range(200):
                word = next(WORDS)
                # Fewer than the socket holds: what is not heard was dropped before.
                for _ in range(100):
                    flood.sendto(b'noise', (self.dev.address, DNS_PORT))
                client.sendto(word, (self.dev.address, DNS_PORT))
                got = None
                while got != word:
                    self.assertTrue(wait(self.dev.dns[0]), 'a question of another guest was not heard')
                    got = self.dev.dns[0].recv(64)
                    heard += got == b'noise'
        # Of 20000: 250, and 500 for each second that this took.
        self.assertLess(heard, 8000)
        self.assertGreaterEqual(heard, 200)

    def test_loopback_when_a_guest_sends_there_then_nothing_comes(self):
        guest = self.guest('lan')
        with HOST.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(('127.0.0.1', PORT))
            for source in guest.address, '127.0.0.1':
                guest.send(ethernet(mac_of(self.dev.bridge), guest.hardware, ETH_P_IP,
                                    ipv4(source, '127.0.0.1', 17, udp(PORT, PORT, b'martian'))))
            # Even where somebody has told the host to take it.
            HOST.sysctl(**{f'conf/{self.dev.bridge}/route_localnet': 1})
            guest.send(ethernet(mac_of(self.dev.bridge), guest.hardware, ETH_P_IP,
                                ipv4(guest.address, '127.0.0.1', 17, udp(PORT, PORT, b'martian'))))
            settle(guest, self.host)
            HOST.sysctl(**{f'conf/{self.dev.bridge}/route_localnet': 0})
            self.assertIsNone(receive(server))

    def test_ping_when_a_guest_sends_one_to_its_bridge_then_answered(self):
        guest = self.guest()
        with guest.space.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as ping:
            # The sum of these bytes and the checksum is all ones.
            ping.sendto(struct.pack('!BBHHH', 8, 0, 0xf7ff - 1, 1, 0), (self.dev.address, 0))
            self.assertTrue(wait(ping))
            self.assertEqual(ping.recv(64)[20], 0)

    def test_ping_when_a_guest_sends_them_without_end_then_another_guest_is_answered(self):
        noisy, quiet = self.guest(), self.guest()
        echo = struct.pack('!BBHHH', 8, 0, 0xf7ff - 1, 1, 0)
        with noisy.space.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as flood, \
             quiet.space.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as ping:
            for _ in range(200):
                flood.sendto(echo, (self.dev.address, 0))
            settle(noisy, self.host)
            ping.sendto(echo, (self.dev.address, 0))
            self.assertTrue(wait(ping))

    def test_connections_when_a_guest_begins_too_many_then_it_has_no_more_and_others_have(self):
        # As many as src/helper/kernel/net-filter.c lets one have.
        most = 4096
        greedy, other = self.guest('nat'), self.guest('nat')
        world = self.around['world']
        with contextlib.ExitStack() as stack:
            for _ in range(16):
                sock = stack.enter_context(greedy.space.socket(socket.AF_INET, socket.SOCK_DGRAM))
                for port in range(20000, 20000 + most // 8):
                    sock.sendto(b'', (WORLD, port))
                settle(greedy, self.host)
            self.expect(greedy, world, False)
            self.expect(other, world, True)

    def test_segments_when_the_way_is_narrow_then_no_larger_than_it(self):
        guest, world = self.guest('nat'), self.around['world']
        HOST.batch(f'route add {WORLD}/32 via {ROUTER} mtu 1300')
        flow = Flow(guest, world)
        for end in flow.near, flow.far:
            self.assertLessEqual(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), 1260)
        flow.close()
        HOST.batch(f'route delete {WORLD}/32 via {ROUTER}')

    def test_source_when_a_guest_is_in_the_world_then_it_is_the_hosts(self):
        for reach in 'nat', 'lan':
            guest = self.guest(reach)
            flow = Flow(guest, self.around['world'])
            self.assertEqual(flow.seen_as[0], UPLINK)
            flow.close()
        flow = Flow(guest, self.around['near'])
        self.assertEqual(flow.seen_as[0], UPLINK2)
        flow.close()


class Changes(Reach):
    def test_flow_when_its_reach_is_taken_back_then_nothing_passes_any_more(self):
        for before, place, after in (('nat', 'world', 'none'), ('lan', 'world', 'none'), ('lan', 'lan', 'none'),
                                     ('lan', 'lan', 'nat'), ('lan', 'near', 'nat'), ('lan', 'metadata', 'nat')):
            with self.subTest(before=before, place=place, after=after):
                guest = self.guest(before)
                flow = Flow(guest, self.around[place])
                self.assertEqual(flow.carries(True), (True, True))
                guest.set_reach(after)
                self.assertEqual(flow.carries(False), (False, False))
                flow.close()

    def test_flow_when_reach_grows_or_stays_then_it_goes_on(self):
        for before, after in ('nat', 'lan'), ('nat', 'nat'), ('lan', 'nat'):
            with self.subTest(before=before, after=after):
                guest = self.guest(before)
                flow = Flow(guest, self.around['world'])
                guest.set_reach(after)
                self.assertEqual(flow.carries(True), (True, True))
                flow.close()

    def test_sibling_when_one_becomes_a_peer_and_ceases_then_reached_as_long(self):
        for bridged in '1', '0':
            write(BRIDGED, bridged)
            one, two, stranger = self.guest(), self.guest(peer=True), self.guest('lan')
            with self.subTest(bridged=bridged):
                one.set_peer(False)
                self.expect(one, two, False)
                one.set_peer(True)
                one.forget()
                self.expect(one, two, True)
                self.expect(one, stranger, False)
                flow = Flow(two, one)
                # Told again, and by somebody who makes all of it anew.
                one.set_peer(True)
                self.dev.ensure()
                self.assertEqual(flow.carries(True), (True, True))
                one.set_peer(False)
                self.assertEqual(flow.carries(False), (False, False))
                self.expect(two, one, False)
                for guest, other in (one, two), (two, one):
                    guest.know(other)
                    self.expect(guest, other, False)
                flow.close()
        write(BRIDGED, '1')

    def test_datagrams_when_reach_is_taken_back_then_no_answer_comes_any_more(self):
        for before, place, after in ('nat', 'world', 'none'), ('lan', 'lan', 'nat'):
            with self.subTest(before=before, place=place, after=after):
                guest, other = self.guest(before), self.around[place]
                with guest.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, \
                     other.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
                    server.bind(('0.0.0.0', PORT))
                    client.sendto(b'question', (other.address, PORT))
                    self.assertTrue(wait(server))
                    _, sender = server.recvfrom(64)
                    guest.set_reach(after)
                    server.sendto(b'answer', sender)
                    settle(other, guest)
                    self.assertIsNone(receive(client))

    def test_flow_when_somebody_ensures_the_bridge_again_then_it_goes_on(self):
        guest = self.guest('nat')
        flow = Flow(guest, self.around['world'])
        self.dev.ensure()
        self.assertEqual(flow.carries(True), (True, True))
        flow.close()
        self.expect(guest, self.around['lan'], False)

    def test_guest_when_released_then_its_successor_on_the_address_has_nothing_of_it(self):
        guest = self.guest('lan', peer=True, host=99)
        self.guests.remove(guest)
        guest.close()
        guest, peer = self.guest(host=99), self.guest(peer=True)
        for place in 'world', 'lan':
            self.expect(guest, self.around[place], False)
        self.expect(guest, peer, False)


class Guests(Reach):
    def test_guest_of_another_user_when_addressed_then_not_reached(self):
        for mine, theirs, peer in itertools.product(BEYOND, ('none', 'lan'), (False, True)):
            guest, other = self.guest(mine, peer=peer), self.guest(theirs, owner=self.dev2, peer=peer)
            self.expect(guest, other, False)
            self.expect(other, guest, False)

    def test_sibling_when_not_both_are_peers_then_not_reached(self):
        for bridged in '1', '0':
            write(BRIDGED, bridged)
            for one, two, reach in itertools.product((False, True), (False, True), ('none', 'nat', 'lan')):
                self.look_at_siblings(one, two, reach, bridged)
        write(BRIDGED, '1')

    def look_at_siblings(self, one, two, reach, bridged):
        a, b = self.guest(reach, peer=one), self.guest(reach, peer=two)
        with self.subTest(one=one, two=two, reach=reach, bridged=bridged):
            with self.subTest(way='as found by ARP'):
                # Nobody answers a stranger's question, and a sender that waits for it sends nothing.
                self.expect(a, b, one and two)
            with self.subTest(way='by hardware address'):
                a.know(b)
                b.know(a)
                self.expect(a, b, one and two)
                self.expect(b, a, one and two)
            with self.subTest(way='by the host'):
                a.route(b.address, via=a.host_address)
                self.expect(a, b, one and two)
                b.route(a.address, via=b.host_address)
                self.expect(a, b, one and two)
        for guest in a, b:
            self.guests.remove(guest)
            guest.close()

    def test_broadcast_when_a_guest_sends_one_then_no_stranger_hears_it(self):
        for bridged in '1', '0':
            write(BRIDGED, bridged)
            for peer in False, True:
                self.look_at_broadcasts(peer, bridged)
        write(BRIDGED, '1')

    def look_at_broadcasts(self, peer, bridged):
        guest = self.guest(peer=peer)
        others = {'sibling': self.guest(), 'peer': self.guest(peer=True), 'other': self.first}
        for address in '255.255.255.255', '224.0.0.251':
            word = next(WORDS) + b' to everybody'
            with guest.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                client.sendto(word, (address, PORT))
            for name, other in others.items():
                with self.subTest(address=address, peer=peer, other=name, bridged=bridged):
                    settle(guest, other)
                    heard = any(word in frame for frame in other.frames())
                    self.assertEqual(heard, peer and name == 'peer')


class Inward(Reach):
    def test_host_when_a_user_asks_for_a_guest_then_only_its_owner_and_root_reach_it(self):
        for reach in 'none', 'lan':
            guest = self.guest(reach)
            for uid, expected in (0, True), (DEV, True), (DEV2, False), (OUTSIDER, False), (65534, False):
                with self.subTest(uid=uid, reach=reach):
                    self.expect(Place(HOST, self.dev.address, uid=uid), guest, expected)

    def test_outside_when_it_has_a_route_to_a_guest_then_not_reached(self):
        subnet = f'{self.dev.address}/{self.dev.prefix}'.replace('.1/', '.0/')
        routes = (self.around.router, UPLINK), (self.around['lan'].space, UPLINK)
        for space, gateway in routes:
            space.batch(f'route add {subnet} via {gateway}')
        for reach in BEYOND:
            guest = self.guest(reach, peer=True)
            for name in 'world', 'lan', 'far', 'near':
                with self.subTest(name=name, reach=reach):
                    self.expect(self.around[name], guest, False)
        for space, _ in routes:
            space.batch(f'route delete {subnet}')

    def test_outside_when_it_has_a_route_to_the_bridge_then_nothing_of_it_answers(self):
        bridge = Place(HOST, self.dev.address)
        routes = (self.around.router, UPLINK), (self.around['lan'].space, UPLINK)
        for space, gateway in routes:
            space.batch(f'route add {self.dev.address}/32 via {gateway}')
        for name in 'lan', 'world', 'near':
            asking, word = self.around[name], next(WORDS)
            with self.subTest(name=name):
                with asking.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, \
                     asking.space.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
                    client.sendto(word, (self.dev.address, DNS_PORT))
                    stream.setblocking(False)
                    stream.connect_ex((self.dev.address, DNS_PORT))
                    settle(asking, Place(HOST, UPLINK2 if name == 'near' else UPLINK))
                while (got := receive(self.dev.dns[0])) is not None:
                    self.assertNotEqual(got, word)
                self.assertFalse(wait(self.dev.dns[1], seconds=0))
                self.expect(asking, bridge, False)
        for space, _ in routes:
            space.batch(f'route delete {self.dev.address}/32')

    def test_neighbours_when_they_take_the_host_for_a_router_then_it_is_none(self):
        guest = self.guest('lan')
        world, lan, near = (self.around[name] for name in ('world', 'lan', 'near'))
        lan.space.batch(f'route replace {NEAR}/32 via {UPLINK}\nroute replace {WORLD}/32 via {UPLINK}')
        self.expect(lan, near, False)
        self.expect(lan, world, False)
        self.expect(near, world, False)
        self.expect(near, lan, False)
        with self.subTest('while a guest does'):
            self.expect(guest, near, True)
            self.expect(guest, world, True)
        lan.space.batch(f'route delete {NEAR}/32\nroute delete {WORLD}/32')

    def test_neighbours_when_they_send_what_belongs_to_no_connection_then_it_is_not_forwarded(self):
        self.guest('lan')
        lan, near = self.around['lan'], self.around['near']
        seen = packets_on('eth0', near.space)
        lan.space.batch(f'route replace {NEAR}/32 via {UPLINK}')
        with lan.space.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            mark = b'stateless'
            synack = struct.pack('!HHIIBBHHH', 1, 2, 3, 4, 0x50, 0x12, 1024, 0, 0)
            unreachable = struct.pack('!BBHI', 3, 1, 0, 0) + ipv4(NEAR, LAN, 17, udp(1, 2, b''))
            for protocol, payload in (6, synack), (1, unreachable), (1, struct.pack('!BBHI', 0, 0, 0, 0)), (132, b''):
                raw.sendto(ipv4(LAN, NEAR, protocol, payload + mark), (NEAR, 0))
            settle(lan, near)
        lan.space.batch(f'route delete {NEAR}/32')
        frames = []
        while (frame := receive(seen)) is not None:
            frames.append(frame)
        seen.close()
        self.assertEqual([frame for frame in frames if mark in frame], [])


class Errors(Reach):
    def test_port_when_nobody_listens_in_the_world_then_the_guest_is_told(self):
        guest = self.guest('nat')
        with guest.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect((WORLD, 9))
            client.send(b'x')
            self.assertTrue(wait(client, select.POLLERR))
            self.assertEqual(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), errno.ECONNREFUSED)

    def test_path_when_narrower_than_the_uplink_then_the_guest_is_told(self):
        guest = self.guest('nat')
        self.around.router.batch('link set to-world mtu 1280')
        with guest.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            client.connect((WORLD, PORT))
            client.send(bytes(1400))
            # A private address's, which the guest could not ask anything.
            self.assertTrue(wait(client, select.POLLERR))
            self.assertEqual(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), errno.EMSGSIZE)
            self.assertEqual(client.getsockopt(socket.IPPROTO_IP, IP_MTU), 1280)
        self.around.router.batch('link set to-world mtu 1500')


class Six(Reach):
    """A guest that has made itself addresses, and a host that was given some."""

    def setUp(self):
        super().setUp()
        self.peer = self.guest('lan', peer=True)
        self.other = self.guest('lan', peer=True)
        for n, guest in enumerate((self.peer, self.other), 2):
            guest.space.batch(f'addr add fe80::{n}/64 dev eth0 nodad\naddr add fd51::{n}/64 dev eth0 nodad\n'
                              f'route add default via fd51::1')
        HOST.batch(f'addr add fe80::1/64 dev {self.dev.bridge} nodad\n'
                   f'addr add fd51::1/64 dev {self.dev.bridge} nodad')
        write('/proc/sys/net/ipv6/conf/all/forwarding', '1')

    def tearDown(self):
        write('/proc/sys/net/ipv6/conf/all/forwarding', '0')
        HOST.batch(f'addr del fe80::1/64 dev {self.dev.bridge}\naddr del fd51::1/64 dev {self.dev.bridge}')
        super().tearDown()

    def expect_nothing(self, source, interface, target, address):
        mac = {self.peer: self.peer.mac, self.other: self.other.mac}.get(target)
        scope = 0
        with source.space.inside():
            if address.startswith('fe80'):
                scope = socket.if_nametoindex(interface)
        if mac:
            source.space.batch(f'neigh replace {address} lladdr {mac} dev {interface}')
        word = next(WORDS)
        with target.space.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server, \
             source.space.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client, \
             target.space.socket(socket.AF_INET6, socket.SOCK_STREAM) as listener, \
             source.space.socket(socket.AF_INET6, socket.SOCK_STREAM) as stream:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for sock in server, listener:
                sock.bind(('::', PORT))
            listener.listen()
            stream.setblocking(False)
            stream.connect_ex((address, PORT, 0, scope))
            client.sendto(word, (address, PORT, 0, scope))
            settle(source, target)
            self.assertFalse(wait(listener, seconds=0), address)
            return receive(server)

    def test_guest_when_it_speaks_ipv6_then_nobody_hears_it(self):
        host_mac = mac_of(self.dev.bridge)
        self.peer.space.batch(f'neigh replace fd51::1 lladdr {host_mac.hex(":")} dev eth0\n'
                              f'neigh replace fe80::1 lladdr {host_mac.hex(":")} dev eth0')
        for target, addresses in ((self.host, ('fe80::1', 'fd51::1', UPLINK6)), (self.around['lan'], (LAN6,)),
                                  (self.other, ('fe80::3', 'fd51::3'))):
            for address in addresses:
                with self.subTest(address=address):
                    self.assertIsNone(self.expect_nothing(self.peer, 'eth0', target, address))

    def test_guest_when_spoken_to_in_ipv6_then_no_answer_comes_back(self):
        for address in 'fe80::2', 'fd51::2':
            self.expect_nothing(self.host, self.dev.bridge, self.peer, address)

    def test_outside_when_it_sends_ipv6_to_a_guest_then_nothing_comes(self):
        lan = self.around['lan']
        lan.space.batch(f'route add fd51::/64 via {UPLINK6}')
        HOST.batch(f'neigh replace fd51::2 lladdr {self.peer.mac} dev {self.dev.bridge}')
        self.assertIsNone(self.expect_nothing(lan, 'eth0', self.peer, 'fd51::2'))
        lan.space.batch('route delete fd51::/64')

    def test_neighbours_when_the_host_is_their_router_of_ipv6_then_it_stays_one(self):
        lan, near = self.around['lan'], self.around['near']
        with near.space.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server, \
             lan.space.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            server.bind((NEAR6, PORT))
            client.sendto(b'six', (NEAR6, PORT))
            self.assertTrue(wait(server))


if __name__ == '__main__':
    tap.main()
