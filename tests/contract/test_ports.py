#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real publisher of ports, between clients and guests that are addresses of a loopback of its own.

Environment: PUBLISH (the program).
"""

import contextlib
import hashlib
import os
import resource
import socket
import subprocess
import threading
import unittest

import namespaces
import tap

HOST, GUEST, OTHER = '127.0.0.1', '127.0.0.2', '127.0.0.3'
STREAMS, STREAMS_OF_ONE, CLIENTS = 128, 64, 128
# Of this host, and not of its loopback.
NEAR, NEAR_V6, OTHER_V6 = '198.51.100.1', '2001:db8::1', '2001:db8::2'


def listen(address=GUEST, port=80):
    return socket.create_server((address, port))


def datagrams(address=GUEST, port=53):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock


def send_from_anew(data, port=5353):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((HOST, port))
    sock.send(data)
    return sock


def read_all(sock):
    data = b''
    while part := sock.recv(1 << 16):
        data += part
    return data


def has_ended(sock):
    try:
        return sock.recv(1) == b''
    except ConnectionResetError:
        return True


class Published(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.publisher = subprocess.Popen([os.environ['PUBLISH']], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                          text=True, bufsize=1)
        self.addCleanup(self.end)

    def end(self):
        self.publisher.communicate()
        self.assertEqual(self.publisher.returncode, 0)

    def keep(self, sock):
        return self.stack.enter_context(sock)

    def tell(self, *words):
        self.publisher.stdin.write(' '.join(words) + '\n')
        return self.publisher.stdout.readline().strip()

    def publish(self, port, vm='one', guest=GUEST):
        self.assertEqual(self.tell('publish', vm, port, guest), 'ok')

    def connect(self, port=8080):
        return self.keep(socket.create_connection((HOST, port)))

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.publisher.pid}/fd'))


class Streams(Published):
    def setUp(self):
        super().setUp()
        self.guest = self.keep(listen())

    def accept(self):
        return self.keep(self.guest.accept()[0])

    def test_bytes_when_many_go_both_ways_at_once_then_they_arrive_and_each_end_is_told(self):
        self.publish('8080:80')
        client, guest = self.connect(), self.accept()
        there, back = os.urandom(8 << 20), os.urandom(8 << 20)

        def say(sock, data):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

        tellers = [threading.Thread(target=say, args=pair) for pair in ((client, there), (guest, back))]
        heard = {}
        listeners = [threading.Thread(target=lambda s=sock: heard.update({s: hashlib.sha256(read_all(s)).digest()}))
                     for sock in (client, guest)]
        for thread in tellers + listeners:
            thread.start()
        for thread in tellers + listeners:
            thread.join()
        self.assertEqual(heard, {guest: hashlib.sha256(there).digest(), client: hashlib.sha256(back).digest()})

    def test_end_when_one_side_has_said_all_then_the_other_may_still_answer(self):
        self.publish('8080:80')
        client, guest = self.connect(), self.accept()
        client.sendall(b'question')
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(read_all(guest), b'question')
        guest.sendall(b'answer')
        guest.close()
        self.assertEqual(read_all(client), b'answer')

    def test_end_when_a_side_is_gone_at_once_then_the_other_hears_and_nothing_is_kept(self):
        self.publish('8080:80')
        idle = self.descriptors()
        client, guest = self.connect(), self.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        client.close()
        self.assertTrue(has_ended(guest))
        guest.close()
        for _ in range(STREAMS):
            client, guest = self.connect(), self.accept()
            guest.close()
            self.assertTrue(has_ended(client))
            client.close()
        # The last ones may still be closing.
        self.assertLess(self.descriptors(), idle + STREAMS // 4)

    def test_guest_when_it_does_not_listen_then_the_client_hears_the_end(self):
        self.publish('8080:81')
        self.assertTrue(has_ended(self.connect()))

    def test_port_when_withdrawn_then_cut_and_free(self):
        self.publish('8080:80')
        client, guest = self.connect(), self.accept()
        # Somebody else's word does not count.
        self.assertEqual(self.tell('withdraw', 'two', '8080:80'), 'ok')
        client.sendall(b'x')
        self.assertEqual(guest.recv(1), b'x')
        self.assertEqual(self.tell('withdraw', 'one', '8080:80'), 'ok')
        self.assertTrue(has_ended(client))
        self.assertTrue(has_ended(guest))
        self.keep(listen(HOST, 8080))

    def test_port_when_somebody_has_it_then_told_who_may_know(self):
        with listen(HOST, 8080):
            self.assertIn('127.0.0.1:8080/tcp cannot be published: it is in use; \'ss -tulnp\'',
                          self.tell('publish', 'one', '8080:80', GUEST))
        self.publish('8080:80')
        self.assertIn('another of your VMs has it', self.tell('publish', 'two', '8080:80', OTHER))
        # The same number by UDP, and of another address, is another port.
        self.publish('8080:80/udp', vm='two')
        self.publish('127.0.0.9:8080:80', vm='two')

    def test_port_when_it_cannot_be_had_then_told_why(self):
        self.assertIn('cannot be published: ', self.tell('publish', 'one', '192.0.2.1:8080:80', GUEST))

    def test_port_when_published_again_then_it_leads_to_the_new_place_alone(self):
        self.publish('8080:80')
        old, first = self.connect(), self.accept()
        self.publish('8080:80')
        old.sendall(b'old')
        self.assertEqual(first.recv(3), b'old')
        with listen(OTHER, 81) as other:
            self.publish('8080:81', guest=OTHER)
            client = self.connect()
            with other.accept()[0] as second:
                client.sendall(b'new')
                self.assertEqual(second.recv(3), b'new')
        self.assertTrue(has_ended(old))
        self.assertTrue(has_ended(first))

    def test_clients_when_too_many_then_the_next_waits_for_an_end(self):
        self.publish('8080:80')
        guest = self.keep(socket.create_server((GUEST, 90), backlog=2 * STREAMS))
        self.publish('9090:90')
        clients = [self.connect(9090) for _ in range(STREAMS + 1)]
        served = [self.keep(guest.accept()[0]) for _ in range(STREAMS)]
        guest.setblocking(False)
        # A port of its own is not in their way.
        other = self.connect(8080)
        self.accept().sendall(b'x')
        self.assertEqual(other.recv(1), b'x')
        self.assertRaises(BlockingIOError, guest.accept)
        served[0].close()
        self.assertTrue(has_ended(clients[0]))
        clients[0].close()
        guest.setblocking(True)
        self.keep(guest.accept()[0]).sendall(b'x')
        self.assertEqual(clients[-1].recv(1), b'x')

    def test_clients_when_one_has_many_then_its_next_is_closed_and_others_are_served(self):
        self.publish('0.0.0.0:8080:80')

        def connect(source):
            return self.keep(socket.create_connection((source, 8080), source_address=(source, 0)))

        many = [connect(NEAR) for _ in range(STREAMS_OF_ONE)]
        served = [self.accept() for _ in many]
        self.assertTrue(has_ended(connect(NEAR)))
        for source in HOST, OTHER:
            client = connect(source)
            client.sendall(b'x')
            self.assertEqual(self.accept().recv(1), b'x')
        served[0].close()
        self.assertTrue(has_ended(many[0]))
        many[0].close()
        client = connect(NEAR)
        client.sendall(b'x')
        self.assertEqual(self.accept().recv(1), b'x')

    def test_connection_when_silent_then_both_ends_are_asked_whether_they_are_there(self):
        self.publish('8080:80')
        self.connect()
        self.accept()
        for end in 'sport = :8080', 'dport = :80':
            told = subprocess.run(['ss', '-tnoH', 'state', 'established', f'( {end} )'], check=True, text=True,
                                  capture_output=True).stdout
            self.assertIn('timer:(keepalive,', told)

    def test_descriptors_when_none_is_left_then_who_came_is_served_later(self):
        self.publish('8080:80')
        soft, hard = resource.prlimit(self.publisher.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.publisher.pid, resource.RLIMIT_NOFILE, (self.descriptors(), hard))
        client = self.connect()
        self.assertEqual(self.tell('withdraw', 'one', '1:1'), 'ok')
        resource.prlimit(self.publisher.pid, resource.RLIMIT_NOFILE, (soft, hard))
        client.sendall(b'x')
        self.assertEqual(self.accept().recv(1), b'x')


class Datagrams(Published):
    def setUp(self):
        super().setUp()
        self.guest = self.keep(datagrams())
        self.publish('5353:53/udp')

    def test_datagrams_when_two_clients_ask_then_each_has_its_own_answers(self):
        clients = [self.keep(send_from_anew(data)) for data in (b'a', b'b')]
        asked = dict(self.guest.recvfrom(9) for _ in clients)
        for data in b'b', b'a':
            self.guest.sendto(b'answer to ' + data, asked[data])
        self.assertEqual([sock.recv(99) for sock in clients], [b'answer to a', b'answer to b'])
        clients[0].send(b'again')
        self.assertEqual(self.guest.recvfrom(9), (b'again', asked[b'a']))

    def test_datagram_when_empty_or_as_large_as_can_be_then_whole(self):
        for data in b'', os.urandom(65507):
            client = self.keep(send_from_anew(data))
            got, address = self.guest.recvfrom(1 << 16)
            self.assertEqual(got, data)
            self.guest.sendto(data, address)
            self.assertEqual(client.recv(1 << 16), data)

    def test_answer_when_from_somebody_else_then_it_does_not_arrive(self):
        client = self.keep(send_from_anew(b'x'))
        _, address = self.guest.recvfrom(9)
        with datagrams(OTHER) as other:
            other.sendto(b'forged', address)
        self.guest.sendto(b'real', address)
        self.assertEqual(client.recv(9), b'real')

    def test_guest_when_it_did_not_listen_for_a_while_then_served_afterwards(self):
        self.guest.close()
        client = self.keep(send_from_anew(b'lost'))
        guest = self.keep(datagrams())
        # One of them at most may meet the refusal of the first.
        for _ in range(2):
            client.send(b'x')
        self.assertIn(guest.recvfrom(9)[0], (b'x', b'lost'))

    def test_answer_when_the_port_has_all_addresses_then_it_is_from_the_one_that_was_asked(self):
        self.publish('0.0.0.0:5454:53/udp')
        self.publish('[::]:5555:53/udp')
        for source, asked in ((HOST, ('127.0.0.9', 5454)), (HOST, ('127.0.0.10', 5454)),
                              (OTHER_V6, (NEAR_V6, 5555)), (HOST, ('127.0.0.9', 5555))):
            family = socket.AF_INET6 if ':' in source else socket.AF_INET
            client = self.keep(socket.socket(family, socket.SOCK_DGRAM))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind((source, 7777))
            client.connect(asked)
            client.send(b'question')
            _, address = self.guest.recvfrom(99)
            self.guest.sendto(b'answer', address)
            self.assertEqual(client.recv(99), b'answer')
            client.close()

    def test_clients_when_too_many_then_who_was_silent_for_longest_is_forgotten(self):
        idle = self.descriptors()
        first = self.keep(send_from_anew(b'first'))
        _, old = self.guest.recvfrom(9)
        for _ in range(CLIENTS):
            self.keep(send_from_anew(b'x'))
            self.guest.recvfrom(9)
        self.assertEqual(self.descriptors(), idle + CLIENTS)
        first.send(b'again')
        _, new = self.guest.recvfrom(9)
        self.assertNotEqual(new, old)
        self.guest.sendto(b'answer', new)
        self.assertEqual(first.recv(9), b'answer')


if __name__ == '__main__':
    namespaces.enter()
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    for address in NEAR, NEAR_V6, OTHER_V6:
        subprocess.run(['ip', 'address', 'add', address, 'dev', 'lo'], check=True)
    # Nothing takes as long; what never comes is to fail, not to hang.
    socket.setdefaulttimeout(40)
    tap.main()
