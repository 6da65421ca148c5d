# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ports of this world's loopback that lead to real guests, over the user's real bridge."""

import json
import os
import signal
import socket
import unittest

import world

dev = world.User('dev')
# Says what it is told, with its own name before; a datagram and a line of a connection alike.
ECHO = r"""
use IO::Socket::INET; use IO::Select;
my $t = IO::Socket::INET->new(LocalPort => 80, Listen => 9, ReuseAddr => 1) or die $!;
my $u = IO::Socket::INET->new(LocalPort => 53, Proto => "udp") or die $!;
$| = 1;
print("ready\n");
my $all = IO::Select->new($t, $u);
while (my @ready = $all->can_read) {
	for (@ready) {
		if ($_ == $t) { my $c = $t->accept; my $line = <$c>; print $c "$ENV{NAME} $line"; close($c); }
		else { $u->recv(my $data, 1500); $u->send("$ENV{NAME} $data"); }
	}
}
"""


def ask(port, address='127.0.0.1'):
    with socket.create_connection((address, port)) as sock:
        sock.sendall(b'line\n')
        return sock.makefile().read()


def ask_datagram(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(('127.0.0.1', port))
        sock.send(b'datagram')
        return sock.recv(99).decode()


def ports(*vm):
    return [(row['vm'], row['address'], row['host'], row['guest'], row['protocol'])
            for row in json.loads(dev.must('--json', 'vm', 'ports', *vm))]


class Ports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        dev.must('vm', 'run', '-d', '--name', 'web', '-p', '8080:80', '-p', '5353:53/udp')
        cls.addClassCleanup(dev.must, 'vm', 'delete', '-f', 'web')
        cls.echo('web')

    @classmethod
    def echo(cls, vm):
        server = dev.start('banger', 'vm', 'exec', '--env', f'NAME={vm}', vm, '--', 'perl', '-e', ECHO)
        cls.addClassCleanup(server.wait)
        cls.addClassCleanup(server.kill)
        assert server.stdout.readline() == b'ready\n'

    def assert_refused(self, port):
        self.assertRaises(ConnectionRefusedError, ask, port)

    def test_1_port_when_published_then_it_leads_to_the_guest(self):
        self.assertEqual(ask(8080), 'web line\n')
        self.assertEqual(ask_datagram(5353), 'web datagram')
        self.assertEqual(ports('web'), [('web', '127.0.0.1', 8080, 80, 'tcp'), ('web', '127.0.0.1', 5353, 53, 'udp')])
        self.assertEqual(dev.show('web')['network'], 'host')

    def test_2_port_when_another_machine_has_it_then_told_and_nothing_is_left(self):
        done = dev.banger('vm', 'run', '--rm', '--name', 'other', '-p', '8080:80', '--', 'true')
        self.assertEqual(done.returncode, 125)
        self.assertIn('127.0.0.1:8080/tcp cannot be published: another of your VMs has it published', done.stderr)
        self.assertEqual(dev.vms(), ['web'])
        self.assertEqual(ask(8080), 'web line\n')

    def test_3_ports_when_set_while_it_runs_then_at_once(self):
        dev.must('vm', 'set', '--unpublish', '8080:80', '-p', '127.0.0.9:9090:80', 'web')
        self.assert_refused(8080)
        self.assertEqual(ask(9090, '127.0.0.9'), 'web line\n')
        done = dev.banger('vm', 'set', '--unpublish', '8080:80', 'web')
        self.assertEqual(done.returncode, 1)
        self.assertIn("port '8080:80': it is not published", done.stderr)
        dev.must('vm', 'set', '-p', '8080:80', 'web')
        self.assertEqual(ask(8080), 'web line\n')

    def test_4_ports_when_bangerd_was_killed_then_its_successor_has_them(self):
        os.kill(dev.pid_of('bangerd'), signal.SIGKILL)
        # The command in the guest got its HUP; whoever calls finds the successor.
        self.echo('web')
        self.assertEqual(ask(8080), 'web line\n')

    def test_5_ports_when_it_stops_and_starts_then_given_back_and_taken(self):
        dev.must('vm', 'stop', 'web')
        self.assert_refused(8080)
        self.assertEqual(len(ports()), 3)
        with socket.create_server(('127.0.0.1', 8080)):
            done = dev.banger('vm', 'start', 'web')
            self.assertEqual(done.returncode, 1)
            self.assertIn('127.0.0.1:8080/tcp cannot be published: it is in use', done.stderr)
        dev.must('vm', 'start', 'web')
        self.echo('web')
        self.assertEqual(ask(8080), 'web line\n')


if __name__ == '__main__':
    world.tap.main()
