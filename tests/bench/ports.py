# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which way to a guest's ports is the fastest: tools/bench ports [--json] [--rounds N] [--mib N].

Runs in the world of tools/try, as the user who has image and kernel. What a guest sends is read

channel  through the agent, as the output of a command: the way of a forwarder over the agent's channel
port     through a port of this computer that leads to it: the way there is, two sockets of bangerd
direct   from its own address: what the packet filter's translation of addresses would come to

and for each of the two last a byte goes there and back, many times.

*_mib_s  medians of rounds; *_us of round trips
ratio    port / channel;  latency_us: what the port adds to the direct way
"""

import argparse
import json
import socket
import statistics
import subprocess
import time

NAME, PORT = 'bench-ports', 8080
TURNS = 200
SERVE = r"""
use IO::Socket::INET; use Socket qw(TCP_NODELAY IPPROTO_TCP);
my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 9, ReuseAddr => 1) or die $!;
$| = 1;
print("ready\n");
my $block = "\0" x 65536;
while (my $c = $s->accept) {
	$c->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
	my $line = <$c>;
	if ($line =~ /^send (\d+)/) { for (1 .. $1 * 16) { print $c $block; } }
	else { syswrite($c, "x"); while (sysread($c, my $byte, 1)) { syswrite($c, $byte); } }
	close($c);
}
"""


def banger(*arguments):
    return subprocess.run(['banger', *arguments], check=True, capture_output=True, text=True).stdout


def drain(read):
    size = 0
    while part := read(1 << 18):
        size += len(part)
    return size


def timed(mib, action):
    start = time.monotonic()
    size = action()
    if size != mib << 20:
        raise SystemExit(f'bench: {size} bytes of {mib} MiB arrived')
    return mib / (time.monotonic() - start)


def through_channel(mib):
    command = 'banger', 'vm', 'exec', NAME, '--', 'head', '-c', str(mib << 20), '/dev/zero'
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        return drain(process.stdout.read1)


def through_socket(address, mib):
    with socket.create_connection(address) as sock:
        sock.sendall(f'send {mib}\n'.encode())
        return drain(sock.recv)


def round_trips_us(address):
    with socket.create_connection(address) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(b'echo\n')
        sock.recv(1)
        times = []
        for _ in range(TURNS):
            start = time.monotonic()
            sock.sendall(b'x')
            sock.recv(1)
            times.append((time.monotonic() - start) * 1e6)
        return statistics.median(times)


def measure(rounds, mib):
    port, direct = ('127.0.0.1', PORT), (json.loads(banger('--json', 'vm', 'show', NAME))['address'], 80)
    ways = {'channel': lambda: through_channel(mib), 'port': lambda: through_socket(port, mib),
            'direct': lambda: through_socket(direct, mib)}
    speeds = {name: [] for name in ways}
    for _ in range(rounds):
        for name, action in ways.items():
            speeds[name].append(timed(mib, action))
    result = {f'{name}_mib_s': round(statistics.median(values), 1) for name, values in speeds.items()}
    through, straight = round_trips_us(port), round_trips_us(direct)
    result.update(port_us=round(through), direct_us=round(straight), latency_us=round(through - straight),
                  ratio=round(result['port_mib_s'] / result['channel_mib_s'], 2))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--json', action='store_true')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--mib', type=int, default=32)
    options = parser.parse_args()
    banger('vm', 'run', '-d', '--name', NAME, '-p', f'{PORT}:80')
    try:
        serve = 'banger', 'vm', 'exec', NAME, '--', 'perl', '-e', SERVE
        with subprocess.Popen(serve, stdout=subprocess.PIPE) as server:
            server.stdout.readline()
            result = measure(options.rounds, options.mib)
            server.kill()
    finally:
        banger('vm', 'delete', '-f', NAME)
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f'{name:16} {value}')


if __name__ == '__main__':
    main()
