# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a VM's network costs, with so many VMs there: tools/bench plumb [--json] [--rounds N].

Runs as root in the world of tools/try, whose network is its own.

helper_us         CreateTap and EnableNat of one VM more, over the bus, without polkit's answers
polkit_us         what these take besides: as many questions, asked by root
release_us        ReleaseVM of it
shell_us          the same by ip(8) and nft(8), a command for each step, into tables like the helper's
batch_us          the same by one "ip -batch" and one "nft -f"
shell_release_us  taken away again by a command for each step
ratio, ratio_batch, ratio_release   the commands' time by the helper's

Medians of rounds, the commands' behind the helper's: it would look again at the whole of a filter that others change.
"""

import argparse
import json
import os
import pathlib
import pwd
import resource
import statistics
import subprocess
import sys
import time

from gi.repository import Gio, GLib

HELPER, HELPER_PATH = 'org.banger.Helper', '/org/banger/Helper'
POLKIT, POLKIT_PATH = 'org.freedesktop.PolicyKit1', '/org/freedesktop/PolicyKit1/Authority'
BUS = 'unix:path=/run/dbus/system_bus_socket'
CONF = pathlib.Path('/etc/banger/helper.conf')
COUNTS = (1, 50, 200, 500)
BRIDGE, TAP, MAC, ADDRESS = 'plumb0', 'plumb-tap', '02:62:0a:ff:00:02', '10.255.0.2'
TAKES = ('helper_us', 'polkit_us', 'release_us', 'shell_us', 'batch_us', 'shell_release_us')
# What the helper does for a VM that has NAT, step by step.
STEPS = (('ip', 'tuntap', 'add', 'dev', TAP, 'mode', 'tap', 'vnet_hdr'),
         ('ip', 'link', 'set', TAP, 'master', BRIDGE, 'mtu', '1500'),
         ('ip', 'link', 'set', TAP, 'type', 'bridge_slave', 'isolated', 'on'),
         ('ip', 'link', 'set', TAP, 'addrgenmode', 'none'),
         ('ip', 'link', 'set', TAP, 'up'),
         ('nft', 'add', 'element', 'bridge', 'plumb', 'taps', f'{{ "{TAP}" . {MAC} . {ADDRESS} }}'),
         ('nft', 'add', 'element', 'inet', 'plumb', 'nat', f'{{ {ADDRESS} }}'))
UNDO = (('ip', 'link', 'delete', TAP), *(('nft', 'delete', *step[2:]) for step in STEPS[-2:]))


def run(*argv, text=None):
    return subprocess.run(argv, input=text, capture_output=True, text=True, check=True).stdout


def microseconds(call, *arguments):
    begin = time.monotonic_ns()
    call(*arguments)
    return (time.monotonic_ns() - begin) / 1000


def connect(uid):
    os.setresuid(uid, uid, 0)
    try:
        return Gio.DBusConnection.new_for_address_sync(
            BUS, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
            None, None)
    finally:
        os.setresuid(0, 0, 0)


class Caller:
    def __init__(self):
        self.connection, self.root = connect(pwd.getpwnam('dev').pw_uid), connect(0)
        self.vms = {}

    def call(self, method, signature, *arguments):
        value, fds = self.connection.call_with_unix_fd_list_sync(
            HELPER, HELPER_PATH, HELPER, method, GLib.Variant(signature, arguments), None, 0, -1, None, None)
        return value.unpack(), fds.steal_fds() if fds else []

    def make(self, number):
        vm = f'{number:032x}'
        _, self.vms[vm] = self.call('CreateTap', '(ssub)', vm, '', 0, False)
        self.call('EnableNat', '(ssb)', vm, '', False)

    def release(self, number):
        vm = f'{number:032x}'
        for fd in self.vms.pop(vm):
            os.close(fd)
        self.call('ReleaseVM', '(ss)', vm, '')

    def ask_polkit(self):
        """What the helper asks for a VM."""
        subject = ('system-bus-name', {'name': GLib.Variant('s', self.connection.get_unique_name())})
        for action in 'create-tap', 'enable-nat':
            question = GLib.Variant('((sa{sv})sa{ss}us)', (subject, f'org.banger.helper.{action}', {}, 0, ''))
            answer = self.root.call_sync(POLKIT, POLKIT_PATH, f'{POLKIT}.Authority', 'CheckAuthorization', question,
                                         None, 0, -1, None)
            if not answer.unpack()[0][0]:
                raise SystemExit('bench: polkit refuses')


def step_by_step(steps):
    for step in steps:
        run(*step)


def batch():
    run('ip', '-batch', '-', text='\n'.join(' '.join(step[1:]) for step in STEPS if step[0] == 'ip') + '\n')
    run('nft', '-f', '-', text='\n'.join(' '.join(step[1:]) for step in STEPS if step[0] == 'nft') + '\n')


def copy_tables():
    """With all that the helper's have."""
    for family in 'inet', 'bridge':
        run('nft', '-f', '-', text=f'add table {family} plumb\ndelete table {family} plumb\n' + run(
            'nft', 'list', 'table', family, 'banger').replace(f'table {family} banger', f'table {family} plumb'))


def measure(caller, n, rounds):
    """One VM more and away again, where n - 1 are."""
    times = {name: [] for name in TAKES}
    copy_tables()
    # The first call looks at what the copy has changed.
    for number in range(rounds + 1):
        took = microseconds(caller.make, n), microseconds(caller.release, n), microseconds(caller.ask_polkit)
        if number > 0:
            times['helper_us'].append(took[0] - took[2])
            times['release_us'].append(took[1])
            times['polkit_us'].append(took[2])
    for _ in range(rounds):
        times['shell_us'].append(microseconds(step_by_step, STEPS))
        times['shell_release_us'].append(microseconds(step_by_step, UNDO))
        times['batch_us'].append(microseconds(batch))
        step_by_step(UNDO)
    took = {name: statistics.median(values) for name, values in times.items()}
    return {'n': n, **{name: round(value) for name, value in took.items()},
            'ratio': round(took['shell_us'] / took['helper_us'], 1),
            'ratio_batch': round(took['batch_us'] / took['helper_us'], 1),
            'ratio_release': round(took['shell_release_us'] / took['release_us'], 1)}


def prepare():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    CONF.parent.mkdir(exist_ok=True)
    CONF.write_text(f'[limits]\nvms-per-user={max(COUNTS) + 1}\n', encoding='ascii')
    for words in ('link add up0 type veth peer name up1', 'addr add 192.168.50.2/24 dev up0', 'link set up0 up',
                  'link set up1 up', 'route add default via 192.168.50.1', f'link add {BRIDGE} type bridge',
                  f'link set {BRIDGE} up'):
        run('ip', *words.split())


def main():
    parser = argparse.ArgumentParser(prog='tools/bench plumb', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--json', action='store_true', help='one object on standard output')
    parser.add_argument('--rounds', type=int, default=11, metavar='N', help='how often each is run (default: 11)')
    options = parser.parse_args()
    prepare()
    caller, results, there = Caller(), [], 0
    _, dns = caller.call('EnsureBridge', '(s)', '')
    for n in COUNTS:
        while there < n - 1:
            there += 1
            caller.make(there)
        results.append(measure(caller, n, options.rounds))
        print(*(f'{name}={value}' for name, value in results[-1].items()), file=sys.stderr)
    for fd in dns:
        os.close(fd)
    if options.json:
        print(json.dumps({'vms': results}))
        return
    for result in results:
        print(*(f'{name:17} {value}\n' for name, value in result.items()), sep='')


if __name__ == '__main__':
    main()
