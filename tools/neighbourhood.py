# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is around the host: network namespaces, and the links between them. Needs root, in a network namespace and with
a /run that end with who asks for it.

      world 93.184.216.34     far 10.77.0.5     metadata 169.254.169.254
             `--------------- router ------------------'
                               | 192.168.50.1
        lan 192.168.50.7 ------+------ up0 192.168.50.2  host  up1 93.184.220.2 ------ near 93.184.220.9

World and near have addresses that belong to everybody: those that are kept for documentation and measuring, guests with
NAT are refused. They are example.com's old one and one beside it, and routed nowhere but here.
"""

import contextlib
import ctypes
import os
import socket
import subprocess

ROUTER, LAN, WORLD, FAR, METADATA, NEAR = ('192.168.50.1', '192.168.50.7', '93.184.216.34', '10.77.0.5',
                                           '169.254.169.254', '93.184.220.9')
UPLINK, UPLINK2 = '192.168.50.2', '93.184.220.2'
UPLINK6, LAN6, NEAR6 = 'fd50::2', 'fd50::7', 'fd52::9'
CLONE_NEWNET = 0x40000000

LINKS = f"""
link add up0 type veth peer name port0 netns router
link add up1 type veth peer name eth0 netns near
addr add {UPLINK}/24 dev up0
addr add {UPLINK2}/24 dev up1
addr add {UPLINK6}/64 dev up0 nodad
addr add fd52::2/64 dev up1 nodad
link set up0 up
link set up1 up
route add default via {ROUTER}
"""
ROUTER_LINKS = f"""
link set lo up
addr add {METADATA}/32 dev lo
link add door type bridge
link add port1 type veth peer name eth0 netns lan
link add to-world type veth peer name eth0 netns world
link add to-far type veth peer name eth0 netns far
link set port0 master door up
link set port1 master door up
addr add {ROUTER}/24 dev door
addr add 93.184.216.1/24 dev to-world
addr add 10.77.0.1/24 dev to-far
link set door up
link set to-world up
link set to-far up
"""
END_LINKS = """
link set lo up
addr add {address}/24 dev eth0
link set eth0 up
route add default via {router}
"""
ENDS = {'lan': (LAN, ROUTER), 'world': (WORLD, '93.184.216.1'), 'far': (FAR, '10.77.0.1'), 'near': (NEAR, UPLINK2)}


def run(*argv, text=None):
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f'{argv}: {done.stderr}{text or ""}')
    return done.stdout


def ip_batch(text):
    run('ip', '-batch', '-', text=text.strip() + '\n')


def write(path, text):
    with open(path, 'w', encoding='ascii') as file:
        file.write(text)


class Space:
    """A network namespace: a new one, unless it is there already."""

    def __init__(self, name, new=True):
        self.name = name
        if new:
            run('ip', 'netns', 'add', name)
        self.fd = os.open(f'/run/netns/{name}' if name != 'host' else '/proc/thread-self/ns/net', os.O_RDONLY)

    def enter(self):
        if ctypes.CDLL(None, use_errno=True).setns(self.fd, CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), 'setns')

    @contextlib.contextmanager
    def inside(self):
        self.enter()
        try:
            yield
        finally:
            HOST.enter()

    def sysctl(self, **values):
        """Of IPv4, by what they are called in its directory."""
        with self.inside():
            for name, value in values.items():
                write(f'/proc/sys/net/ipv4/{name}', str(value))

    def batch(self, text):
        with self.inside():
            ip_batch(text)

    def socket(self, *arguments, uid=0):
        """One that belongs to `uid`, as far as the packet filter can tell."""
        with self.inside():
            os.seteuid(uid)
            try:
                return socket.socket(*arguments)
            finally:
                os.seteuid(0)

    def close(self):
        os.close(self.fd)
        run('ip', 'netns', 'delete', self.name)


HOST = Space('host', new=False)


def make():
    """The namespaces by their names, linked."""
    spaces = {name: Space(name) for name in ('router', *ENDS)}
    ip_batch(LINKS)
    spaces['router'].batch(ROUTER_LINKS)
    spaces['router'].sysctl(ip_forward=1)
    for name, (address, router) in ENDS.items():
        spaces[name].batch(END_LINKS.format(address=address, router=router))
    spaces['lan'].batch(f'addr add {LAN6}/64 dev eth0 nodad\nroute add {NEAR6}/128 via {UPLINK6}')
    spaces['near'].batch(f'addr add {NEAR6}/64 dev eth0 nodad\nroute add {LAN6}/128 via fd52::2')
    return spaces
