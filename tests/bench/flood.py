# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest that floods its network costs everybody else: tools/bench flood [--json] [--rounds N].

Runs in the world of tools/try, as the user who has image and kernel, with two machines. One floods, with one of

dns          questions for names, ever others: of machines that there are not, and of the outside
arp          questions for the hardware of neighbours
broadcasts   datagrams for everybody
connections  to the resolver, as many as may be open, and ever new ones

while these go there and back, a hundred times each, in turn with the same without a flood:

host    this computer's questions for the name of a machine
guest   datagrams to the other machine
ask     the other machine's questions for a name
exec    `banger vm exec`, of nothing, in the other machine; only a few

*_us, *_flooded_us  medians over all rounds; *_ratio of the two: at most 2
lost                questions of the other machine without an answer
bangerd_kib         memory of bangerd before the first flood, and after each round
"""

import argparse
import json
import os
import pathlib
import socket
import statistics
import struct
import subprocess
import time

KINDS = ('dns', 'arp', 'broadcasts', 'connections')
NOISY, QUIET = 'bench-noisy', 'bench-quiet'
# Its bus may not be there yet, and nothing outside tells when it is.
SETTLED = 'until systemctl is-system-running --wait 2>/dev/null | grep -Eq "running|degraded"; do sleep .2; done'
TURNS, EXECS, ECHO_PORT, DNS_PORT = 100, 9, 7, 53
LOST = b'lost'

ANSWER = r"""
use Socket;
my ($gateway, $name) = @ARGV;
my $labels = join('', map { pack('C/a', $_) } split(/\./, $name));
my $query = pack('n6', 7, 0x100, 1, 0, 0, 0) . $labels . pack('Cnn', 0, 1, 1);
socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
bind($s, sockaddr_in(7, INADDR_ANY)) or die $!;
$| = 1;
print("ready\n");
while (my $from = recv($s, my $word, 16, 0)) {
	if ($word eq 'ask') {
		socket(my $d, PF_INET, SOCK_DGRAM, 0) or die $!;
		connect($d, sockaddr_in(53, inet_aton($gateway))) or die $!;
		send($d, $query, 0);
		my $ready = '';
		vec($ready, fileno($d), 1) = 1;
		$word = 'lost' if !select($ready, undef, undef, 1);
	}
	send($s, $word, 0, $from);
}
"""

FLOOD = r"""
use Socket;
my ($kind, $gateway, $zone) = @ARGV;
my ($to, $i) = (pack_sockaddr_in(53, inet_aton($gateway)), 0);
my ($index, $hardware) = map { open(my $f, "/sys/class/net/eth0/$_"); <$f> } qw(ifindex address);
$hardware = pack('H*', $hardware =~ s/[:\n]//gr);
my %once = (
	dns => sub {
		my $name = 'n' . $i . ($i % 2 ? ".$zone" : '.test');
		my $labels = join('', map { pack('C/a', $_) } split(/\./, $name));
		send($s, pack('n6', $i & 0xffff, 0x100, 1, 0, 0, 0) . $labels . pack('Cnn', 0, 1, 1), 0, $to);
	},
	arp => sub {
		my $asked = pack('N', ($own & ~0xff) + $i % 254 + 1);
		my $frame = "\xff" x 6 . $hardware . pack('nnnCCn', 0x806, 1, 0x800, 6, 4, 1) . $hardware .
			pack('N', $own) . "\0" x 6 . $asked;
		send($s, $frame, 0, pack('SnlSCCa8', 17, 0x806, $index, 0, 0, 6, $hardware));
	},
	broadcasts => sub { send($s, 'x' x 64, 0, sockaddr_in(9, INADDR_BROADCAST)); },
	connections => sub {
		socket(my $c, PF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) or die $!;
		connect($c, $to);
		shift(@open) if push(@open, $c) > 500;
	},
);
if ($kind eq 'arp') {
	socket($s, 17, SOCK_RAW, 0) or die $!;
	socket(my $u, PF_INET, SOCK_DGRAM, 0) or die $!;
	connect($u, $to) or die $!;
	$own = unpack('N', (sockaddr_in(getsockname($u)))[1]);
} else {
	socket($s, PF_INET, SOCK_DGRAM, 0) or die $!;
	setsockopt($s, SOL_SOCKET, SO_BROADCAST, 1);
}
$| = 1;
print("ready\n");
while (1) { $once{$kind}->(); $i++; }
"""


def banger(*arguments):
    return subprocess.run(['banger', *arguments], check=True, capture_output=True, text=True).stdout


def in_guest(vm, *argv):
    """A program that goes on there, once it has said that it is ready."""
    process = subprocess.Popen(['banger', 'vm', 'exec', vm, '--', *argv], stdout=subprocess.PIPE,
                               stdin=subprocess.DEVNULL)
    if process.stdout.readline() != b'ready\n':
        raise SystemExit(f'bench: a program in {vm} did not begin')
    return process


def end(process):
    process.terminate()
    process.wait()
    process.stdout.close()


def question(name):
    labels = b''.join(struct.pack('B', len(label)) + label for label in name.encode().split(b'.'))
    return struct.pack('>6H', 7, 0x100, 1, 0, 0, 0) + labels + struct.pack('>BHH', 0, 1, 1)


def there_and_back(address, words, is_lost=LOST.__eq__):
    """Microseconds of each, and how many answers said that something was lost. Every one has a socket of its own: an
    answer that comes late is not taken for that to the next."""
    times, lost = [], 0
    for word in words:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(2)
            client.connect(address)
            begin = time.monotonic()
            client.send(word)
            try:
                lost += is_lost(client.recv(512))
            except TimeoutError:
                lost += 1
            times.append((time.monotonic() - begin) * 1e6)
    return times, lost


def exec_times():
    times = []
    for _ in range(EXECS):
        begin = time.monotonic()
        banger('vm', 'exec', QUIET, '--', 'true')
        times.append((time.monotonic() - begin) * 1e6)
    return times


def look(places, name):
    """What everybody else has of it now: lists of microseconds, and what was lost."""
    gateway, quiet = places
    host, unknown = there_and_back((gateway, DNS_PORT), [question(name)] * TURNS, is_lost=lambda text: text[7] != 1)
    if unknown:
        raise SystemExit(f'bench: {unknown} questions for {name} had no answer')
    guest, _ = there_and_back((quiet, ECHO_PORT), [b'echo'] * TURNS)
    ask, lost = there_and_back((quiet, ECHO_PORT), [b'ask'] * TURNS)
    return {'host': host, 'guest': guest, 'ask': ask, 'exec': exec_times()}, lost


def bangerd_kib():
    for path in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            if (path / 'comm').read_text() == 'bangerd\n' and path.stat().st_uid == os.getuid():
                return int(dict(line.split(':', 1) for line in (path / 'status').read_text().splitlines())
                           ['VmRSS'].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    raise SystemExit('bench: bangerd does not run')


def add(result, found):
    for name, times in found.items():
        result.setdefault(name, []).extend(times)


def measure(rounds, places, zone):
    name, idle = f'{QUIET}.{zone}', {}
    flooded, lost, memory = {kind: {} for kind in KINDS}, dict.fromkeys(KINDS, 0), [bangerd_kib()]
    for _ in range(rounds):
        for kind in KINDS:
            add(idle, look(places, name)[0])
            flood = in_guest(NOISY, 'perl', '-e', FLOOD, kind, places[0], zone)
            found, missed = look(places, name)
            end(flood)
            add(flooded[kind], found)
            lost[kind] += missed
        memory.append(bangerd_kib())
    usual = {what: statistics.median(times) for what, times in idle.items()}
    result = {f'{what}_us': round(value) for what, value in usual.items()}
    result['floods'] = [{'kind': kind, 'lost': lost[kind],
                         **{f'{what}_flooded_us': round(statistics.median(times)) for what, times in found.items()},
                         **{f'{what}_ratio': round(statistics.median(times) / usual[what], 2)
                            for what, times in found.items()}} for kind, found in flooded.items()]
    return {**result, 'bangerd_kib': memory}


def show(result):
    for what in 'host', 'guest', 'ask', 'exec':
        print(f'{what:12} {result[f"{what}_us"]:8} us')
    for flood in result['floods']:
        ratios = '  '.join(f'{what} {flood[f"{what}_ratio"]}' for what in ('host', 'guest', 'ask', 'exec'))
        print(f'{flood["kind"]:12} times as long: {ratios}  lost {flood["lost"]}')
    print(f'{"bangerd":12} {result["bangerd_kib"]} KiB')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--json', action='store_true')
    parser.add_argument('--rounds', type=int, default=3)
    options = parser.parse_args()
    for name in NOISY, QUIET:
        banger('vm', 'run', '-d', '--name', name, '--network', 'host', '--vcpus', '1')
    try:
        for name in NOISY, QUIET:
            banger('vm', 'exec', name, '--', 'sh', '-c', SETTLED)
        quiet = json.loads(banger('--json', 'vm', 'show', QUIET))['address']
        gateway = quiet.rpartition('.')[0] + '.1'
        zone = banger('vm', 'exec', QUIET, '--', 'sh', '-c', "sed -n 's/^search //p' /etc/resolv.conf").strip()
        answers = in_guest(QUIET, 'perl', '-e', ANSWER, gateway, f'{QUIET}.{zone}')
        result = measure(options.rounds, (gateway, quiet), zone)
        end(answers)
    finally:
        banger('vm', 'delete', '-f', NOISY, QUIET)
    if options.json:
        print(json.dumps(result))
    else:
        show(result)


if __name__ == '__main__':
    main()
