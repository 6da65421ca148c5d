# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two members, each with a machine that has NAT, on a host with an uplink: whom they reach, and what is left of it when
they have gone.
"""

import json
import os
import subprocess
import sys
import unittest

import machine

SOURCE = os.environ['BANGER_SOURCE']
sys.path += [SOURCE + '/tools', SOURCE + '/tests/guest/inside']
import knock  # noqa: E402
import neighbourhood  # noqa: E402

# Nobody listens there, which a guest's kernel says itself.
PORT = 9
REFUSED, UNREACHABLE = 111, 113
CONNECT = ['perl', '-MSocket', '-e', 'socket(my $s, PF_INET, SOCK_STREAM, 0); '
           'connect($s, pack_sockaddr_in($ARGV[1], inet_aton($ARGV[0]))); exit($! + 0);']

host = machine.make()
world = neighbourhood.make()['world']
# The one lingers, the other comes and goes.
dev2, dev = machine.User(host, 'dev2'), machine.User(host, 'dev')
WAYS = {dev: 'ssh', dev2: 'manager'}
before = addresses = session = None


def banger(user, *words):
    return user.must(WAYS[user], 'banger', *words)


def setUpModule():
    global before, addresses, session
    host.boot()
    unittest.addModuleCleanup(host.show_journal)
    before = machine.look_at_network()
    dev2.linger()
    session = dev.start('ssh', 'sh', '-c', 'echo here; exec cat', stdin=subprocess.PIPE)
    session.stdout.readline()
    for user in WAYS:
        banger(user, 'vm', 'run', '-d', '--nat', '--name', 'box')
    addresses = {user: json.loads(banger(user, '--json', 'vm', 'show', 'box'))['address'] for user in WAYS}


def look_of(user):
    """What the network shows of a user's machines."""
    subnet = addresses[user].rpartition('.')[0]
    links, _, *said = machine.look_at_network()
    lines = [line for text in said for line in text.splitlines()]
    return [line for line in [*links, *lines] if f'u{user.uid}' in line or subnet in line]


def files(directory):
    """Names of all in it."""
    return sorted(host.must('find', directory, '-type', 'f', '-printf', r'%f\n').split())


class Case(unittest.TestCase):
    def check(self, user, doors, expected):
        def execute(*argv):
            return banger(user, 'vm', 'exec', 'box', '--', *argv)

        self.assertEqual(knock.reached(execute, doors, expected), expected)


class Together(Case):
    def test_machines_when_both_have_nat_then_the_world_sees_the_host(self):
        with world.socket() as page:
            page.bind((neighbourhood.WORLD, 80))
            page.listen()
            for user in WAYS:
                door = f'{neighbourhood.WORLD}:80'
                self.check(user, [door], [door])
                with page.accept()[0] as connection:
                    self.assertEqual(connection.getpeername()[0], neighbourhood.UPLINK)

    def test_machines_when_the_other_asks_then_neither_they_nor_their_bridges_are_reached(self):
        for user, other in (dev, dev2), (dev2, dev):
            subnet = addresses[other].rpartition('.')[0]
            self.check(user, [f'{address}:{PORT}' for address in (addresses[other], f'{subnet}.1')], [])

    def test_people_when_they_ask_then_each_reaches_the_own_machine_alone(self):
        for user in WAYS:
            codes = {other: user.run(WAYS[user], *CONNECT, addresses[other], str(PORT)).returncode for other in WAYS}
            self.assertEqual(codes, {other: REFUSED if user is other else UNREACHABLE for other in WAYS})


class Zz_Leaving(Case):
    """Last, since it ends the machines."""

    def test_network_when_one_logs_out_then_theirs_is_gone_and_when_the_other_removes_it_all_is(self):
        self.assertNotEqual(look_of(dev), [])
        session.communicate()
        host.wait_state(f'user@{dev.uid}.service', 'inactive')
        self.assertEqual(look_of(dev), [])
        door = f'{neighbourhood.WORLD}:{PORT}'
        self.check(dev2, [door], [door])
        banger(dev2, 'vm', 'delete', '--force', 'box')
        dev2.must('manager', 'systemctl', '--user', 'stop', 'bangerd')
        self.assertEqual(machine.look_at_network(), before)
        self.assertEqual(files('/run/banger-helper'), ['kvm'])
        # README's removal names it.
        self.assertEqual(files('/var/lib/banger'), sorted(str(user.uid) for user in WAYS))


if __name__ == '__main__':
    machine.tap.main()
