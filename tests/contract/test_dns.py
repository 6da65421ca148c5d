#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real answerer for names on loopback sockets, before resolvers that do as they are told.

Environment: DNS_SERVE (the program), BANGER_SOURCE (the tree).
"""

import contextlib
import os
import pathlib
import resource
import select
import socket
import struct
import subprocess
import unittest

import namespaces
import tap

A, TXT, AAAA = 1, 16, 28
SERVFAIL, NXDOMAIN, REFUSED = 2, 3, 5
OUTSIDE = '127.128.0.1'
QR, TC = 0x8000, 0x0200
SERVER = '127.0.0.1'
RESOLVERS = '127.0.0.11', '127.0.0.12', '127.0.0.13'
RESOLV_CONF = pathlib.Path('/etc/resolv.conf')
PENDING, PENDING_OF_ONE = 1024, 256
STREAMS, STREAMS_OF_ONE = 32, 8


def query(name, kind=A, number=0x1234):
    labels = b''.join(bytes([len(x)]) + x.encode() for x in name.split('.'))
    return struct.pack('>6H', number, 0x0100, 1, 0, 0, 0) + labels + struct.pack('>x2H', kind, 1)


def reply(asked, more=b'', flags=0):
    """What a resolver says to a query; `more`: anything, so that the test knows it again."""
    return asked[:2] + struct.pack('>H', QR | 0x0180 | flags) + asked[4:] + more


def number_of(message):
    return struct.unpack('>H', message[:2])[0]


def code_of(message):
    return message[3] & 15


def has_records(message):
    return struct.unpack('>H', message[6:8])[0]


def framed(message):
    return struct.pack('>H', len(message)) + message


def read_exactly(sock, size):
    data = b''
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def read_framed(sock):
    return read_exactly(sock, struct.unpack('>H', read_exactly(sock, 2))[0])


def has_ended(sock, asking=b''):
    try:
        if asking:
            sock.sendall(asking)
        return sock.recv(1) == b''
    except (ConnectionResetError, BrokenPipeError):
        return True


def is_ready(sock):
    return bool(select.select([sock], [], [], 0)[0])


class Dns(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.name_resolvers(*RESOLVERS[:1])
        self.program = subprocess.Popen([os.environ['DNS_SERVE'], 'dev.vm', SERVER], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end)
        self.assertEqual(self.program.stdout.readline(), 'ok\n')
        self.assertEqual(self.tell('set web 10.208.1.5'), 'ok')

    def end(self):
        self.program.stdin.close()
        self.program.stdout.close()
        self.assertEqual(self.program.wait(), 0)

    def tell(self, line):
        self.program.stdin.write(line + '\n')
        self.program.stdin.flush()
        return self.program.stdout.readline().strip()

    @staticmethod
    def name_resolvers(*addresses):
        """As programs do: a new file in the place of the old one."""
        beside = RESOLV_CONF.with_suffix('.new')
        beside.write_text(''.join(f'nameserver {a}\n' for a in addresses), encoding='utf-8')
        beside.rename(RESOLV_CONF)

    def bound(self, kind, address, port):
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        sock = self.stack.enter_context(socket.socket(family, kind))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        return sock

    def resolver(self, address=RESOLVERS[0]):
        return self.bound(socket.SOCK_DGRAM, address, 53)

    def stream_resolver(self, address=RESOLVERS[0]):
        sock = self.bound(socket.SOCK_STREAM, address, 53)
        sock.listen(STREAMS)
        return sock

    def client(self, address='127.0.0.1'):
        sock = self.bound(socket.SOCK_DGRAM, address, 0)
        sock.connect((SERVER, 53))
        return sock

    def stream(self, address='127.0.0.1'):
        sock = self.bound(socket.SOCK_STREAM, address, 0)
        sock.connect((SERVER, 53))
        return sock

    def accepted(self, listener):
        return self.stack.enter_context(listener.accept()[0])

    def await_turn(self, client):
        """An answer of the server's own: what was sent before is dealt with."""
        self.assertEqual(self.count_failures(client), 0)

    def count_failures(self, client):
        """Likewise, and how many queries it said of that they failed."""
        client.send(query('web.dev.vm', number=0xffff))
        failures = 0
        while number_of(answer := client.recv(512)) != 0xffff:
            self.assertEqual((number_of(answer), code_of(answer)), (0x1234, SERVFAIL))
            failures += 1
        return failures

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.program.pid}/fd'))

    def memory(self):
        return int(pathlib.Path(f'/proc/{self.program.pid}/statm').read_text(encoding='ascii').split()[1]) * 4096

    # ---- names of the zone

    def test_names_when_vms_come_and_go_then_answered_by_both_protocols(self):
        client, stream = self.client(), self.stream()
        for line, found in (('set web 10.208.1.6', b'\x0a\xd0\x01\x06'), ('remove web', None), ('remove web', None)):
            self.assertEqual(self.tell(line), 'ok')
            client.send(query('web.dev.vm'))
            stream.sendall(framed(query('web.dev.vm')))
            answer = client.recv(512)
            self.assertEqual(read_framed(stream), answer)
            self.assertEqual(code_of(answer), 0 if found else NXDOMAIN)
            self.assertEqual(answer.endswith(found or b''), True)
        self.assertEqual(self.tell('set -x 10.208.1.6'), 'no')

    def test_server_when_started_anew_then_answers_there_and_knows_its_names(self):
        client, stream = self.client(), self.stream()
        resolver = self.resolver()
        client.send(query('debian.org'))
        resolver.recv(512)
        self.assertEqual(self.tell('stop'), 'ok')
        self.assertTrue(has_ended(stream))
        self.assertEqual(self.tell('start'), 'ok')
        self.await_turn(client)
        before = self.descriptors()
        self.assertEqual(self.tell('start'), 'ok')
        self.assertEqual(self.descriptors(), before)
        self.await_turn(client)
        self.assert_serves(self.stream())

    # ---- what is somebody else's, by UDP

    def test_query_when_not_ours_then_passed_on_and_the_reply_back(self):
        client, resolver = self.client(), self.resolver()
        numbers, ports = set(), set()
        asked = query('DebIan.org', kind=TXT) + b'edns, perhaps'
        for _ in range(20):
            client.send(asked)
            message, source = resolver.recvfrom(65536)
            self.assertEqual(message[2:], asked[2:])
            numbers.add(number_of(message))
            ports.add(source[1])
            resolver.sendto(reply(message, b'answer' * 1000), source)
            self.assertEqual(client.recv(65536), reply(asked, b'answer' * 1000))
        self.assertGreater(len(numbers), 15)
        self.assertGreater(len(ports), 15)

    def test_reply_when_of_another_question_or_host_then_not_taken(self):
        client, resolver, other = self.client(), self.resolver(), self.resolver(RESOLVERS[1])
        asked = query('debian.org')
        client.send(asked)
        message, source = resolver.recvfrom(512)
        other.sendto(reply(message, b'of another host'), source)
        for wrong in (b'', b'\0', message, reply(message)[:11], reply(message)[:-1], os.urandom(100),
                      bytes([message[0] ^ 1]) + reply(message, b'another id')[1:],
                      reply(query('debian.com', number=number_of(message)), b'another name'),
                      reply(query('debian.org', AAAA, number_of(message)), b'another type')):
            resolver.sendto(wrong, source)
        resolver.sendto(reply(message, b'right'), source)
        self.assertEqual(client.recv(512), reply(asked, b'right'))
        self.await_turn(client)
        self.assertFalse(is_ready(client))

    def test_reply_when_the_first_resolver_is_silent_then_of_the_second(self):
        self.name_resolvers(*RESOLVERS[:2])
        client, first, second = self.client(), self.resolver(), self.resolver(RESOLVERS[1])
        client.send(query('debian.org'))
        message, source = second.recvfrom(512)
        self.assertTrue(is_ready(first))
        late, late_source = first.recvfrom(512)
        self.assertNotEqual(late_source[1], source[1])
        first.sendto(reply(late, b'late'), late_source)
        second.sendto(reply(message, b'second'), source)
        self.assertEqual(client.recv(512), reply(query('debian.org'), b'second'))

    def test_reply_when_nobody_listens_at_a_resolver_then_of_the_next(self):
        self.name_resolvers('240.0.0.1', *RESOLVERS)
        client, third = self.client(), self.resolver(RESOLVERS[1])
        client.send(query('debian.org'))
        message, source = third.recvfrom(512)
        third.sendto(reply(message), source)
        self.assertEqual(client.recv(512), reply(query('debian.org')))

    def test_failure_when_no_resolver_answers_then_told(self):
        client, stream, resolver = self.client(), self.stream(), self.resolver()
        client.send(query('debian.org'))
        resolver.recv(512)
        self.assertEqual(code_of(client.recv(512)), SERVFAIL)
        self.name_resolvers(*RESOLVERS[1:])
        client.send(query('debian.org'))
        stream.sendall(framed(query('debian.org')))
        answer = client.recv(512)
        self.assertEqual((number_of(answer), code_of(answer)), (0x1234, SERVFAIL))
        self.assertEqual(read_framed(stream), answer)

    def test_resolver_when_it_is_this_server_then_not_asked(self):
        self.name_resolvers(SERVER)
        client, before = self.client(), self.descriptors()
        client.send(query('debian.org'))
        self.assertEqual(code_of(client.recv(512)), SERVFAIL)
        self.assertEqual(self.descriptors(), before)
        self.name_resolvers(SERVER, RESOLVERS[0])
        resolver = self.resolver()
        client.send(query('debian.org'))
        message, source = resolver.recvfrom(512)
        resolver.sendto(reply(message), source)
        self.assertEqual(client.recv(512), reply(query('debian.org')))

    def test_resolvers_when_their_file_changes_then_the_new_ones_are_asked(self):
        client = self.client()
        for address in (*RESOLVERS, '::1', RESOLVERS[0]):
            resolver = self.resolver(address)
            self.name_resolvers(address)
            client.send(query('debian.org'))
            message, source = resolver.recvfrom(512)
            resolver.sendto(reply(message, address.encode()), source)
            self.assertEqual(client.recv(512), reply(query('debian.org'), address.encode()))
            resolver.close()

    def test_client_when_outside_of_the_subnet_then_it_hears_of_the_zone_alone(self):
        client, stream, resolver = self.client(OUTSIDE), self.stream(OUTSIDE), self.resolver()
        self.stream_resolver()
        self.await_turn(client)
        self.assert_serves(stream)
        client.send(query('debian.org'))
        answer = client.recv(512)
        self.assertEqual((number_of(answer), code_of(answer)), (0x1234, REFUSED))
        stream.sendall(framed(query('debian.org')))
        self.assertEqual(read_framed(stream), answer)
        self.assert_serves(stream)
        self.assertFalse(is_ready(resolver))

    # ---- by TCP

    def test_reply_when_truncated_then_passed_on_and_whole_by_tcp(self):
        client, stream = self.client(), self.stream()
        resolver, listener = self.resolver(), self.stream_resolver()
        client.send(query('debian.org', TXT))
        message, source = resolver.recvfrom(512)
        resolver.sendto(reply(message, flags=TC), source)
        self.assertEqual(client.recv(512), reply(query('debian.org', TXT), flags=TC))
        stream.sendall(framed(query('debian.org', TXT)))
        far = self.accepted(listener)
        message = read_framed(far)
        self.assertEqual(message[2:], query('debian.org', TXT)[2:])
        whole = b'x' * (65535 - len(message))
        far.sendall(framed(reply(message, whole)))
        self.assertEqual(read_framed(stream), reply(query('debian.org', TXT), whole))

    def test_stream_when_queries_come_together_or_in_parts_then_each_answered_in_turn(self):
        stream, listener = self.stream(), self.stream_resolver()
        messages = [query('web.dev.vm', number=1), query('debian.org', number=2), query('x.dev.vm', number=3)]
        data = b''.join(map(framed, messages))
        stream.sendall(data[:1])
        self.await_turn(self.client())
        stream.sendall(data[1:7])
        self.await_turn(self.client())
        stream.sendall(data[7:])
        stream.shutdown(socket.SHUT_WR)
        self.assertEqual(number_of(read_framed(stream)), 1)
        far = self.accepted(listener)
        far.sendall(framed(reply(read_framed(far))))
        self.assertEqual(read_framed(stream), reply(messages[1]))
        answer = read_framed(stream)
        self.assertEqual((number_of(answer), code_of(answer)), (3, NXDOMAIN))
        self.assertTrue(has_ended(stream))

    def test_stream_when_a_resolver_fails_then_the_next_is_asked(self):
        self.name_resolvers(*RESOLVERS)
        stream = self.stream()
        listeners = [self.stream_resolver(r) for r in RESOLVERS]
        for wrong in (b'', b'\0', framed(b''), framed(b'x' * 11), framed(b'x' * 50), b'\xff\xffshort'):
            stream.sendall(framed(query('debian.org')))
            for listener, data in zip(listeners, (b'', wrong)):
                far = self.accepted(listener)
                read_framed(far)
                far.sendall(data)
                far.close()
            far = self.accepted(listeners[2])
            far.sendall(framed(reply(read_framed(far))))
            self.assertEqual(read_framed(stream), reply(query('debian.org')))

    def test_stream_when_a_resolver_is_silent_then_the_next_is_asked(self):
        self.name_resolvers(*RESOLVERS[:2])
        stream, first, second = self.stream(), self.stream_resolver(), self.stream_resolver(RESOLVERS[1])
        stream.sendall(framed(query('debian.org')))
        read_framed(self.accepted(first))
        far = self.accepted(second)
        far.sendall(framed(reply(read_framed(far))))
        self.assertEqual(read_framed(stream), reply(query('debian.org')))

    def test_stream_when_it_says_nothing_or_nonsense_then_closed(self):
        silent, slow = self.stream(), self.stream()
        slow.sendall(framed(query('web.dev.vm'))[:20])
        for data in (b'\0\0', b'\0\x0b', b'\x10\x01', framed(reply(query('web.dev.vm')))):
            stream = self.stream()
            stream.sendall(data)
            self.assertTrue(has_ended(stream))
        # Those were not waited for.
        self.assertFalse(is_ready(silent))
        self.assertTrue(has_ended(silent))
        self.assertTrue(has_ended(slow))

    # ---- bounds

    def send_many(self, client, n):
        """Slowly enough that the kernel drops none. How many failed at once."""
        failures = 0
        for i in range(n):
            client.send(query(f'n{i}.debian.org'))
            if i % 32 == 31:
                failures += self.count_failures(client)
        return failures + self.count_failures(client)

    @staticmethod
    def take_all(resolver):
        resolver.setblocking(False)
        messages = []
        with contextlib.suppress(BlockingIOError):
            while True:
                messages.append(resolver.recvfrom(512))
        return messages

    def test_flood_when_resolvers_are_slow_then_bounded_by_client_and_in_all(self):
        full = [self.client(f'127.0.1.{i + 1}') for i in range(PENDING // PENDING_OF_ONE)]
        late = self.client('127.0.1.99')
        resolver, before = self.resolver(), self.descriptors()
        messages = []
        for client in full:
            # What is too much is told at once: nobody waits for what does not come.
            self.assertEqual(self.send_many(client, PENDING_OF_ONE + 40), 40)
            messages += self.take_all(resolver)
            self.assertEqual(len(messages) % PENDING_OF_ONE, 0)
        self.assertEqual(self.send_many(late, 10), 10)
        self.assertEqual(len(messages), PENDING)
        self.assertEqual(self.descriptors(), before + PENDING)
        for i, client in enumerate(full):
            for message, source in messages[i * PENDING_OF_ONE:(i + 1) * PENDING_OF_ONE]:
                resolver.sendto(reply(message), source)
                self.assertEqual(code_of(client.recv(512)), 0)
        self.await_turn(late)
        self.assertEqual(self.descriptors(), before)
        self.assertEqual(self.send_many(late, 1), 0)
        self.assertEqual(len(self.take_all(resolver)), 1)

    def test_flood_when_it_goes_on_then_memory_is_flat(self):
        client, resolver = self.client(), self.resolver()

        def flood(rounds):
            for _ in range(rounds):
                for message in (os.urandom(60), query('x' * 60 + '.dev.vm'), query('debian.org') + b'x' * 4000,
                                query('a.b') * 2, b'x' * 5000):
                    client.send(message)
                self.await_any(client)
                for message, source in self.take_all(resolver):
                    resolver.sendto(reply(message), source)

        flood(500)
        before = self.memory()
        flood(2000)
        self.assertLess(self.memory(), before + (1 << 20))

    def await_any(self, client):
        client.send(query('web.dev.vm', number=0xfffe))
        while number_of(client.recv(65536)) != 0xfffe:
            pass

    def test_streams_when_more_than_may_be_then_the_next_is_closed(self):
        listener = self.stream_resolver()
        streams = [self.stream('127.0.2.1')]
        self.assert_serves(streams[0])
        before = self.descriptors() - 1
        for i in range(STREAMS // STREAMS_OF_ONE):
            for _ in range(STREAMS_OF_ONE - (i == 0)):
                streams.append(self.stream(f'127.0.2.{i + 1}'))
                self.assert_serves(streams[-1])
            if i < STREAMS // STREAMS_OF_ONE - 1:
                self.assertTrue(has_ended(self.stream(f'127.0.2.{i + 1}'), framed(query('web.dev.vm'))))
        self.assertTrue(has_ended(self.stream('127.0.3.1'), framed(query('web.dev.vm'))))
        self.assertEqual(self.descriptors(), before + STREAMS)
        # Each may have a query with a resolver as well.
        for stream in streams:
            stream.sendall(framed(query('debian.org')))
        for far in [self.accepted(listener) for _ in streams]:
            far.sendall(framed(reply(read_framed(far))))
        for stream in streams:
            self.assertEqual(read_framed(stream), reply(query('debian.org')))
            stream.shutdown(socket.SHUT_WR)
            self.assertTrue(has_ended(stream))
        self.assertEqual(self.descriptors(), before)
        self.assert_serves(self.stream('127.0.3.1'))

    def assert_serves(self, stream):
        stream.sendall(framed(query('web.dev.vm')))
        self.assertEqual(has_records(read_framed(stream)), 1)

    def test_descriptors_when_there_are_none_left_then_it_goes_on_later(self):
        self.resolver()
        limits = resource.prlimit(self.program.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.program.pid, resource.RLIMIT_NOFILE, (self.descriptors(), limits[1]))
        client, stream = self.client(), self.stream()
        client.send(query('debian.org'))
        self.assertEqual(code_of(client.recv(512)), SERVFAIL)
        self.await_turn(client)
        resource.prlimit(self.program.pid, resource.RLIMIT_NOFILE, limits)
        self.assert_serves(stream)


if __name__ == '__main__':
    namespaces.enter('/etc')
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    # Nothing takes as long; what never comes is to fail, not to hang.
    socket.setdefaulttimeout(40)
    tap.main()
