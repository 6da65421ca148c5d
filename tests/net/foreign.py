# SPDX-License-Identifier: LGPL-2.1-or-later
"""What other hands do to the host's network while guests are on it: tables, interfaces, routes, ports."""

import contextlib
import os
import pathlib
import socket
import unittest

from world import (DEV, DEV2, DNS_PORT, HOST, KINDS, ROUTER, WORDS, WORLD, Guest, Place, Refused, User,
                   neighbourhood, packets_on, run, services, tap, user, wait)

CONF = pathlib.Path('/etc/banger/helper.conf')


class Foreign(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.around = neighbourhood()
        cls.dev, cls.dev2 = user(DEV), user(DEV2)

    def setUp(self):
        self.dev.ensure()
        self.guests = []

    def tearDown(self):
        for guest in self.guests:
            guest.close()
        self.dev.remove()
        self.dev.ensure()
        self.assertEqual((self.dev.note, len(self.dev.dns)), ('', 2))

    def guest(self, reach='nat', owner=None, **options):
        guest = Guest(owner or self.dev, **options)
        self.guests.append(guest)
        guest.set_reach(reach)
        return guest

    def reaches(self, source, target, expected=True):
        return [reach(source, target, expected) for reach in KINDS.values()]

    def assert_whole(self, guest, peer, sibling):
        """As the matrix has it, in short."""
        self.assertEqual(self.reaches(guest, self.around['world']), [True, True])
        self.assertEqual(self.reaches(guest, self.around['lan'], False), [False, False])
        self.assertEqual(self.reaches(guest, peer), [True, True])
        self.assertEqual(self.reaches(guest, sibling, False), [False, False])
        self.assertEqual(self.reaches(guest, Place(HOST, guest.host_address), False), [False, False])

    def three(self):
        return self.guest(peer=True), self.guest(peer=True), self.guest('none')


class Tables(Foreign):
    def test_filter_when_somebody_changes_it_then_the_next_ensure_makes_it_whole(self):
        for change in (('flush', 'ruleset'), ('delete', 'table', 'inet', 'banger'),
                       ('delete', 'table', 'bridge', 'banger'),
                       ('flush', 'chain', 'inet', 'banger', 'from_guest'),
                       ('flush', 'set', 'inet', 'banger', 'bridges'),
                       ('flush', 'chain', 'bridge', 'banger', 'from_guest'),
                       ('flush', 'table', 'inet', 'banger'),
                       ('add', 'rule', 'inet', 'banger', 'from_guest_to_host', 'accept')):
            with self.subTest(change=change):
                guests = self.three()
                run('nft', *change)
                self.dev.ensure()
                self.assert_whole(*guests)
                for guest in guests:
                    self.guests.remove(guest)
                    guest.close()

    def test_tap_when_the_tables_are_gone_then_none_without_a_filter(self):
        run('nft', 'flush', 'ruleset')
        before = sorted(os.listdir('/sys/class/net'))
        with self.assertRaises(Refused) as refused:
            self.guest()
        self.assertEqual(refused.exception.name, 'NotFound')
        self.assertIn('EnsureBridge', refused.exception.message)
        self.assertEqual(sorted(os.listdir('/sys/class/net')), before)
        self.dev.ensure()
        self.assert_whole(*self.three())

    def test_undo_when_the_tables_are_gone_then_all_of_it_works(self):
        guests = self.three()
        run('nft', 'flush', 'ruleset')
        guests[0].set_reach('none')
        self.dev.on_vm('DeleteTap', guests[1].vm)
        for guest in guests:
            self.guests.remove(guest)
            guest.close()
        self.dev.remove()
        self.assertEqual(self.dev.list(), [])

    def test_tables_of_others_when_the_last_bridge_goes_then_they_stay(self):
        run('nft', 'add', 'table', 'inet', 'somebody')
        self.dev.remove()
        self.dev2.remove()
        self.assertEqual(run('nft', 'list', 'tables').split('\n'), ['table inet somebody', ''])
        run('nft', 'delete', 'table', 'inet', 'somebody')
        self.dev2.ensure()


class Links(Foreign):
    def test_bridge_when_somebody_removes_or_changes_it_then_the_next_ensure_makes_it_whole(self):
        bridge = self.dev.bridge
        for change in (f'link delete {bridge}', f'addr flush dev {bridge}', f'link set {bridge} down',
                       'link set {tap} nomaster', 'link set {tap} down'):
            with self.subTest(change=change):
                guests = self.three()
                HOST.batch(change.format(tap=self.tap_of(guests[0])))
                self.dev.ensure()
                self.assert_whole(*guests)
                for guest in guests:
                    self.guests.remove(guest)
                    guest.close()

    @staticmethod
    def tap_of(guest):
        return 'bgr-t' + socket.inet_aton(guest.address).hex()

    def test_bridge_when_it_is_gone_then_a_tap_is_refused(self):
        HOST.batch(f'link delete {self.dev.bridge}')
        with self.assertRaises(Refused) as refused:
            self.guest()
        self.assertEqual(refused.exception.name, 'NotFound')
        self.assertIn('EnsureBridge', refused.exception.message)

    def test_tap_when_somebody_removes_it_then_the_vm_gets_another(self):
        guest = self.guest(host=77)
        HOST.batch(f'link delete {self.tap_of(guest)}')
        self.dev.ensure()
        with self.assertRaises(Refused) as refused:
            self.dev.create_tap(guest.vm)
        self.assertEqual(refused.exception.name, 'AlreadyExists')
        self.dev.on_vm('DeleteTap', guest.vm)
        self.assertEqual(self.reaches(self.guest(host=77), self.around['world']), [True, True])

    def test_name_when_an_interface_that_is_no_bridge_has_it_then_told_and_left_alone(self):
        bridge = self.dev.bridge
        self.dev.remove()
        HOST.batch(f'link add {bridge} type veth peer name theirs\naddr add 10.55.0.1/24 dev {bridge}')
        for call in self.dev.ensure, self.dev.ensure:
            with self.assertRaises(Refused) as refused:
                call()
            self.assertEqual(refused.exception.name, 'AlreadyExists')
        services().end_services()
        self.dev.list()
        self.assertIn('10.55.0.1', run('ip', 'addr', 'show', 'dev', bridge))
        with self.assertRaises(Refused):
            self.dev.ensure()
        self.dev.remove()
        self.assertIn('10.55.0.1', run('ip', 'addr', 'show', 'dev', bridge))
        HOST.batch(f'link delete {bridge}')
        self.dev.ensure()

    def test_name_when_an_interface_that_is_no_tap_has_it_then_told_and_left_alone(self):
        name = 'bgr-t' + socket.inet_aton(self.dev.address[:-2] + '.99').hex()
        HOST.batch(f'link add {name} type veth peer name theirs')
        with self.assertRaises(Refused):
            self.guest(host=99)
        services().end_services()
        self.dev.list()
        self.assertIn(name, os.listdir('/sys/class/net'))
        self.assertEqual(self.reaches(self.guest(), self.around['world']), [True, True])
        HOST.batch(f'link delete {name}')


class Subnets(Foreign):
    def subnet(self):
        return f'{self.dev.address.removesuffix(".1")}.0/{self.dev.prefix}'

    def test_route_when_it_overlaps_the_lease_then_moved_unless_vms_are_there(self):
        for table in '', ' table 77':
            with self.subTest(table=table):
                guest, before = self.guest(), self.dev.address
                route = f'{self.subnet()} via {ROUTER}{table}'
                # A more specific one than the bridge's own, as a VPN's would be.
                route = route.replace(f'/{self.dev.prefix}', f'/{self.dev.prefix + 1}')
                HOST.batch(f'route add {route}')
                self.dev.ensure()
                self.assertEqual(self.dev.address, before)
                self.assertIn('another network', self.dev.note)
                self.guests.remove(guest)
                guest.close()
                self.dev.ensure()
                self.assertNotEqual(self.dev.address, before)
                self.assertIn('other addresses than before', self.dev.note)
                # Told once.
                self.assertEqual(self.dev.ensure().note, '')
                self.assertEqual(self.reaches(self.guest(), self.around['world']), [True, True])
                for other in self.guests[:]:
                    self.guests.remove(other)
                    other.close()
                # The way back is not taken: it is this user's now.
                after = self.dev.address
                HOST.batch(f'route delete {route}')
                self.assertEqual(self.dev.ensure().address, after)

    def test_routes_when_a_vpn_covers_everything_then_networks_as_before_and_as_narrow_as_it(self):
        before = self.dev.address
        HOST.batch('link add tun0 type veth peer name tun1\nlink set tun1 up\nlink set tun0 mtu 1420 up\n'
                   'addr add 198.51.100.9/32 dev tun0\nneigh add 198.51.100.8 lladdr 02:00:00:00:00:08 dev tun0\n'
                   'route add 0.0.0.0/1 via 198.51.100.8 dev tun0 onlink\n'
                   'route add 128.0.0.0/1 via 198.51.100.8 dev tun0 onlink')
        self.assertEqual(self.dev.ensure().address, before)
        self.assertEqual(self.dev.note, '')
        guest = self.guest()
        self.assertEqual(guest.mtu, 1420)
        seen = packets_on('tun0', HOST)
        with guest.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b'through the tunnel', (WORLD, 9))
            self.assertTrue(wait(seen))
        seen.close()
        HOST.batch('link delete tun0')

    def test_pool_when_exhausted_then_told_and_others_keep_theirs(self):
        self.configure('[network]\npool=10.230.0.0/22\nsubnet-length=23\n')
        addresses = [self.dev.ensure().address, self.dev2.ensure().address]
        self.assertEqual(sorted(addresses), ['10.230.0.1', '10.230.2.1'])
        third = User(0)
        with self.assertRaises(Refused) as refused:
            third.ensure()
        self.assertEqual(refused.exception.name, 'QuotaReached')
        self.assertEqual([self.dev.ensure().address, self.dev2.ensure().address], addresses)
        self.configure('[network]\npool=10.230.0.0/29\nsubnet-length=23\n')
        with self.assertRaises(Refused) as refused:
            self.dev.ensure()
        self.assertEqual(refused.exception.name, 'Failed')
        self.assertIn(str(CONF), refused.exception.message)
        self.configure(None)
        self.assertEqual(third.ensure().prefix, 22)
        third.remove()
        third.close_dns()
        for owner in self.dev, self.dev2:
            self.assertIn('other addresses than before', owner.ensure().note)

    @staticmethod
    def configure(text):
        """Read by the next helper."""
        CONF.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            CONF.unlink()
        if text:
            CONF.write_text(text, encoding='ascii')
        services().end_services()


class Ports(Foreign):
    def test_dns_when_somebody_has_the_port_then_told_and_guests_do_not_reach_them(self):
        for kinds in ((socket.SOCK_DGRAM, socket.SOCK_STREAM), (socket.SOCK_DGRAM,), (socket.SOCK_STREAM,)):
            with self.subTest(kinds=kinds), contextlib.ExitStack() as stack:
                self.dev.remove()
                self.dev.close_dns()
                self.dev2.close_dns()
                servers = [stack.enter_context(HOST.socket(socket.AF_INET, kind)) for kind in kinds]
                for server in servers:
                    server.bind(('0.0.0.0', DNS_PORT))
                    server.setblocking(False)
                    if server.type & socket.SOCK_STREAM:
                        server.listen()
                self.dev.ensure()
                self.assertEqual(self.dev.dns, [])
                self.assertIn('port 53', self.dev.note)
                self.look_for_answers(servers)
            self.dev2.ensure()

    def look_for_answers(self, servers):
        guest = self.guest()
        # What a guest may do in any case is what tells that the rest would have come.
        with guest.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, \
             guest.space.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
            stream.setblocking(False)
            client.sendto(next(WORDS), (self.dev.address, DNS_PORT))
            stream.connect_ex((self.dev.address, DNS_PORT))
            self.assertEqual(self.reaches(guest, self.around['world']), [True, True])
            for server in servers:
                self.assertFalse(wait(server, seconds=0))
        self.guests.remove(guest)
        guest.close()

    def test_dns_when_the_port_changes_hands_then_an_old_conversation_does_not_go_on(self):
        guest = self.guest()
        with guest.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, \
             HOST.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            client.connect((self.dev.address, DNS_PORT))
            client.send(b'question')
            self.assertTrue(wait(self.dev.dns[0]))
            self.dev.dns[0].sendto(b'answer', self.dev.dns[0].recvfrom(64)[1])
            self.assertTrue(wait(client))
            client.recv(64)
            self.dev.close_dns()
            self.dev2.close_dns()
            server.bind(('0.0.0.0', DNS_PORT))
            self.dev.ensure()
            client.send(b'question')
            self.assertEqual(self.reaches(guest, self.around['world']), [True, True])
            self.assertFalse(wait(server, seconds=0))
        self.dev2.ensure()

    def test_dns_when_its_owner_still_has_it_then_a_second_call_gets_none(self):
        kept = self.dev.dns
        self.dev.dns = []
        self.dev.ensure()
        self.assertEqual(self.dev.dns, [])
        self.assertIn('port 53', self.dev.note)
        for sock in kept:
            sock.close()
        self.assertEqual(len(self.dev.ensure().dns), 2)


if __name__ == '__main__':
    tap.main()
