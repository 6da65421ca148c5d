# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real guests with the networks that the product gives them, and the world of tools/world.py around the host: who
reaches whom, by the programs that a person would use.

Here a guest's own clients ask, and give up soon; that nothing passes is what tests/net sees, packet by packet.
"""

import subprocess
import sys
import unittest

import knock
import world

sys.path.append(world.TOOLS)
import neighbourhood  # noqa: E402

PAGE, SECURE_PAGE = 'http://world.test/', 'https://world.test/'
HELLO = 'world: hello, ' + neighbourhood.UPLINK + '\n'
WORLD, LAN, METADATA = (f'{host}:80' for host in (neighbourhood.WORLD, neighbourhood.LAN, neighbourhood.METADATA))
# How far a machine reaches, in the order of both ways of each change.
CHANGES = ('nat', 'lan', 'nat', 'host', 'lan', 'host')
REACHED = {'host': [], 'nat': [WORLD], 'lan': [WORLD, LAN, METADATA]}
dev, outsider = world.User('dev'), world.User('outsider')


def setUpModule():
    starts = [dev.start('banger', 'vm', 'run', '-d', '--name', name, *options) for name, *options in
              (('one', '--nat', '--peer'), ('two', '--peer'), ('apart', '--network', 'host'))]
    for start in starts:
        _, err = start.communicate()
        if start.returncode != 0:
            raise AssertionError(err.decode())


def tearDownModule():
    dev.must('vm', 'delete', '-f', 'one', 'two', 'apart')


def address(vm):
    return dev.show(vm)['address']


class Case(unittest.TestCase):
    def check(self, vm, doors, expected):
        self.assertEqual(knock.reached(lambda *argv: dev.execute(vm, *argv), doors, expected), expected)


class World(Case):
    def test_page_when_fetched_as_readme_says_then_the_world_saw_the_host(self):
        self.assertEqual(dev.must('vm', 'run', '--rm', '--nat', '--', 'curl', '-sS', PAGE), HELLO)

    def test_page_when_it_is_https_then_the_guest_has_proof_whose_it_is(self):
        with open('/run/banger-world/ca.pem', 'rb') as file:
            authority = file.read()
        fetch = ['curl', '-sS', '--cacert', '/dev/stdin', SECURE_PAGE]
        self.assertEqual(dev.execute('one', *fetch, data=authority), HELLO)
        self.assertNotEqual(dev.banger('vm', 'exec', 'one', '--', 'curl', SECURE_PAGE).returncode, 0)

    def test_reach_when_changed_while_the_machine_runs_then_what_it_says_is_reached(self):
        self.addCleanup(dev.must, 'vm', 'set', '--nat', 'one')
        for network in CHANGES:
            with self.subTest(network=network):
                dev.must('vm', 'set', '--network', network, 'one')
                self.check('one', (WORLD, LAN, METADATA), REACHED[network])


class Names(unittest.TestCase):
    def test_machine_when_another_asks_for_it_then_its_address(self):
        for asking, asked in ('one', 'two'), ('apart', 'one'):
            for name in asked, f'{asked}.dev.vm':
                found = dev.execute(asking, 'getent', 'hosts', name).split()
                self.assertEqual(found, [address(asked), f'{asked}.dev.vm'])

    def test_machine_when_the_host_asks_its_bridge_then_its_address(self):
        subnet, _, _ = address('one').rpartition('.')
        # A resolv.conf for one command alone.
        script = (f'mount -t tmpfs names /mnt && echo nameserver {subnet}.1 >/mnt/names && '
                  f'mount --bind /mnt/names /etc/resolv.conf && '
                  f'exec setpriv --reuid {dev.uid} --clear-groups getent hosts one.dev.vm')
        done = subprocess.run(['unshare', '--mount', 'sh', '-c', script], stdout=subprocess.PIPE, text=True, check=True)
        self.assertEqual(done.stdout.split(), [address('one'), 'one.dev.vm'])


class Neighbours(Case):
    def doors(self, *vms):
        # Nobody listens there.
        return [f'{address(vm)}:9' for vm in vms]

    def test_peers_when_both_are_then_they_reach_each_other_and_nobody_else(self):
        one, two, apart = self.doors('one', 'two', 'apart')
        self.check('one', (two, apart), [two])
        self.check('two', (one, apart), [one])
        self.check('apart', (one, two), [])

    def test_peer_when_changed_while_the_machine_runs_then_what_is_told_is_so(self):
        self.addCleanup(dev.must, 'vm', 'set', '--no-peer', 'apart')
        doors = self.doors('apart')
        for option, told in ('--peer', 'yes'), ('--no-peer', 'no'):
            dev.must('vm', 'set', option, 'apart')
            self.assertEqual(dev.show('apart')['peer'], told)
            self.check('two', doors, doors if told == 'yes' else [])

    def test_host_when_a_guest_asks_then_no_service_of_it_is_reached(self):
        subnet, _, _ = address('one').rpartition('.')
        self.check('one', [f'{host}:9' for host in (f'{subnet}.1', neighbourhood.UPLINK, neighbourhood.UPLINK2)], [])

    def test_guest_when_people_of_the_host_ask_then_its_owner_alone_reaches_it(self):
        code = 'import socket, sys; sys.exit(socket.socket().connect_ex((sys.argv[1], 9)))'
        refused, unreachable = 111, 113
        for user, expected in (dev, refused), (outsider, unreachable):
            self.assertEqual(user.run('python3', '-c', code, address('one')).returncode, expected)


if __name__ == '__main__':
    world.tap.main()
