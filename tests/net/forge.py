# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest sends that is not its own: other hardware, other addresses, other protocols.

Whatever it makes up ends at its port of the bridge.
"""

import socket
import struct
import unittest

from world import (BROADCAST, DEV, DEV2, DNS_PORT, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, HOST, LAN, PORT, UPLINK, WORLD,
                   Guest, Place, arp, bytes_of, ethernet, ipv4, mac_of, neighbourhood, packets_on, receive, run, settle,
                   tap, udp, user)

REQUEST, REPLY = 1, 2
WORD = b'a word of a forger'
FOREIGN = bytes.fromhex('0262deadbeef')


class Forge(unittest.TestCase):
    """A peer, which may send most, and those it could deceive: a peer beside it, a sibling that is none, a stranger."""

    @classmethod
    def setUpClass(cls):
        cls.around = neighbourhood()
        cls.dev, cls.dev2 = user(DEV), user(DEV2)
        cls.host = Place(HOST, cls.dev.address)
        cls.guest, cls.peer = Guest(cls.dev, peer=True), Guest(cls.dev, peer=True)
        cls.sibling, cls.other = Guest(cls.dev), Guest(cls.dev2)
        for guest in cls.guest, cls.other:
            guest.set_reach('lan')
        cls.router = mac_of(cls.dev.bridge)

    @classmethod
    def tearDownClass(cls):
        for guest in cls.guest, cls.peer, cls.sibling, cls.other:
            guest.close()

    def heard(self, *frames):
        """Who of all hears anything of these, which all have WORD in them."""
        places = {'peer': self.peer, 'sibling': self.sibling, 'other': self.other, 'lan': self.around['lan'],
                  'world': self.around['world']}
        ears = {name: packets_on('eth0', place.space) for name, place in places.items()}
        ears['host'] = packets_on(self.dev.bridge)
        # A question for its address is heard by others too, and must not look like an answer.
        for place in places.values():
            settle(self.guest, place)
        for frame in frames:
            self.guest.send(frame)
        settle(self.guest, self.host)
        for place in places.values():
            settle(self.guest, place)
        found = set()
        for name, ear in ears.items():
            while (frame := receive(ear)) is not None:
                if WORD in frame:
                    found.add(name)
            ear.close()
        return found

    def datagram(self, source, destination, hardware=None, to=None, port=PORT):
        return ethernet(to or self.router, hardware or self.guest.hardware, ETH_P_IP,
                        ipv4(source, destination, 17, udp(PORT, port, WORD)))

    def targets(self):
        return {self.dev.address: self.router, self.peer.address: self.peer.hardware, self.other.address: self.router,
                LAN: self.router, WORLD: self.router, '255.255.255.255': BROADCAST}


class Addresses(Forge):
    def test_own_when_it_sends_as_itself_then_heard(self):
        # That the others are silent for a reason.
        me = self.guest.address
        self.assertEqual(self.heard(self.datagram(me, self.peer.address, to=self.peer.hardware)), {'peer'})
        self.assertEqual(self.heard(self.datagram(me, WORLD)), {'host', 'world'})
        self.assertEqual(self.heard(self.datagram(me, LAN)), {'host', 'lan'})
        self.assertEqual(self.heard(self.datagram(me, '255.255.255.255', to=BROADCAST)), {'host', 'peer'})

    def test_source_when_not_its_own_then_dropped(self):
        for source in (self.peer.address, self.sibling.address, self.other.address, self.dev.address, UPLINK, LAN,
                       WORLD, '127.0.0.1', '0.0.0.0', '255.255.255.255', '224.0.0.1'):
            frames = [self.datagram(source, target, to=to, port=port) for target, to in self.targets().items()
                      for port in (PORT, DNS_PORT)]
            with self.subTest(source=source):
                self.assertEqual(self.heard(*frames), set())

    def test_hardware_when_not_its_own_then_dropped(self):
        for hardware in FOREIGN, self.peer.hardware, self.router, BROADCAST, bytes(6):
            frames = [self.datagram(self.guest.address, target, hardware, to) for target, to in self.targets().items()]
            with self.subTest(hardware=hardware):
                self.assertEqual(self.heard(*frames), set())

    def test_both_when_they_are_a_siblings_then_dropped(self):
        for other in self.peer, self.sibling:
            frames = [self.datagram(other.address, target, other.hardware, to) for target, to in self.targets().items()]
            self.assertEqual(self.heard(*frames), set())

    def test_bridge_when_a_guest_uses_anothers_hardware_then_it_learns_nothing(self):
        self.heard(*(self.datagram(self.guest.address, LAN, hardware) for hardware in (FOREIGN, self.peer.hardware)))
        known = run('bridge', 'fdb', 'show', 'br', self.dev.bridge)
        self.assertNotIn(FOREIGN.hex(':'), known)
        # What is for the peer still goes to the peer.
        settle(self.host, self.peer)

    def test_dhcp_when_a_guest_asks_or_answers_then_no_stranger_hears_it(self):
        discover = ethernet(BROADCAST, self.guest.hardware, ETH_P_IP,
                            ipv4('0.0.0.0', '255.255.255.255', 17, udp(68, 67, WORD)))
        self.assertEqual(self.heard(discover), set())
        offer = ethernet(BROADCAST, self.guest.hardware, ETH_P_IP,
                         ipv4(self.dev.address, '255.255.255.255', 17, udp(67, 68, WORD)))
        self.assertEqual(self.heard(offer), set())


class Arp(Forge):
    def claim(self, address, operation, hardware=None, source=None, to=BROADCAST, target='0.0.0.0'):
        """With a word behind it, as padding."""
        return ethernet(to, source or self.guest.hardware, ETH_P_ARP,
                        arp(operation, hardware or self.guest.hardware, address, bytes(6), target) + WORD)

    def test_own_when_announced_then_heard_by_the_host_and_peers(self):
        frame = self.claim(self.guest.address, REQUEST, target=self.guest.address)
        self.assertEqual(self.heard(frame), {'host', 'peer'})

    def test_address_when_somebody_elses_is_claimed_then_nobody_hears_it(self):
        for address in (self.dev.address, self.peer.address, self.sibling.address, self.other.address, LAN, '0.0.0.0'):
            frames = [self.claim(address, operation, to=to, target=target) for operation in (REQUEST, REPLY)
                      for to, target in ((BROADCAST, address), (self.router, self.dev.address),
                                         (self.peer.hardware, self.peer.address))]
            with self.subTest(address=address):
                self.assertEqual(self.heard(*frames), set())

    def test_hardware_when_it_is_anothers_then_nobody_hears_it(self):
        me = self.guest.address
        for inner, outer in ((self.peer.hardware, self.guest.hardware), (self.guest.hardware, self.peer.hardware),
                             (FOREIGN, FOREIGN), (self.router, self.guest.hardware)):
            frames = [self.claim(me, operation, inner, outer) for operation in (REQUEST, REPLY)]
            self.assertEqual(self.heard(*frames), set())


class Protocols(Forge):
    def test_frames_when_neither_ipv4_nor_arp_then_dropped(self):
        inner = ipv4(self.guest.address, self.dev.address, 17, udp(PORT, DNS_PORT, WORD))
        six = struct.pack('!IHBB', 6 << 28, 12, 17, 64) + bytes(32) + udp(PORT, PORT, WORD)
        tag = struct.pack('!HH', 0, ETH_P_IP)
        kinds = {'IPv6': (ETH_P_IPV6, six), 'VLAN 0': (0x8100, tag + inner),
                 'VLAN 7': (0x8100, b'\0\7' + tag[2:] + inner),
                 'QinQ': (0x88a8, b'\0\7' + struct.pack('!HHH', 0x8100, 7, ETH_P_IP) + inner),
                 'PPPoE': (0x8864, b'\x11\0\0\1' + struct.pack('!HH', len(inner) + 2, 0x21) + inner),
                 'LLC': (len(inner), inner), 'LLDP': (0x88cc, WORD * 8), 'MPLS': (0x8847, b'\0\0\x01\xff' + inner),
                 'RARP': (0x8035, arp(3, self.guest.hardware, '0.0.0.0', self.guest.hardware, '0.0.0.0') + WORD)}
        for name, (kind, payload) in kinds.items():
            frames = [ethernet(to, self.guest.hardware, kind, payload)
                      for to in (self.router, self.peer.hardware, BROADCAST, bytes_of('33:33:00:00:00:01'),
                                 bytes_of('01:80:c2:00:00:00'), bytes_of('01:80:c2:00:00:0e'))]
            with self.subTest(kind=name):
                self.assertEqual(self.heard(*frames), set())

    def test_bridge_when_a_guest_speaks_spanning_tree_then_it_does_not_listen(self):
        bpdu = bytes_of('42420300000000000000000000000000') + bytes(19)
        frame = bytes_of('0180c2000000') + self.guest.hardware + struct.pack('!H', len(bpdu)) + bpdu + WORD
        self.assertEqual(self.heard(frame), set())


if __name__ == '__main__':
    tap.main()
