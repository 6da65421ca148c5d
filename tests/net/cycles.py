# SPDX-License-Identifier: LGPL-2.1-or-later
"""Networks made and given back, again and again and by two users at once: nothing grows, and nobody gets another's."""

import ipaddress
import json
import os
import pathlib
import random
import statistics
import threading
import time
import unittest

from world import DEV, DEV2, Refused, faults, neighbourhood, new_vm, run, tap, user

CYCLES = 10000 if os.environ.get('BANGER_LONG') else 300
RACES = 5000 if os.environ.get('BANGER_LONG') else 200
# The allocator has a pool for each of several threads, which come into use one by one; each time so many KiB more. Once
# they all are memory is flat, and what leaks is never.
BATCHES, SLACK_KIB = 8, 64


def elements():
    """How many there are in every set of ours."""
    sets = [entry['set'] for entry in json.loads(run('nft', '-j', 'list', 'ruleset'))['nftables'] if 'set' in entry]
    return {f'{one["family"]} {one["name"]}': len(one.get('elem', [])) for one in sets}


def helper():
    pid, = [pid for pid, name in faults.processes().items() if name == 'banger-helper']
    return pid


def state():
    pid = helper()
    status = dict(line.split(':', 1) for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines())
    return {'links': sorted(os.listdir('/sys/class/net')), 'elements': elements(),
            'files': sorted(str(path) for path in faults.LEDGER.rglob('*')), 'helper': pid,
            'descriptors': len(os.listdir(f'/proc/{pid}/fd')), 'ours': len(os.listdir('/proc/self/fd'))
            }, int(status['VmRSS'].split()[0])


def cycle(owner, nat=True):
    """A VM's network from its beginning to its end, and how long the calls took."""
    vm, begin = new_vm(), time.monotonic()
    fd, address, _, _ = owner.create_tap(vm, peer=random.random() < 0.5)
    if nat:
        owner.set_reach(vm, random.choice(('nat', 'lan')))
    middle = time.monotonic()
    os.close(fd)
    owner.on_vm('ReleaseVM', vm)
    return address, middle - begin


class Cycles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        neighbourhood()
        cls.dev, cls.dev2 = user(DEV), user(DEV2)

    def test_networks_when_made_and_given_back_many_times_then_nothing_grows(self):
        # What the first VM ever leaves behind would be there from then on.
        untouched = state()[0]
        cycle(self.dev)
        before, memory = state()
        for name in 'links', 'elements', 'files':
            self.assertEqual(before[name], untouched[name])
        sizes = [memory]
        while len(sizes) < 2 or (len(sizes) <= BATCHES and sizes[-1] > sizes[-2] + SLACK_KIB):
            for _ in range(CYCLES):
                self.assertEqual(cycle(self.dev)[0], self.dev.address[:-1] + '2')
            after, memory = state()
            self.assertEqual(after, before)
            sizes.append(memory)
        print(f'# KiB of the helper, every {CYCLES} cycles: {sizes}', flush=True)
        self.assertLessEqual(sizes[-1], sizes[-2] + SLACK_KIB)

    def test_bridges_when_made_and_given_back_many_times_then_nothing_grows(self):
        before = state()[0]
        for _ in range(CYCLES // 10):
            self.dev.remove()
            self.dev.ensure()
        self.assertEqual(state()[0], before)

    def test_users_when_racing_then_each_has_what_is_its_own(self):
        before = state()[0]
        times, wrong = {}, []

        def race(owner, kind):
            subnet = ipaddress.ip_network(f'{owner.address}/{owner.prefix}', strict=False)
            for _ in range(RACES):
                try:
                    address, seconds = cycle(owner, nat=random.random() < 0.5)
                except Refused as error:
                    wrong.append(str(error))
                    continue
                times.setdefault((owner.uid, kind), []).append(seconds)
                if ipaddress.ip_address(address) not in subnet:
                    wrong.append(f'{owner.uid} has {address}')
                others = [entry for entry in owner.list() if entry[1] == 'tap']
                if others:
                    wrong.append(f'{owner.uid} still has {others}')

        race(self.dev, 'alone')
        race(self.dev2, 'alone')
        threads = [threading.Thread(target=race, args=(owner, 'together')) for owner in (self.dev, self.dev2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(state()[0], before)
        for (uid, kind), seconds in sorted(times.items()):
            print(f'# {uid} {kind}: p50 {statistics.median(seconds) * 1e6:.0f} us of {len(seconds)}', flush=True)


if __name__ == '__main__':
    tap.main()
