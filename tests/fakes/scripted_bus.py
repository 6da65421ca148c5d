# SPDX-License-Identifier: LGPL-2.1-or-later
"""A bus that does nothing but what a test says, in exactly that order, for one connection.

What a real bus would only do at the right moment by chance, a test writes down: it reads each message of the program
under test and answers it, or sends something of its own first. Nothing here waits for time to pass: a message that
never comes makes the test hang until it is ended.
"""

import array
import os
import socket

from gi.repository import Gio, GLib

BUS = 'org.freedesktop.DBus'
BUS_PATH = '/org/freedesktop/DBus'
FDS = Gio.DBusCapabilityFlags.UNIX_FD_PASSING


class ScriptedBus:
    def __init__(self, path):
        self.address = f'unix:path={path}'
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        os.chmod(path, 0o666)
        self.connection, self.serial, self.fds = None, 0, []

    def close(self):
        while self.fds:
            os.close(self.fds.pop())
        if self.connection:
            self.connection.close()
        self.listener.close()

    # The way in.

    def accept(self):
        """Takes the connection and lets it have its first words: from here on it speaks D-Bus."""
        self.connection = self.listener.accept()[0]
        while (line := self.read_line()) != 'BEGIN':
            word = line.split()[0]
            if word == 'NEGOTIATE_UNIX_FD':
                self.connection.sendall(b'AGREE_UNIX_FD\r\n')
            else:
                # EXTERNAL without a name asks for one more line first.
                ready = word == 'DATA' or len(line.split()) > 2
                self.connection.sendall(b'OK ' + b'0' * 32 + b'\r\n' if ready else b'DATA\r\n')
        self.answer(self.expect('Hello'), '(s)', ':1.1')

    def read_line(self):
        line = b''
        while not line.endswith(b'\r\n'):
            byte = self.connection.recv(1)
            assert byte, 'the connection ended'
            line += byte
        return line.decode().strip('\0\r\n')

    # Messages.

    def read(self, size):
        data = b''
        while len(data) < size:
            part, ancillary, _flags, _address = self.connection.recvmsg(size - len(data), socket.CMSG_SPACE(4 * 64))
            assert part, 'the connection ended'
            data += part
            for _level, _type, fds in ancillary:
                self.fds += array.array('i', fds[:len(fds) // 4 * 4])
        return data

    def receive(self):
        head = self.read(16)
        blob = head + self.read(Gio.DBusMessage.bytes_needed(head) - len(head))
        return Gio.DBusMessage.new_from_blob(blob, FDS)

    def expect(self, member):
        """The next message, which must be a call of that method."""
        message = self.receive()
        assert message.get_member() == member, f'{member} was expected, and this came:\n{message.print_(0)}'
        return message

    def expect_answer(self, serial):
        """The next message, which must answer that call of ours: "" or the error's name."""
        message = self.receive()
        assert message.get_reply_serial() == serial, f'an answer was expected, and this came:\n{message.print_(0)}'
        return message.get_error_name() or ''

    def send(self, message, sender=BUS, fds=()):
        self.serial += 1
        message.set_serial(self.serial)
        message.set_sender(sender)
        message.set_destination(':1.1')
        if fds:
            # It closes what it is given.
            message.set_unix_fd_list(Gio.UnixFDList.new_from_array([os.dup(fd) for fd in fds]))
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
        blob = bytes(message.to_blob(FDS))
        sent = self.connection.sendmsg([blob], rights)
        if sent < len(blob):
            self.connection.sendall(blob[sent:])
        return self.serial

    def answer(self, call, signature=None, *values, sender=BUS):
        message = Gio.DBusMessage.new_method_reply(call)
        if signature:
            message.set_body(GLib.Variant(signature, values))
        self.send(message, sender)

    def call(self, sender, where, method, args=None, fds=()):
        """A call of somebody's, `where` being a name, a path and an interface; its serial number."""
        message = Gio.DBusMessage.new_method_call(*where, method)
        if args:
            message.set_body(args)
        return self.send(message, sender, fds)

    def signal(self, sender, path, interface, name, args):
        message = Gio.DBusMessage.new_signal(path, interface, name)
        message.set_body(args)
        self.send(message, sender)
