#!/usr/bin/python3 -BE
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The neighbourhood with somebody at home: who answers there, and to which names. banger-stack --world runs it.

  http://world.test/, https://world.test/    beyond the router: what --nat reaches
  http://lan.test/                           beside the host: what --lan reaches
  http://169.254.169.254/                    where clouds keep the secrets of their machines
  DNS                                        the router's, as the host's resolv.conf says

Each page names its place, and the address that asked. The certificate of https is its own authority; it is
http://world.test/ca.pem, and /run/banger-world/ca.pem of the host.
"""

import http.server
import os
import pathlib
import signal
import socketserver
import ssl
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import neighbourhood  # noqa: E402
from neighbourhood import LAN, METADATA, ROUTER, WORLD  # noqa: E402

PLACE = pathlib.Path('/run/banger-world')
CERTIFICATE, KEY = PLACE / 'ca.pem', PLACE / 'key.pem'
RESOLV_CONF = pathlib.Path('/etc/resolv.conf')
NAMES = {'world.test': WORLD, 'lan.test': LAN}
READY_FD = 3


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = f'{self.server.place}: hello, {self.client_address[0]}\n'.encode()
        if self.path == '/ca.pem' and self.server.place == 'world':
            page = CERTIFICATE.read_bytes()
        elif self.path != '/':
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header('Content-Length', str(len(page)))
        self.end_headers()
        self.wfile.write(page)


class Server(http.server.ThreadingHTTPServer):
    """One of a namespace: it is where its socket was made."""

    def __init__(self, place, space, address, port):
        super().__init__((address, port), Pages, bind_and_activate=False)
        self.socket.close()
        self.place = place
        self.socket = space.socket(self.address_family, self.socket_type)
        # The other's asks DNS what the address is called.
        socketserver.TCPServer.server_bind(self)
        self.server_activate()
        self.start()

    def start(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()


class SecureServer(Server):
    """Who connects is greeted in the thread that answers them: nobody waits for somebody who says nothing."""

    def start(self):
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(CERTIFICATE, KEY)
        super().start()

    def finish_request(self, request, client_address):
        with self.tls.wrap_socket(request, server_side=True) as stream:
            super().finish_request(stream, client_address)


def make_certificate():
    PLACE.mkdir()
    neighbourhood.run('openssl', 'req', '-x509', '-noenc', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
                      '-subj', '/CN=world.test', '-addext', f'subjectAltName=DNS:world.test,IP:{WORLD}', '-days', '30',
                      '-keyout', str(KEY), '-out', str(CERTIFICATE))


def answer_names(router):
    """It listens when it has gone to the background."""
    with router.inside():
        neighbourhood.run('dnsmasq', '--conf-file=/dev/null', '--user=nobody', '--pid-file=', '--no-hosts',
                          '--no-resolv', f'--listen-address={ROUTER}', '--bind-interfaces', '--cache-size=0',
                          '--address=/#/',
                          *(f'--address=/{name}/{address}' for name, address in NAMES.items()))
    # A link of the host's may lead to where nothing is.
    RESOLV_CONF.unlink(missing_ok=True)
    RESOLV_CONF.write_text(f'nameserver {ROUTER}\n', encoding='ascii')


def main():
    spaces = neighbourhood.make()
    make_certificate()
    answer_names(spaces['router'])
    Server('world', spaces['world'], WORLD, 80)
    SecureServer('world', spaces['world'], WORLD, 443)
    Server('lan', spaces['lan'], LAN, 80)
    Server('metadata', spaces['router'], METADATA, 80)
    os.write(READY_FD, b'ready\n')
    os.close(READY_FD)
    signal.pause()


main()
