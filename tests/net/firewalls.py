# SPDX-License-Identifier: LGPL-2.1-or-later
"""Firewalls of others: guests reach the same with them, or are told what is in the way; and afterwards their rules are
as they were.

Docker's chains are made as its documentation and dockerd's own iptables calls have them; ufw and firewalld are
the packages themselves, in this world, which is thrown away.
"""

import itertools
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import unittest

from world import (BARRIER_PORT, DEV, DEV2, DNS_PORT, HOST, KINDS, OUTSIDER, UPLINK, WORDS, WORLD, GLib, Gio, Guest,
                   Place, Refused, await_word, neighbourhood, run, services, tap, user)

PACKAGES = '/usr/src/banger-firewalls'
IPTABLES = ('iptables', 'iptables-save', 'iptables-restore', 'ip6tables', 'ip6tables-save', 'ip6tables-restore')
# Before and since version 28.
DOCKERS = ("""
*filter
:FORWARD DROP
:DOCKER -
:DOCKER-ISOLATION-STAGE-1 -
:DOCKER-ISOLATION-STAGE-2 -
:DOCKER-USER -
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
""", """
*filter
:FORWARD DROP
:DOCKER -
:DOCKER-BRIDGE -
:DOCKER-CT -
:DOCKER-FORWARD -
:DOCKER-USER -
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
COMMIT
""")


def unpack():
    """What the packages have, without what they do when they are installed."""
    for package in pathlib.Path(PACKAGES).glob('*.deb'):
        with subprocess.Popen(['dpkg-deb', '--fsys-tarfile', package], stdout=subprocess.PIPE) as archive:
            subprocess.run(['tar', '-x', '-C', '/', '--keep-directory-symlink'], stdin=archive.stdout, check=True)
    for name in IPTABLES:
        link = pathlib.Path('/usr/sbin', name)
        link.unlink(missing_ok=True)
        link.symlink_to('xtables-nft-multi')
    run('ldconfig')
    policy = pathlib.Path('/usr/share/polkit-1/actions/org.fedoraproject.FirewallD1.policy')
    policy.symlink_to(policy.with_suffix('.server.policy.choice'))
    templates = pathlib.Path('/usr/share/ufw')
    for file in (*templates.glob('iptables/*.rules'), *templates.glob('*.init'), templates / 'ufw.conf'):
        shutil.copy(file, '/etc/ufw')


def rules():
    """Of everybody but banger, without counters."""
    tables = re.split(r'^(?=table )', run('nft', '--stateless', 'list', 'ruleset'), flags=re.MULTILINE)
    return [table for table in tables if table.strip() and not re.match(r'table \w+ banger ', table)]


class Firewall(unittest.TestCase):
    """Each test begins and ends without one."""

    @classmethod
    def setUpClass(cls):
        cls.around = neighbourhood()
        cls.dev, cls.dev2 = user(DEV), user(DEV2)

    def setUp(self):
        self.guests = []
        self.assertEqual(rules(), [])

    def tearDown(self):
        for guest in self.guests:
            guest.close()
        for table in re.findall(r'^table (\w+ \S+) {', ''.join(rules()), flags=re.MULTILINE):
            run('nft', 'delete', 'table', *table.split())

    def guest(self, reach='nat', owner=None, **options):
        guest = Guest(owner or self.dev, **options)
        self.guests.append(guest)
        guest.set_reach(reach)
        return guest

    def close(self, *guests, **how):
        for guest in guests:
            self.guests.remove(guest)
            guest.close(**how)

    def expect(self, source, target, expected, **options):
        for kind, reach in KINDS.items():
            with self.subTest(kind=kind, source=source.address, target=target.address, uid=source.uid, **options):
                self.assertEqual(reach(source, target, expected, **options), expected)

    def works(self, guest):
        return all(reach(guest, self.around['world'], True) for reach in KINDS.values())

    def blocked(self, guest, reach='nat'):
        with self.assertRaises(Refused) as refused:
            guest.set_reach(reach)
        self.assertEqual(refused.exception.name, 'NatBlocked')
        return refused.exception.message

    def assert_matrix(self):
        """What matters of it, as without a firewall."""
        guest, peer, sibling = self.guest(peer=True), self.guest(peer=True), self.guest('none')
        far, other = self.guest('lan'), self.guest('lan', owner=self.dev2)
        subnet = f'{self.dev.address}/{self.dev.prefix}'.replace('.1/', '.0/')
        world, lan = self.around['world'], self.around['lan']
        for name, place in self.around.places.items():
            self.expect(guest, place, name == 'world')
            self.expect(far, place, True)
            self.expect(sibling, place, False)
        self.expect(guest, peer, True)
        for one in guest, far:
            self.expect(one, other, False)
            self.expect(one, sibling, False)
            for port in 7777, 22:
                self.expect(one, Place(HOST, self.dev.address), False, port=port)
                self.expect(one, Place(HOST, UPLINK), False, port=port)
        for uid, expected in (0, True), (DEV, True), (OUTSIDER, False):
            self.expect(Place(HOST, self.dev.address, uid=uid), guest, expected)
        self.around.router.batch(f'route add {subnet} via {UPLINK}')
        lan.space.batch(f'route add {subnet} via {UPLINK}')
        for place, one in itertools.product((world, lan), (guest, far)):
            self.expect(place, one, False)
        self.around.router.batch(f'route delete {subnet}')
        lan.space.batch(f'route delete {subnet}')
        self.assert_resolved(guest)

    def assert_resolved(self, guest):
        word = next(WORDS)
        with guest.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(word, (self.dev.address, DNS_PORT))
            await_word(self.dev.dns[0], word)

    def assert_unchanged(self):
        """Whoever asks for NAT and gives it back, in whatever way, and whoever dies meanwhile."""
        before = rules()
        self.assert_matrix()
        self.assertNotEqual(rules(), before)
        guests = self.guests[:]
        self.close(*guests)
        self.assertEqual(rules(), before)

        guest, other = self.guest(), self.guest('lan')
        opened = rules()
        guest.set_reach('lan')
        guest.set_reach('nat')
        self.assertEqual(rules(), opened)
        guest.set_reach('none')
        self.assertEqual(rules(), opened)
        self.assertTrue(self.works(other))
        services().end_services()
        self.assertTrue(self.works(other))
        self.dev.on_vm('DeleteTap', other.vm)
        self.assertEqual(rules(), before)

        self.close(guest, other)
        guest, other = self.guest(), self.guest()
        services().end_services()
        self.close(guest, release=False)
        self.dev.list()
        self.assertEqual(rules(), opened)
        services().end_services()
        self.close(other, release=False)
        self.dev.list()
        self.assertEqual(rules(), before)


class Docker(Firewall):
    @staticmethod
    def start(docker):
        run('iptables-restore', text=docker.lstrip())

    def test_t43_docker_when_there_then_guests_reach_the_same_and_its_rules_stay(self):
        for docker in DOCKERS:
            with self.subTest(docker=docker[:80]):
                self.start(docker)
                self.assert_unchanged()
                run('nft', 'delete', 'table', 'ip', 'filter')

    def test_t43_docker_when_its_chain_has_rules_of_an_administrator_then_they_count(self):
        for docker in DOCKERS:
            self.start(docker)
            run('iptables', '-I', 'DOCKER-USER', '-d', WORLD, '-p', 'udp', '-j', 'DROP')
            guest = self.guest('lan')
            self.assertFalse(KINDS['udp'](guest, self.around['world'], False))
            self.assertTrue(KINDS['tcp'](guest, self.around['world'], True))
            # It can still be read by who manages it.
            self.assertEqual(run('iptables', '-S', 'DOCKER-USER').count(self.dev.bridge), 2)
            run('nft', 'delete', 'table', 'ip', 'filter')

    def test_docker_when_it_makes_its_chains_anew_then_the_next_call_opens_again(self):
        self.start(DOCKERS[0])
        guest = self.guest()
        run('iptables', '-F', 'DOCKER-USER')
        before = rules()
        self.assertFalse(KINDS['udp'](guest, self.around['world'], False))
        guest.set_reach('nat')
        self.assertTrue(self.works(guest))
        guest.set_reach('none')
        self.assertEqual(rules(), before)
        # And where nothing is left to be closed.
        guest.set_reach('nat')
        run('nft', 'delete', 'table', 'ip', 'filter')
        guest.set_reach('none')

    def test_docker_when_it_comes_later_then_the_next_call_finds_it(self):
        guest = self.guest()
        self.start(DOCKERS[1])
        before = rules()
        guest.set_reach('nat')
        self.assertTrue(self.works(guest))
        services().end_services()
        guest.set_reach('none')
        self.assertEqual(rules(), before)

    def test_docker_when_another_firewall_is_beside_it_then_its_doors_stay_shut(self):
        self.start(DOCKERS[0])
        run('nft', 'add', 'table', 'inet', 'mine')
        run('nft', 'add', 'chain', 'inet', 'mine', 'fw', '{ type filter hook forward priority 5; policy drop; }')
        before = rules()
        guest = Guest(self.dev)
        self.guests.append(guest)
        self.assertIn('table inet mine, chain fw', self.blocked(guest))
        self.assertEqual(rules(), before)


class Ufw(Firewall):
    def setUp(self):
        super().setUp()
        run('ufw', '--force', 'enable')
        # Those of the tests that look whether something has come.
        run('ufw', 'allow', f'{BARRIER_PORT}/udp')

    def tearDown(self):
        run('ufw', '--force', 'reset')
        super().tearDown()

    def test_t43_ufw_when_there_then_guests_reach_the_same_and_its_rules_stay(self):
        files = {path: path.read_bytes() for path in pathlib.Path('/etc/ufw').glob('*.rules')}
        self.assert_unchanged()
        self.assertEqual({path: path.read_bytes() for path in files}, files)

    def test_ufw_when_an_administrator_lets_guests_pass_too_then_that_rule_stays(self):
        run('ufw', 'route', 'allow', 'in', 'on', self.dev.bridge)
        before = rules()
        guest = self.guest()
        self.assertTrue(self.works(guest))
        guest.set_reach('none')
        self.assertEqual(rules(), before)

    def test_ufw_when_docker_is_beside_it_then_one_door_is_enough(self):
        run('iptables', '-N', 'DOCKER-USER')
        run('iptables', '-I', 'FORWARD', '-j', 'DOCKER-USER')
        before = rules()
        guest = self.guest()
        self.assertTrue(self.works(guest))
        self.assertEqual(run('iptables', '-S').count(f'-o {self.dev.bridge}'), 1)
        guest.set_reach('none')
        self.assertEqual(rules(), before)


class Firewalld(Firewall):
    NAME = 'org.fedoraproject.FirewallD1'

    def setUp(self):
        super().setUp()
        self.start()

    def tearDown(self):
        if self.daemon.poll() is None:
            self.stop()
        super().tearDown()

    def start(self):
        self.await_owner(True, self.begin)
        self.prepare()

    @staticmethod
    def prepare():
        """It answers once its rules are loaded. It makes a zone's chains when that is first used, and keeps them."""
        run('firewall-cmd', f'--add-port={BARRIER_PORT}/udp')
        for verb in 'add', 'remove':
            run('firewall-cmd', '--zone=trusted', f'--{verb}-interface=eth7')

    def begin(self):
        log = os.open('/run/firewalld.log', os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        # pylint: disable-next=consider-using-with
        self.daemon = subprocess.Popen(['firewalld', '--nofork', '--nopid'], stdout=log, stderr=log)
        os.close(log)

    def stop(self):
        self.daemon.send_signal(signal.SIGCONT)
        self.daemon.terminate()
        self.daemon.wait()

    def await_owner(self, expected, act):
        loop = GLib.MainLoop()
        bus = services().root.connection
        watch = bus.signal_subscribe(
            'org.freedesktop.DBus', 'org.freedesktop.DBus', 'NameOwnerChanged', '/org/freedesktop/DBus', self.NAME,
            Gio.DBusSignalFlags.NONE, lambda *args: loop.quit() if bool(args[5].unpack()[2]) == expected else None)
        act()
        loop.run()
        bus.signal_unsubscribe(watch)

    def zone(self):
        done = subprocess.run(['firewall-cmd', f'--get-zone-of-interface={self.dev.bridge}'], capture_output=True,
                              text=True, check=False)
        return done.stdout.strip() or done.stderr.strip()

    def test_t43_firewalld_when_there_then_guests_reach_the_same_and_its_rules_stay(self):
        self.assert_unchanged()
        self.assertEqual(self.zone(), 'no zone')

    def test_firewalld_when_an_administrator_has_put_the_bridge_there_then_it_stays(self):
        run('firewall-cmd', '--zone=trusted', f'--add-interface={self.dev.bridge}')
        before = rules()
        guest = self.guest()
        self.assertTrue(self.works(guest))
        guest.set_reach('none')
        self.assertEqual(rules(), before)

    def test_firewalld_when_it_loads_its_rules_anew_then_the_next_call_tells_it_again(self):
        before = rules()
        guest = self.guest()
        run('firewall-cmd', '--complete-reload')
        self.prepare()
        guest.set_reach('nat')
        self.assertTrue(self.works(guest))
        guest.set_reach('none')
        self.assertEqual(rules(), before)

    def test_firewalld_when_it_has_gone_or_comes_back_then_nothing_of_ours_is_left(self):
        guest = self.guest()
        self.stop()
        guest.set_reach('none')
        self.start()
        before = rules()
        guest.set_reach('nat')
        self.assertTrue(self.works(guest))
        guest.set_reach('none')
        self.assertEqual(rules(), before)

    def test_firewalld_when_killed_then_its_rules_are_named_with_the_way_out(self):
        guest = Guest(self.dev)
        self.guests.append(guest)
        self.daemon.kill()
        self.daemon.wait()
        before = rules()
        message = self.blocked(guest)
        self.assertIn('table inet firewalld, chain filter_FORWARD', message)
        self.assertIn(f'firewall-cmd --zone=trusted --add-interface={self.dev.bridge}', message)
        self.assertEqual(rules(), before)

    def test_firewalld_when_it_does_not_answer_then_told_and_it_forgets_the_bridge_later(self):
        guest = Guest(self.dev)
        self.guests.append(guest)
        before = rules()
        self.daemon.send_signal(signal.SIGSTOP)
        self.assertIn('table inet firewalld', self.blocked(guest))
        self.daemon.send_signal(signal.SIGCONT)
        # Behind what it had not answered yet.
        self.assertEqual(self.zone(), 'no zone')
        self.assertEqual(rules(), before)

    def test_firewalld_when_another_firewall_is_beside_it_then_it_forgets_the_bridge(self):
        run('nft', 'add', 'table', 'inet', 'mine')
        run('nft', 'add', 'chain', 'inet', 'mine', 'fw', '{ type filter hook forward priority 500; policy drop; }')
        before = rules()
        guest = Guest(self.dev)
        self.guests.append(guest)
        self.assertIn('table inet mine, chain fw', self.blocked(guest))
        self.assertEqual(rules(), before)


class Unknown(Firewall):
    TABLE = 'table {family} {name} {{\n{sets}chain {chain} {{ type filter hook {hook} priority {priority}; ' \
            'policy {policy};\n{rules}\n}}\n}}\n'

    def load(self, rules='', sets='', **options):
        options = {'family': 'inet', 'name': 'mine', 'chain': 'fw', 'hook': 'forward', 'priority': 0, 'policy': 'drop',
                   **options}
        text = self.TABLE.format(rules=rules, sets=sets, **options)
        run('nft', '-f', '-', text=text.replace('BRIDGE', self.dev.bridge))

    def state(self):
        """What one that is refused may not change."""
        return (run('nft', '--stateless', 'list', 'ruleset'), self.dev.list(),
                {str(path): path.read_text(encoding='ascii')
                 for path in pathlib.Path('/proc/sys/net/ipv4/conf').glob('*/forwarding')})

    def test_t43_table_when_it_drops_then_named_with_a_way_out_that_works(self):
        for family, name, chain, priority in (('inet', 'mine', 'fw', 0), ('ip', 'filter', 'FORWARD', 0),
                                              ('ip', 'other', 'forward', -200), ('inet', 'late', 'f', 300)):
            with self.subTest(family=family, name=name, chain=chain):
                guest = Guest(self.dev)
                self.guests.append(guest)
                self.load(family=family, name=name, chain=chain, priority=priority)
                before = self.state()
                message = self.blocked(guest)
                self.assertEqual(self.state(), before)
                self.assertIn(f'table {family} {name}, chain {chain}', message)
                for command in message.split('with: ')[1].split('; '):
                    run(*command.split())
                guest.set_reach('nat')
                self.assertTrue(self.works(guest))
                self.close(guest)
                run('nft', 'delete', 'table', family, name)

    def test_table_when_some_rule_lets_the_bridge_pass_then_its_way_is_taken(self):
        answers = 'ct state established,related accept; '
        for rule, sets in (('iifname BRIDGE accept', ''), ('iifname "bgr-u*" accept', ''),
                           ('iifname { lo, BRIDGE } accept', ''),
                           ('iifname BRIDGE meta l4proto { tcp, udp } accept', ''),
                           ('iifname @ours accept', 'set ours { type ifname; elements = { eth7, BRIDGE } }\n'),
                           ('iifname BRIDGE jump guests', 'chain guests { accept\n}\n')):
            with self.subTest(rule=rule):
                self.load(answers + rule, sets=sets)
                before = rules()
                guest = self.guest()
                self.assertTrue(self.works(guest))
                self.close(guest)
                self.assertEqual(rules(), before)
                run('nft', 'delete', 'table', 'inet', 'mine')

    def test_table_when_its_rules_do_not_let_the_bridge_pass_then_told(self):
        guest = Guest(self.dev)
        self.guests.append(guest)
        for rule in ('iifname BRIDGE drop', 'iifname BRIDGE counter', 'iifname != BRIDGE accept',
                     'iifname { lo, eth7 } accept', 'iifname != { lo, BRIDGE } accept',
                     f'iifname {self.dev2.bridge} accept', 'iifname "bgr-x*" accept', 'oifname BRIDGE accept',
                     'iifname up0 oifname BRIDGE accept'):
            with self.subTest(rule=rule):
                self.load(rule)
                self.blocked(guest)
                run('nft', 'delete', 'table', 'inet', 'mine')

    def test_table_when_it_is_not_in_the_way_then_nobody_asks(self):
        for options in ({'policy': 'accept'}, {'hook': 'input'}, {'hook': 'output'}, {'family': 'ip6'}):
            with self.subTest(options=options):
                # What the tests say to the host themselves.
                self.load(**options, rules='accept')
                guest = self.guest()
                self.assertTrue(self.works(guest))
                self.close(guest)
                run('nft', 'delete', 'table', options.get('family', 'inet'), 'mine')

    def test_guest_when_it_has_nat_and_more_is_refused_then_it_keeps_what_it_had(self):
        guest = self.guest()
        self.load('iifname BRIDGE drop')
        self.blocked(guest, 'lan')
        run('nft', 'delete', 'table', 'inet', 'mine')
        self.assertTrue(self.works(guest))
        self.expect(guest, self.around['lan'], False)

    def test_chain_when_like_a_door_and_nothing_leads_there_then_it_is_none(self):
        self.load(family='ip', name='filter', chain='FORWARD', sets='chain DOCKER-USER { }\n')
        guest = Guest(self.dev)
        self.guests.append(guest)
        self.assertIn('table ip filter, chain FORWARD', self.blocked(guest))


if __name__ == '__main__':
    os.environ['PATH'] = '/usr/sbin:/usr/bin:/sbin:/bin'
    unpack()
    tap.main()
