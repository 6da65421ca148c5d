#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.banger.Manager without VMs: objects in memory, commands run here instead of in a guest.

fake_manager.py SOURCE: prints "ready" when it owns its name. Every call is a line of JSON on standard output. Names
choose behaviour: an image called "denied" makes the start fail, "slow" makes it run until it is cancelled, or SIGUSR1
lets it end; a VM called "slow" never stops, and that cannot be cancelled; one called "busy" cannot be changed; the log
of one called "unreadable" cannot be read; no guest has a user called "nobody-here". A command that begins with "pause"
first pauses its VM.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

import gi
gi.require_version('Gio', '2.0')
gi.require_version('GLib', '2.0')
from gi.repository import Gio, GLib  # noqa: E402

PATH = '/org/banger/Manager'
ERROR = 'org.banger.Error.'
DENIED = 'org.banger.helper.launch-vmm is not allowed; let an administrator allow it'
BLOCKED = "this host's firewall drops what VMs send (table inet mine, chain fw); an administrator lets it pass with: …"
KINDS = ('Manager', 'VM', 'Image', 'Kernel', 'Job')
OBJECT_MANAGER = """<node><interface name="org.freedesktop.DBus.ObjectManager"><method name="GetManagedObjects">
<arg type="a{oa{sa{sv}}}" direction="out"/></method></interface></node>"""


def say(**what):
    print(json.dumps(what, default=str), flush=True)


def variant(value):
    if isinstance(value, bool):
        return GLib.Variant('b', value)
    if isinstance(value, int):
        return GLib.Variant('t', value)
    if isinstance(value, float):
        return GLib.Variant('d', value)
    return GLib.Variant('o' if value.startswith('/') else 's', value)


class Fake:
    def __init__(self, source):
        self.bus = Gio.bus_get_sync(Gio.BusType.SESSION)
        self.interfaces = {}
        for kind in KINDS:
            with open(f'{source}/data/dbus/org.banger.{kind}.xml', encoding='utf-8') as file:
                self.interfaces[kind] = Gio.DBusNodeInfo.new_for_xml(file.read()).interfaces[0]
        self.objects, self.running, self.waiting, self.children = {}, {}, {}, {}
        self.jobs = self.made = 0
        self.add('Manager', PATH, Version='fake', DefaultImage='/', DefaultKernel='/', EndsWithSession=True)
        self.bus.register_object(PATH, Gio.DBusNodeInfo.new_for_xml(OBJECT_MANAGER).interfaces[0], self.on_call)
        self.bus.call_sync('org.freedesktop.DBus', '/', 'org.freedesktop.DBus', 'RequestName',
                           GLib.Variant('(su)', ('org.banger.Manager', 4)), None, 0, -1, None)

    def add(self, kind, path, **properties):
        number = self.bus.register_object(path, self.interfaces[kind], self.on_call, self.on_get)
        self.objects[path] = (kind, properties, number)
        return path

    def make(self, kind, name, **properties):
        self.made += 1
        number = self.made
        return self.add(kind, f'{PATH}/{kind.lower()}/{number:032x}', Name=name, Id=f'{number:032x}', **properties)

    def job(self, outcome, result=None):
        """outcome: '' (done), 'slow' (until cancelled), 'endless' or a message (failed)."""
        self.jobs += 1
        return self.add('Job', f'{PATH}/job/{self.jobs}', outcome=outcome, result=result or {})

    def on_get(self, _bus, _sender, path, _interface, name):
        kind, properties, _number = self.objects[path]
        if name in properties:
            return variant(properties[name])
        signature = self.interfaces[kind].lookup_property(name).signature
        empty = {'s': '', 'o': '/', 't': 0, 'u': 0, 'b': False, 'd': -1.0, 'a{sv}': {}, '(ss)': ('', '')}
        return GLib.Variant(signature, empty[signature])

    def on_call(self, _bus, _sender, path, _interface, method, arguments, invocation):
        kind = self.objects[path][0]
        say(call=f'{kind}.{method}', path=path, arguments=arguments.unpack())
        getattr(self, f'on_{kind}_{method}')(path, arguments, invocation)

    def on_Manager_GetManagedObjects(self, _path, _arguments, invocation):
        tree = {}
        for path, (kind, properties, _number) in self.objects.items():
            if kind in ('VM', 'Image', 'Kernel'):
                tree[path] = {f'org.banger.{kind}': {k: variant(v) for k, v in properties.items()}}
        invocation.return_value(GLib.Variant('(a{oa{sa{sv}}})', (tree,)))

    def find(self, wanted, arguments, invocation):
        default = self.objects[PATH][1].get('Default' + wanted, '/')
        if arguments.unpack()[0] == '' and default != '/':
            invocation.return_value(GLib.Variant('(o)', (default,)))
            return
        for path, (kind, properties, _number) in self.objects.items():
            if kind == wanted and arguments.unpack()[0] in (properties['Name'], properties['Id']):
                invocation.return_value(GLib.Variant('(o)', (path,)))
                return
        invocation.return_dbus_error(ERROR + 'NotFound', f"there is no {wanted} '{arguments.unpack()[0]}'")

    def on_Manager_FindVM(self, _path, arguments, invocation):
        self.find('VM', arguments, invocation)

    def on_Manager_FindImage(self, _path, arguments, invocation):
        self.find('Image', arguments, invocation)

    def on_Manager_FindKernel(self, _path, arguments, invocation):
        self.find('Kernel', arguments, invocation)

    def on_Manager_CreateVM(self, _path, arguments, invocation):
        options = arguments.unpack()[0]
        image = options.get('image', '')
        vm = self.make('VM', options.get('name', 'made-up'), State='running', Memory=options.get('memory', 1 << 30))
        job = self.job({'denied': DENIED, 'blocked': BLOCKED, 'slow': 'slow'}.get(image, ''))
        invocation.return_value(GLib.Variant('(oo)', (vm, job)))

    def on_Manager_PlanVM(self, _path, _arguments, invocation):
        invocation.return_value(GLib.Variant('(as)', (['first step', 'second \x1b[31mstep'],)))

    def finish_making(self, kind, default, key, invocation):
        made = self.make(kind, 'bookworm', Size=1 << 30, DiskUsage=1 << 28)
        self.objects[PATH][1][default] = made
        job = self.job('', {key: GLib.Variant('o', made)})
        invocation.return_value(GLib.Variant('(o)', (job,)))

    def on_Manager_BuildImage(self, _path, arguments, invocation):
        if 'suite' in arguments.unpack()[0]:
            invocation.return_dbus_error(ERROR + 'InvalidArgument', "option 'suite': must be a release's name")
            return
        self.finish_making('Image', 'DefaultImage', 'image', invocation)

    def on_Manager_ImportImage(self, _path, _arguments, invocation):
        fd = invocation.get_message().get_unix_fd_list().get(0)
        with os.fdopen(fd, 'rb') as file:
            say(content=file.read().decode())
        self.finish_making('Image', 'DefaultImage', 'image', invocation)

    def on_Manager_ImportKernel(self, _path, _arguments, invocation):
        self.finish_making('Kernel', 'DefaultKernel', 'kernel', invocation)

    def on_Manager_Diagnose(self, _path, _arguments, invocation):
        rows = [('pass', 'kvm', 'works', ''), ('fail', 'helper', 'is away', 'start it')]
        invocation.return_value(GLib.Variant('(a(ssss))', (rows,)))

    def on_Job_Wait(self, path, _arguments, invocation):
        properties = self.objects[path][1]
        if properties['outcome'] == '':
            invocation.return_value(GLib.Variant('(a{sv})', (properties['result'],)))
        elif properties['outcome'] in ('slow', 'endless'):
            self.waiting[path] = invocation
        else:
            name = 'NatBlocked' if properties['outcome'] == BLOCKED else 'NotAuthorized'
            invocation.return_dbus_error(ERROR + name, properties['outcome'])

    def on_Job_Cancel(self, path, _arguments, invocation):
        if self.objects[path][1]['outcome'] == 'endless':
            invocation.return_dbus_error(ERROR + 'InvalidState', 'it cannot be cancelled')
            return
        invocation.return_value(None)
        if path in self.waiting:
            self.waiting.pop(path).return_dbus_error(ERROR + 'Cancelled', 'the job was cancelled')

    def release(self):
        """Whatever takes long is done."""
        for path in list(self.waiting):
            self.waiting.pop(path).return_value(GLib.Variant('(a{sv})', ({},)))
        return True

    def pause(self, path):
        changed = {'State': GLib.Variant('s', 'paused'), 'LastError': GLib.Variant('s', 'the disk\x1b is full')}
        self.bus.emit_signal(None, path, 'org.freedesktop.DBus.Properties', 'PropertiesChanged',
                             GLib.Variant('(sa{sv}as)', ('org.banger.VM', changed, [])))

    def on_VM_ResizeExec(self, _path, _arguments, invocation):
        invocation.return_value(None)

    def on_VM_Set(self, path, _arguments, invocation):
        if self.objects[path][1]['Name'] == 'busy':
            invocation.return_dbus_error(ERROR + 'Busy', 'it is in use')
        else:
            invocation.return_value(None)

    def on_VM_Delete(self, path, _arguments, invocation):
        vm = self.objects.pop(path)
        self.bus.unregister_object(vm[2])
        invocation.return_value(GLib.Variant('(o)', (self.job(''),)))

    def on_Image_Delete(self, path, _arguments, invocation):
        kind, _properties, number = self.objects.pop(path)
        self.bus.unregister_object(number)
        manager = self.objects[PATH][1]
        manager.update({key: '/' for key in ('Default' + kind,) if manager[key] == path})
        invocation.return_value(None)

    on_Kernel_Delete = on_Image_Delete

    def on_VM_Stop(self, path, _arguments, invocation):
        outcome = 'endless' if self.objects[path][1]['Name'] == 'slow' else ''
        invocation.return_value(GLib.Variant('(o)', (self.job(outcome),)))

    def on_VM_OpenLog(self, path, _arguments, invocation):
        reading, writing = os.pipe()
        os.write(writing, b'hello \x1b[31mfrom the guest\n')
        os.close(writing)
        if self.objects[path][1]['Name'] == 'unreadable':
            os.close(reading)
            reading = os.open('/', os.O_RDONLY)
        fds = Gio.UnixFDList.new_from_array([reading])
        invocation.return_value_with_unix_fd_list(GLib.Variant('(h)', (0,)), fds)

    def on_VM_OpenConsole(self, _path, _arguments, invocation):
        """The guest greets, and sends everything back."""
        ours, theirs = socket.socketpair()
        ours.send(b'login: ')
        GLib.io_add_watch(ours.fileno(), GLib.IO_IN, self.on_typed, ours)
        invocation.return_value_with_unix_fd_list(GLib.Variant('(h)', (0,)),
                                                  Gio.UnixFDList.new_from_array([theirs.detach()]))

    @staticmethod
    def on_typed(_fd, _condition, console):
        data = b''
        with contextlib.suppress(ConnectionError):
            data = console.recv(4096)
            console.send(data)
        say(typed=data.decode())
        return bool(data)

    def on_VM_Exec(self, path, arguments, invocation):
        argv, options, *handles = arguments.unpack()
        if self.waiting:
            return  # the guest is still starting
        # The message would keep the far ends open.
        stolen = invocation.get_message().get_unix_fd_list().steal_fds()
        fds = [stolen[handle] for handle in handles]
        if options.get('user') == 'nobody-here':
            invocation.return_dbus_error(ERROR + 'CommandRefused', "there is no user 'nobody-here' in the guest")
            return
        if argv[:1] == ['die']:
            os._exit(0)
        if argv[:1] == ['pause']:
            self.pause(path)
            argv = argv[1:]
        child = subprocess.Popen(argv or ['echo', 'login shell'], stdin=fds[0], stdout=fds[1], stderr=fds[2],
                                 start_new_session=True)
        for fd in fds:
            os.close(fd)
        self.running[options['token']] = child
        # Python would reap a child that nobody knows any more.
        self.children[child.pid] = child
        say(running=child.pid)
        GLib.child_watch_add(GLib.PRIORITY_DEFAULT, child.pid, self.on_exit, invocation)

    def on_exit(self, pid, status, invocation):
        del self.children[pid]
        code = os.waitstatus_to_exitcode(status)
        invocation.return_value(GLib.Variant('(uu)', (max(code, 0), max(-code, 0))))

    def end(self, loop):
        """Nothing that was begun here is left behind."""
        loop.quit()
        for pid in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def on_VM_SignalExec(self, _path, arguments, invocation):
        token, number = arguments.unpack()
        os.killpg(self.running[token].pid, number)
        invocation.return_value(None)


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    fake, loop = Fake(sys.argv[1]), GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGTERM, fake.end, loop)
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR1, fake.release)
    say(ready=bool(fake))
    loop.run()


if __name__ == '__main__':
    main()
