#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the manual page banger(1) from what `banger` tells about itself.

    gen-man.py BANGER OUTPUT

Commands and options are asked of `banger --help` and of each command's own help, so that they cannot be
forgotten here; what no help tells stands below as it is.
"""

import os
import re
import subprocess
import sys
from typing import NamedTuple

SYNOPSIS = 'banger COMMAND [OPTIONS] [ARGUMENTS]'
DESCRIPTION = (
    'banger starts a virtual machine with a kernel and an init of its own in about the time a container takes, runs '
    'commands in it, and hands on their input, output and exit status.',
    'It needs no root in daily use: it asks bangerd, a service of the user on the session bus, and what needs root is '
    'done by banger-helper on the system bus, each of whose methods polkit is asked about.',
    'VMs, images and kernels are referred to by their name, their id, or the beginning of their id.',
)
EXIT_STATUS = (
    ('0', 'It is done.'),
    ('1', 'It failed; what is wrong, and what to do next, stands on standard error.'),
    ('2', 'The command line is wrong.'),
    ('125', 'banger itself failed where the status would be that of the command in the VM: in vm run, vm exec and '
            'vm shell.'),
    ('126', 'The command in the VM was found, and could not be started.'),
    ('127', 'The command was not found in the VM.'),
    ('128+N', 'The command in the VM was ended by the signal with the number N.'),
    ('130', 'It was interrupted.'),
)
EXIT_STATUS_END = 'Any other is the exit status of the command in the VM.'
ENVIRONMENT = (
    ('DBUS_SESSION_BUS_ADDRESS', 'The session bus on which bangerd is found. It is set where a user is logged in.'),
    ('LC_ALL, LC_MESSAGES, LANG, LANGUAGE', 'The language of messages.'),
    ('TERM', 'The kind of terminal that commands in a VM are told they have.'),
)
FILES = (
    ('$XDG_DATA_HOME/banger', 'Images, kernels and, in vm, the disks of VMs; ~/.local/share/banger where the '
                              'variable is not set.'),
    ('$XDG_STATE_HOME/banger', 'What bangerd remembers of them; ~/.local/state/banger where the variable is not set.'),
    ('/var/tmp', 'What mmdebstrap works in while an image is built.'),
    ('/etc/banger/helper.conf', 'What the administrator allows each user: below [limits], vms-per-user=N is how many '
                                'VMs may run at once, otherwise 64. It is read when banger-helper starts.'),
)
SEE_ALSO = 'busctl(1), journalctl(1), polkit(8), qemu-system-x86_64(1)'

COMMAND_LINE = re.compile(r'  ([a-z]+(?: [a-z]+)?) {2,}(\S.*)')
OPTION_LINE = re.compile(r'  (?:(-\w), |    )?(--[a-z-]+)(?: (\S+))? {2,}(\S.*)')


class Unexpected(Exception):
    """A help text does not look as it did."""


class Option(NamedTuple):
    short: str
    long: str
    argument: str
    description: str


class Command(NamedTuple):
    name: str
    summary: str
    usage: str
    options: list
    details: list  # paragraphs


def ask(banger, *words):
    """The paragraphs of a help text."""
    environment = {k: v for k, v in os.environ.items() if k != 'LANGUAGE'}
    command = [banger, *words, '--help']
    text = subprocess.run(command, env=dict(environment, LC_ALL='C.UTF-8'), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, encoding='utf-8', check=True).stdout
    return [p.strip('\n') for p in text.split('\n\n') if p.strip()]


def match_lines(pattern, lines):
    for line in lines:
        match = pattern.fullmatch(line)
        if not match:
            raise Unexpected(f'not understood: {line}')
        yield match


def read_options(paragraphs):
    """Takes them away where they come first."""
    lines = paragraphs.pop(0).splitlines()[1:] if paragraphs[0].startswith('Options:\n') else []
    return [Option(*(group or '' for group in match.groups())) for match in match_lines(OPTION_LINE, lines)]


def read_command(banger, name, summary):
    usage, told, *rest = ask(banger, *name.split())
    if not usage.startswith(f'usage: banger {name}') or told != summary or not rest[-1].startswith('--json'):
        raise Unexpected(f'banger {name} --help: {usage}: {told}: {rest}')
    options = read_options(rest)
    return Command(name, summary, usage.partition(name)[2].strip(), options, rest[:-1])


def read_all(banger):
    """What banger is for, every command, and the options that all have."""
    usage, purpose, commands, *rest = ask(banger)
    options = read_options(rest)
    if not usage.startswith('usage: banger ') or not options:
        raise Unexpected(f'banger --help: {usage}: {rest}')
    found = match_lines(COMMAND_LINE, commands.splitlines())
    return purpose, [read_command(banger, *match.groups()) for match in found], options


# ---- troff

ESCAPES = {'\\': r'\e', '-': r'\-', "'": r'\(aq', '`': r'\(ga', '^': r'\(ha', '~': r'\(ti', '"': r'\(dq'}


def text(words):
    """Text of a line: nothing in it is a request or an escape."""
    escaped = ''.join(ESCAPES.get(c, c) if ord(c) < 128 else f'\\[u{ord(c):04X}]' for c in words)
    return r'\&' + escaped if escaped.startswith('.') else escaped


def bold(words):
    return rf'\fB{text(words)}\fR'


def italic(words):
    return rf'\fI{text(words)}\fR'


def sentence(words):
    return text(words[0].upper() + words[1:] + ('' if words.endswith('.') else '.'))


def usage_of(words):
    """What is typed as it is in bold, what stands for something else in italics."""
    return ' '.join(italic(w) if re.search('[A-Z]', w) else bold(w) if re.search('[a-z]', w) else text(w)
                    for w in words.split())


def option(o):
    names = ', '.join(bold(name) for name in (o.short, o.long) if name)
    return ['.TP', names + (f' {italic(o.argument)}' if o.argument else ''), text(o.description)]


def entries(pairs):
    return [line for term, meaning in pairs for line in ('.TP', bold(term), text(meaning))]


def paragraph(words):
    if words.startswith('  '):
        return ['.PP', '.EX', *(text(line) for line in words.splitlines()), '.EE']
    return ['.PP', text(' '.join(words.split()))]


def command(c):
    lines = [f'.SS {text(c.name)}', f'{bold(f"banger {c.name}")} {usage_of(c.usage)}'.strip(),
             '.PP', sentence(c.summary)]
    for words in c.details:
        lines += paragraph(words)
    for o in c.options:
        lines += option(o)
    return lines


def page(version, purpose, commands, options):
    lines = [r'.\" SPDX-License-Identifier: LGPL-2.1-or-later', r'.\" Made by tools/gen-man.py.',
             f'.TH BANGER 1 "" "{text(version)}" "User Commands"',
             '.nh', '.ad l', '.SH NAME', rf'banger \- {text(purpose)}', '.SH SYNOPSIS', usage_of(SYNOPSIS),
             '.SH DESCRIPTION', *map(text, DESCRIPTION), '.SH OPTIONS']
    for o in options:
        lines += option(o)
    lines.append('.SH COMMANDS')
    for c in commands:
        lines += command(c)
    lines += ['.SH EXIT STATUS', *entries(EXIT_STATUS), '.PP', text(EXIT_STATUS_END),
              '.SH ENVIRONMENT', *entries(ENVIRONMENT), '.SH FILES', *entries(FILES), '.SH SEE ALSO', text(SEE_ALSO)]
    return '\n'.join(lines) + '\n'


def main():
    banger, output = sys.argv[1:]
    try:
        version = subprocess.check_output([banger, '--version'], encoding='utf-8').strip()
        made = page(version, *read_all(banger))
    except Unexpected as error:
        return f'gen-man.py: {error}'
    with open(output, 'w', encoding='ascii') as file:
        file.write(made)
    return 0


if __name__ == '__main__':
    sys.exit(main())
