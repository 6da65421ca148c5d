# SPDX-License-Identifier: LGPL-2.1-or-later
"""Drives a VM from creation to deletion by the session bus alone; prints one line per fact."""

import os
import sys

from gi.repository import Gio, GLib

MANAGER = 'org.banger.Manager'
FOREVER = 2**31 - 1
bus = Gio.bus_get_sync(Gio.BusType.SESSION)


def call(path, interface, method, arguments=None, fds=None):
    return bus.call_with_unix_fd_list_sync(MANAGER, path, interface, method, arguments, None, 0, FOREVER, fds,
                                           None)[0].unpack()


def wait(job):
    call(job, 'org.banger.Job', 'Wait')


def options(**values):
    return {name: GLib.Variant('b' if isinstance(value, bool) else 's', value) for name, value in values.items()}


def execute(vm, *argv):
    ours, theirs = os.pipe()
    with open('/dev/null', 'rb') as null:
        fds = Gio.UnixFDList.new()
        handles = [fds.append(fd) for fd in (null.fileno(), theirs, theirs)]
    os.close(theirs)
    status, number = call(vm, 'org.banger.VM', 'Exec', GLib.Variant('(asa{sv}hhh)', (argv, {}, *handles)), fds)
    del fds
    with os.fdopen(ours, 'rb') as stream:
        os.set_blocking(ours, False)
        return status, number, (stream.read() or b'').decode()


def main():
    vm, job = call('/org/banger/Manager', MANAGER, 'CreateVM',
                   GLib.Variant('(a{sv})', (options(name='road', start=True),)))
    wait(job)
    print('uname', execute(vm, 'uname', '-s'))
    print('status', execute(vm, 'sh', '-c', 'exit 42'))
    print('write', execute(vm, 'sh', '-c', 'echo kept > file'))
    wait(call(vm, 'org.banger.VM', 'Stop', GLib.Variant('(a{sv})', ({},)))[0])
    wait(call(vm, 'org.banger.VM', 'Start', GLib.Variant('(a{sv})', ({},)))[0])
    print('read', execute(vm, 'cat', 'file'))
    wait(call(vm, 'org.banger.VM', 'Delete', GLib.Variant('(a{sv})', (options(force=True),)))[0])
    objects = call('/org/banger/Manager', 'org.freedesktop.DBus.ObjectManager', 'GetManagedObjects')[0]
    print('left', [path for path in objects if '/vm/' in path])


sys.exit(main())
