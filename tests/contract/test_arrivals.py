#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the helper holds of calls before it knows whose they are, against a bus that does not say.

Environment: see scripted_helper.py.
"""

import os

import scripted_helper
import tap

# What one message may carry on a system bus.
FDS_MAX = 16


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
        pipes = [self.pipe() for _ in range(6)]
        call = None

        def send(fds):
            nonlocal call
            call = self.launch(fds, disks=[2, 3, 4, 5])

        self.send_last([write for _read, write in pipes], send)
        self.tell_uid()
        self.assertEqual(self.bus.expect_answer(call), 'org.banger.Error.InvalidArgument')
        for read, _write in pipes:
            self.assert_dropped(read)


if __name__ == '__main__':
    tap.main()
