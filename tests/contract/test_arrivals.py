#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the helper holds of calls before it knows whose they are, against a bus that does not say.

Environment: see scripted_helper.py.
"""

import os

import scripted_helper
from gi.repository import Gio
import tap

# src/helper/budget.h: a quarter of the descriptors is for what has arrived, seven for each.
PER_SENDER = 128
ALL = 512
DESCRIPTORS = ALL * 7 * 4
BUSY = 'org.banger.Error.Busy'
# What one message may carry on a system bus.
FDS_MAX = 16


class Arrivals(scripted_helper.Stack):
    wrapper = ['prlimit', f'--nofile={DESCRIPTORS}:{DESCRIPTORS}']

    def fill(self, senders, each):
        """As many calls as the bus could pass on before it has to say whose they are: its questions."""
        for sender in senders:
            for _ in range(each):
                self.call(sender=sender)
        return [self.bus.expect('GetConnectionUnixUser') for _ in range(len(senders) * each)]

    def assert_busy(self, sender):
        self.assertEqual(self.bus.expect_answer(self.call(sender=sender)), BUSY)

    def test_calls_when_a_connection_has_all_it_may_have_then_its_next_is_busy(self):
        questions = self.fill([':2.1'], PER_SENDER - 1)
        questions += self.fill([':2.1'], 1)
        self.assert_busy(':2.1')
        self.fill([':2.2'], 1)
        # One place is free again, and is taken by a call that waits for polkit's word on it.
        self.bus.answer(questions[0], '(u)', 1000)
        self.bus.expect('CheckAuthorization')
        self.fill([':2.1'], 1)
        self.assert_busy(':2.1')

    def test_calls_when_many_connections_flood_then_others_have_room_for_one(self):
        senders = [f':2.{i}' for i in range(ALL // 2 // PER_SENDER)]
        self.fill(senders[:-1], PER_SENDER)
        self.fill(senders[-1:], PER_SENDER - 1)
        # The last place of the half that is for all.
        self.fill([':3.0'], 1)
        self.assert_busy(senders[-1])
        self.assert_busy(':3.0')
        others = [f':4.{i}' for i in range(ALL // 2)]
        self.fill(others[:-1], 1)
        self.assert_busy(':4.0')
        self.fill(others[-1:], 1)
        self.assert_busy(':5.0')
        self.catch_up()


class Unknown(scripted_helper.Stack):
    def refuse(self, question, name):
        self.bus.send(Gio.DBusMessage.new_method_error_literal(question, 'org.freedesktop.DBus.Error.' + name, 'no'))

    def test_call_when_the_bus_cannot_say_whose_then_answered(self):
        call = self.call()
        self.refuse(self.bus.expect('GetConnectionUnixUser'), 'LimitsExceeded')
        self.assertEqual(self.bus.expect_answer(call), 'org.banger.Error.Failed')
        call = self.call()
        self.bus.answer(self.bus.expect('GetConnectionUnixUser'), '(u)', 2**32 - 1)
        self.assertEqual(self.bus.expect_answer(call), 'org.banger.Error.Failed')

    def test_call_when_the_caller_is_gone_then_not_answered(self):
        self.call(sender=':2.1')
        self.refuse(self.bus.expect('GetConnectionUnixUser'), 'NameHasNoOwner')
        self.call(sender=':2.2')
        self.bus.expect('GetConnectionUnixUser')
        self.catch_up()


class Descriptors(scripted_helper.Stack):
    def pipe(self):
        """Its reading end, and the writing one, which is ours to give away."""
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        return read, write

    def send_last(self, write, send):
        """Sends the only writing ends there are."""
        send(write)
        for fd in write:
            os.close(fd)

    def assert_dropped(self, read):
        # Ends when nobody holds the writing end any more.
        self.assertEqual(os.read(read, 1), b'')

    def test_descriptors_when_the_method_takes_none_then_dropped_before_any_question(self):
        for method in 'ListResources', 'ListAllResources', 'ProbeKvm':
            pipes = [self.pipe() for _ in range(FDS_MAX)]
            self.send_last([write for _read, write in pipes], lambda fds, m=method: self.call(m, fds=fds))
            self.bus.expect('GetConnectionUnixUser')
            for read, _write in pipes:
                self.assert_dropped(read)

    def test_descriptors_when_more_than_asked_for_then_those_are_dropped_while_a_person_thinks(self):
        kernel, initramfs = (os.memfd_create('test', os.MFD_ALLOW_SEALING) for _ in range(2))
        pipes = [self.pipe() for _ in range(FDS_MAX - 2)]
        for fd in kernel, initramfs:
            os.write(fd, b'x')
            scripted_helper.seal(fd)
        call = None

        def send(fds):
            nonlocal call
            call = self.launch([kernel, initramfs, *fds])

        self.send_last([write for _read, write in pipes], send)
        self.tell_uid()
        question = self.ask_person()
        for read, _write in pipes:
            self.assert_dropped(read)
        self.decide(question, True)
        self.assertEqual(self.bus.expect_answer(call), '')
        os.close(kernel)
        os.close(initramfs)

    def test_descriptors_when_the_call_is_over_then_all_are_dropped(self):
        pipes = [self.pipe() for _ in range(7)]
        call = None

        def send(fds):
            nonlocal call
            call = self.launch(fds, disks=[2, 3, 4, 5], network=[6])

        self.send_last([write for _read, write in pipes], send)
        self.tell_uid()
        self.assertEqual(self.bus.expect_answer(call), 'org.banger.Error.InvalidArgument')
        for read, _write in pipes:
            self.assert_dropped(read)


if __name__ == '__main__':
    tap.main()
