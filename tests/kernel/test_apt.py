#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What of a host's apt configuration reaches the apt that works for us, in banger-apt-fetch and in mmdebstrap.

In mount and network namespaces of its own: the host's configuration is hostile, its network one server of ours.
"""

import fcntl
import http.server
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.environ['BANGER_SOURCE'] + '/tests/contract')
import namespaces  # noqa: E402
import tap  # noqa: E402

FETCH = os.environ['BANGER_APT_FETCH']
GOLDEN = pathlib.Path(os.environ['BANGER_SOURCE'], 'tests', 'golden', 'mmdebstrap-default.txt')
SIOCSIFFLAGS, SIOCSIFADDR, IFF_UP = 0x8914, 0x8916, 1
HOOKS = ('APT::Update::Pre-Invoke', 'APT::Update::Post-Invoke', 'APT::Update::Post-Invoke-Success', 'DPkg::Pre-Invoke',
         'DPkg::Post-Invoke', 'DPkg::Pre-Install-Pkgs')
WEAK = {'Acquire::AllowInsecureRepositories': 'true', 'Acquire::AllowWeakRepositories': 'true',
        'Acquire::AllowDowngradeToInsecureRepositories': 'true', 'Acquire::Check-Date': 'false',
        'Acquire::Check-Valid-Until': 'false', 'APT::Get::AllowUnauthenticated': 'true'}
DIRECTORIES = ('Dir::Bin::methods', 'Dir::Bin::apt-key', 'Dir::Bin::dpkg', 'APT::Key::gpgvcommand')
# The first one is where the server listens.
KEPT = {'Acquire::http::Proxy': '', 'Acquire::https::Proxy': 'http://secure:1',
        'Acquire::http::Proxy::a.test': 'DIRECT', 'Acquire::ForceIPv4': 'true',
        'Acquire::https::CAInfo': '/etc/ssl/own.pem'}
DROPPED = {'Acquire::https::Verify-Peer': 'false', 'Acquire::http::User-Agent': 'x', 'Acquire::http::ProxyX': 'y'}
# In the place of apt-get: tells what apt's configuration is with its arguments.
TELL = """#!/usr/bin/python3
import os, subprocess, sys
options = []
for i, word in enumerate(sys.argv):
    if word == '-o':
        options += ['-o', sys.argv[i + 1]]
with open('/run/told', 'wb') as file:
    subprocess.run(['/usr/bin/apt-config', *options, 'dump'], stdout=file, check=True)
sys.exit(100)
"""


def hostile(marker, proxy):
    """A host whose administrator allowed everything, for apt-get alone too (apt.conf(5), step 4)."""
    settings = {**{hook + '::': f'touch {marker}' for hook in HOOKS}, **WEAK, **DROPPED,
                **{name: '/nowhere' for name in DIRECTORIES}, **KEPT, 'Acquire::http::Proxy': proxy}
    settings.update({f'Binary::apt-get::{name}': value for name, value in WEAK.items()})
    return ''.join(f'{name} "{value}";\n' for name, value in settings.items())


def parse(text):
    return dict(line.rstrip(';').split(' ', 1) for line in text.splitlines())


class Server(http.server.BaseHTTPRequestHandler):
    """A proxy that knows one mirror, whose lists nobody signed."""
    asked = []

    def do_GET(self):  # pylint: disable=invalid-name
        self.asked.append(self.path)
        body = b'Suite: bookworm\nCodename: bookworm\nDate: Sat, 01 Jan 2022 00:00:00 UTC\n'
        self.send_response(200 if self.path.endswith('/Release') else 404)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Apt(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(dir='/run')
        self.marker = pathlib.Path(self.directory, 'hook-ran')
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Server)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.proxy = f'http://127.0.0.1:{self.server.server_port}'
        pathlib.Path('/etc/apt/apt.conf.d/99hostile').write_text(hostile(self.marker, self.proxy), encoding='utf-8')
        Server.asked.clear()

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()

    def fetch(self):
        output = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            argv = [FETCH, '--mirror', 'http://mirror.test/debian', '--output', str(output), '--status', '1']
            return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False, text=True,
                                  pass_fds=[output], env={'PATH': '/usr/bin:/bin'})
        finally:
            os.close(output)

    def check_kept(self, conf):
        for name, value in {**KEPT, 'Acquire::http::Proxy': self.proxy}.items():
            self.assertEqual(conf.get(name), f'"{value}"', name)
        for name in conf:
            self.assertNotIn('Invoke', name)
        for name in DIRECTORIES:
            self.assertNotEqual(conf.get(name), '"/nowhere"', name)
        for name in DROPPED:
            self.assertNotIn(name, conf)

    def fetch_by(self, script):
        """With a script in the place of apt-get."""
        program = pathlib.Path(self.directory, 'apt-get')
        program.write_text(script, encoding='utf-8')
        program.chmod(0o755)
        subprocess.run(['mount', '--bind', program, '/usr/bin/apt-get'], check=True)
        try:
            done = self.fetch()
        finally:
            subprocess.run(['umount', '/usr/bin/apt-get'], check=True)
        self.assertEqual(done.returncode, 1)
        return done.stdout

    def test_fetch_when_apt_says_why_in_several_lines_then_they_are_one_of_ours(self):
        told = self.fetch_by('#!/bin/sh\nprintf "E: no network\\nE: no lists\\n" >&2\nexit 1\n')
        self.assertIn('apt-get: E: no network E: no lists\n', told)

    def test_fetch_when_the_host_is_hostile_then_only_its_way_to_the_network_counts(self):
        self.fetch_by(TELL)
        conf = parse(pathlib.Path('/run/told').read_text(encoding='utf-8'))
        self.check_kept(conf)
        for name, value in WEAK.items():
            self.assertEqual(conf.get(name), '"true"' if value == 'false' else '"false"', name)

    def test_fetch_when_nobody_signed_the_lists_then_refused_and_no_hook_runs(self):
        done = self.fetch()
        self.assertEqual(done.returncode, 1)
        self.assertIn('is not signed', done.stdout)
        self.assertIn('http://mirror.test/debian/dists/bookworm/InRelease', Server.asked)
        self.assertFalse(self.marker.exists())
        self.assertEqual([name for name in os.listdir(self.directory) if name.endswith('.deb')], [])

    def test_mmdebstrap_when_set_up_then_it_gets_the_way_to_the_network_and_no_more(self):
        hook, = (line[len('--setup-hook='):] for line in GOLDEN.read_text(encoding='utf-8').splitlines()
                 if line.startswith('--setup-hook='))
        conf = pathlib.Path(self.directory, 'conf')
        conf.write_text('Dir "/nowhere";\n', encoding='utf-8')
        subprocess.run(['sh', '-c', hook], check=True,
                       env={'PATH': '/usr/bin:/bin', 'MMDEBSTRAP_APT_CONFIG': str(conf)})
        added = parse(conf.read_text(encoding='utf-8'))
        self.assertEqual(added.pop('Dir'), '"/nowhere"')
        self.check_kept(added)
        self.assertEqual(set(added), set(KEPT))


def raise_network():
    """The loopback, netdevice(7), and an address beside its own: names are looked up for no other family."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for name, address in (b'lo', '127.0.0.1'), (b'lo:1', '192.0.2.1'):
            fcntl.ioctl(control, SIOCSIFADDR, struct.pack('16sHH4s16x', name, socket.AF_INET, 0,
                                                          socket.inet_aton(address)))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack('16sH22x', b'lo', IFF_UP))


if __name__ == '__main__':
    namespaces.enter('/run', '/etc/apt/apt.conf.d')
    raise_network()
    tap.main()
