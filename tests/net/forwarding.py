# SPDX-License-Identifier: LGPL-2.1-or-later
"""What forwards packets while guests have NAT, and that it is as it was when none has."""

import os
import unittest

from world import DEV, DEV2, HOST, Guest, KINDS, User, neighbourhood, read, run, services, tap, user, write

CONF = '/proc/sys/net/ipv4/conf'
SWITCH = '/proc/sys/net/ipv4/ip_forward'
FORWARDS, NOT = '1', '0'


def forwarding(interface=None):
    """Of every interface, and the switch for all of them."""
    if interface:
        return read(f'{CONF}/{interface}/forwarding')
    return {name: forwarding(name) for name in os.listdir(CONF) if not name.startswith('bgr-')}


class Forwarding(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.around = neighbourhood()
        cls.dev, cls.dev2, cls.root = user(DEV), user(DEV2), User(0)

    def setUp(self):
        self.before = forwarding()
        self.assertEqual(set(self.before.values()), {NOT})
        self.guests = []

    def tearDown(self):
        for guest in self.guests:
            guest.close()
        self.assertEqual(forwarding(), self.before)
        self.assertEqual(self.uplinks(), [])

    def guest(self, reach='nat', owner=None):
        guest = Guest(owner or self.dev)
        self.guests.append(guest)
        guest.set_reach(reach)
        return guest

    @staticmethod
    def uplinks():
        """Of which the filter says that they forward for guests alone."""
        text = run('nft', 'list', 'set', 'inet', 'banger', 'uplinks')
        return sorted(word.strip('",') for word in text.split() if word.startswith('"'))

    def works(self, guest):
        return all(reach(guest, self.around['world'], True) for reach in KINDS.values())

    def assert_on(self, *interfaces, but=()):
        expected = {**self.before, **{name: FORWARDS for name in interfaces}}
        self.assertEqual(forwarding(), expected)
        self.assertEqual(self.uplinks(), sorted(set(interfaces) - set(but)))


class Switched(Forwarding):
    def test_interfaces_when_a_guest_has_nat_then_these_alone_forward(self):
        guest = self.guest()
        self.assert_on('up0', 'up1')
        self.assertEqual(forwarding(self.dev.bridge), FORWARDS)
        self.assertEqual(read(SWITCH), NOT)
        guest.set_reach('none')
        self.assertEqual(forwarding(), self.before)

    def test_interfaces_when_several_guests_have_nat_then_until_the_last(self):
        for order in (0, 1, 2), (2, 0, 1):
            guests = [self.guest(), self.guest('lan'), self.guest(owner=self.dev2)]
            for n in order:
                self.assert_on('up0', 'up1')
                guests[n].set_reach('lan')
                guests[n].set_reach('nat')
                guests[n].set_reach('none')
                guests[n].set_reach('none')
            self.assertEqual(forwarding(), self.before)

    def test_interfaces_when_a_guest_goes_in_any_way_then_put_back(self):
        for go in ('DeleteTap', 'ReleaseVM', 'DisableNat'):
            guest = self.guest()
            self.dev.on_vm(go, guest.vm)
            self.assertEqual(forwarding(), self.before, go)
        self.guest()
        self.root.call('ReleaseUser', '(u)', DEV)
        self.assertEqual(forwarding(), self.before)
        self.dev.ensure()

    def test_interface_when_it_forwarded_before_then_it_still_does(self):
        write(f'{CONF}/up1/forwarding', FORWARDS)
        guest = self.guest()
        self.assert_on('up0', 'up1', but=('up1',))
        guest.set_reach('none')
        self.assertEqual(forwarding('up1'), FORWARDS)
        write(f'{CONF}/up1/forwarding', NOT)

    def test_interface_when_it_comes_later_then_the_next_call_switches_it_and_the_last_back(self):
        guest = self.guest()
        HOST.batch('link add up2 type bridge\naddr add 10.99.0.2/24 dev up2\nlink set up2 up')
        self.assertEqual(forwarding('up2'), NOT)
        guest.set_reach('nat')
        self.assertEqual(forwarding('up2'), FORWARDS)
        guest.set_reach('none')
        self.assertEqual(forwarding('up2'), NOT)
        HOST.batch('link delete up2')

    def test_interface_when_somebody_switches_it_off_meanwhile_then_the_next_call_mends_it(self):
        guest = self.guest()
        write(f'{CONF}/up0/forwarding', NOT)
        guest.set_reach('nat')
        self.assert_on('up0', 'up1')
        self.assertTrue(self.works(guest))


class Others(Forwarding):
    """What other programs do meanwhile."""

    def add(self, name):
        HOST.batch(f'link add {name} type bridge\naddr add 10.99.0.2/24 dev {name}\nlink set {name} up')

    def test_interface_when_it_vanishes_then_the_others_are_put_back(self):
        self.add('up2')
        guest = self.guest()
        HOST.batch('link delete up2')
        guest.set_reach('none')
        self.assertEqual(forwarding(), self.before)

    def test_interface_when_another_takes_its_name_then_it_is_left_alone(self):
        self.add('up2')
        guest = self.guest()
        HOST.batch('link delete up2')
        self.add('up2')
        write(f'{CONF}/up2/forwarding', FORWARDS)
        guest.set_reach('none')
        self.assertEqual(forwarding('up2'), FORWARDS)
        HOST.batch('link delete up2')

    def test_host_when_it_becomes_a_router_meanwhile_then_it_stays_one(self):
        guest = self.guest()
        # As Docker and libvirt do.
        write(SWITCH, FORWARDS)
        guest.set_reach('none')
        self.assertEqual(set(forwarding().values()), {FORWARDS})
        self.assertEqual(self.uplinks(), [])
        write(SWITCH, NOT)

    def test_host_when_it_was_a_router_before_then_an_interface_that_was_none_is_none_again(self):
        write(SWITCH, FORWARDS)
        write(f'{CONF}/up1/forwarding', NOT)
        before = forwarding()
        guest = self.guest()
        self.assertEqual(self.uplinks(), ['up1'])
        guest.set_reach('none')
        self.assertEqual(forwarding(), before)
        write(SWITCH, NOT)


class Crashes(Forwarding):
    def test_helper_when_killed_then_its_successor_puts_back(self):
        guest = self.guest()
        services().end_services()
        self.assert_on('up0', 'up1')
        self.assertTrue(self.works(guest))
        guest.set_reach('none')
        self.assertEqual(forwarding(), self.before)

    def test_helper_when_killed_and_another_guest_comes_then_until_the_last(self):
        guest = self.guest()
        services().end_services()
        other = self.guest(owner=self.dev2)
        guest.set_reach('none')
        self.assert_on('up0', 'up1')
        services().end_services()
        other.set_reach('none')
        self.assertEqual(forwarding(), self.before)

    def test_helper_when_killed_and_the_guest_goes_without_it_then_the_next_call_puts_back(self):
        guest = self.guest()
        services().end_services()
        self.guests.remove(guest)
        guest.close(release=False)
        self.assertEqual(self.dev.list(), [('', 'bridge', self.dev.bridge, 'ready')])
        self.assertEqual(forwarding(), self.before)

    def test_helper_when_killed_and_an_interface_goes_then_the_others_are_put_back(self):
        HOST.batch('link add up2 type bridge\naddr add 10.99.0.2/24 dev up2\nlink set up2 up')
        guest = self.guest()
        services().end_services()
        HOST.batch('link delete up2')
        guest.set_reach('none')
        self.assertEqual(forwarding(), self.before)


if __name__ == '__main__':
    tap.main()
