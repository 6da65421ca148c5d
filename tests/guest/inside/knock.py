# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whom a guest reaches by TCP. A door is ADDRESS:PORT."""

# All at once. Where nobody listens but somebody says so, it is reached.
KNOCK = """
use Socket;
for (@ARGV) {
	next if fork;
	my ($host, $port, $patience) = split(/:/);
	alarm($patience);
	socket(my $door, PF_INET, SOCK_STREAM, 0) or die($!);
	my $open = connect($door, pack_sockaddr_in($port, inet_aton($host)));
	print("$host:$port\\n") if $open || $!{ECONNREFUSED};
	exit;
}
1 while wait > 0;
"""
# In seconds: how long is waited for what is to be reached, and what is not.
LONG, SHORT = 60, 1


def reached(execute, doors, expected):
    """Those of the doors, in their order. `execute` runs a command in the guest, for what it prints."""
    words = [f'{door}:{LONG if door in expected else SHORT}' for door in doors]
    answers = execute('perl', '-e', KNOCK, *words).split()
    return [door for door in doors if door in answers]
