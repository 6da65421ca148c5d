#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A polkit that does what a file says and writes down what it was asked.

    polkitd.py ADDRESS DIRECTORY

DIRECTORY/mode, read at every question: yes, no, ask-yes, ask-no (a challenge; the person then says …), ask-wait,
hang, die-once, garbage. DIRECTORY/asked gets one JSON line per call.
"""

import json
import os
import sys

from gi.repository import Gio, GLib

XML = """<node><interface name="org.freedesktop.PolicyKit1.Authority">
<method name="CheckAuthorization">
<arg type="(sa{sv})" direction="in"/><arg type="s" direction="in"/><arg type="a{ss}" direction="in"/>
<arg type="u" direction="in"/><arg type="s" direction="in"/><arg type="(bba{ss})" direction="out"/></method>
<method name="CancelCheckAuthorization"><arg type="s" direction="in"/></method>
</interface></node>"""


class Polkit:
    def __init__(self, directory):
        self.directory = directory

    def path(self, name):
        return os.path.join(self.directory, name)

    def note(self, **what):
        with open(self.path('asked'), 'a', encoding='utf-8') as f:
            f.write(json.dumps(what) + '\n')

    def mode(self):
        with open(self.path('mode'), encoding='utf-8') as f:
            return f.read().strip()

    def on_call(self, _connection, _sender, _path, _interface, method, parameters, invocation):
        if method == 'CancelCheckAuthorization':
            self.note(cancel=parameters.unpack()[0])
            invocation.return_value(None)
            return
        subject, action, details, flags, cancellation = parameters.unpack()
        self.note(kind=subject[0], name=subject[1].get('name'), action=action, details=details, flags=flags,
                  cancellation=cancellation)
        mode = self.mode()
        if mode == 'die-once':
            with open(self.path('mode'), 'w', encoding='utf-8') as f:
                f.write('yes')
            os.kill(os.getpid(), 9)
        if mode == 'hang' or (mode == 'ask-wait' and flags):
            return
        if mode == 'garbage':
            invocation.return_dbus_error('org.freedesktop.PolicyKit1.Error.Failed', 'nothing sensible')
            return
        authorized = mode == 'yes' or (mode == 'ask-yes' and flags)
        challenge = mode.startswith('ask') and not flags
        invocation.return_value(GLib.Variant('((bba{ss}))', ((bool(authorized), bool(challenge), {}),)))


def main():
    polkit = Polkit(sys.argv[2])
    connection = Gio.DBusConnection.new_for_address_sync(
        sys.argv[1], Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
        None, None)
    connection.register_object('/org/freedesktop/PolicyKit1/Authority', Gio.DBusNodeInfo.new_for_xml(XML).interfaces[0],
                               polkit.on_call, None, None)
    Gio.bus_own_name_on_connection(connection, 'org.freedesktop.PolicyKit1', Gio.BusNameOwnerFlags.NONE, None, None)
    GLib.MainLoop().run()


if __name__ == '__main__':
    main()
