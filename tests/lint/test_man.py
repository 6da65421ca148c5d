#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual page can be read, and tells every command and every option of it.

    test_man.py BANGER PAGE
"""

import functools
import os
import pathlib
import re
import subprocess
import sys

import tap

SECTIONS = ('NAME', 'SYNOPSIS', 'DESCRIPTION', 'OPTIONS', 'COMMANDS', 'EXIT STATUS', 'ENVIRONMENT', 'FILES',
            'SEE ALSO')


def told(banger, *words):
    environment = {k: v for k, v in os.environ.items() if k != 'LANGUAGE'}
    return subprocess.run([banger, *words], env=dict(environment, LC_ALL='C.UTF-8'), stdout=subprocess.PIPE,
                          encoding='utf-8', check=True).stdout


def render(page):
    """The page as plain text, and what groff warns of."""
    # Without colours and overstriking, on lines that need no wrapping.
    command = ['groff', '-man', '-Tutf8', '-ww', '-rLL=1000n', '-P-cbou']
    result = subprocess.run(command, input=page, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8',
                            check=False)
    return result.stdout, result.stderr


def check_readable(page):
    return render(page)[1]


def check_sections(page):
    found = tuple(re.findall(r'^(\S.*\S)$', render(page)[0], re.M))[1:-1]
    return '' if found == SECTIONS else f'found {found}'


def commands_of(banger):
    """Completion knows the commands too; it is not what the page is made of."""
    script = told(banger, 'completion', 'fish')
    pairs = re.findall(r"__fish_seen_subcommand_from (\w+)' -a (\w+) -d|__fish_use_subcommand -a (\w+) -d", script)
    return [' '.join(filter(None, words)) for words in pairs]


def listed_of(banger):
    return [line[2:18].strip() for line in told(banger, '--help').split('\n\n')[2].splitlines()]


def check_commands(banger, page):
    listed = listed_of(banger)
    if not listed or sorted(listed) != sorted(commands_of(banger)):
        return f'help and completion tell different commands: {listed}'
    headings = re.findall(r'^ {3}(\S.*)$', render(page)[0], re.M)
    return '' if headings == listed else f'banger --help: {listed}; the page: {headings}'


def section_of(rendered, name):
    match = re.search(rf'^ {{3}}{re.escape(name)}\n(.*?)^ {{0,3}}\S', rendered, re.M | re.S)
    return match[1] if match else ''


def check_options(banger, page):
    wrong, rendered = [], render(page)[0]
    for name in listed_of(banger):
        options = re.findall(r'^  (?:-\w, |    )(--\S+)', told(banger, *name.split(), '--help'), re.M)
        section = section_of(rendered, name)
        wrong += [f'banger {name} {o}: is not in the page' for o in options
                  if not re.search(rf'^ +(?:-\w, )?{o}(?: |$)', section, re.M)]
    return '; '.join(wrong)


def check_globals(banger, page):
    options = re.findall(r'^  (?:-\w, |    )(--\S+)', told(banger, '--help'), re.M)
    section = render(page)[0].partition('\nOPTIONS\n')[2].partition('\nCOMMANDS\n')[0]
    wrong = [o for o in options if not re.search(rf'^ +(?:-\w, )?{o}(?: |$)', section, re.M)]
    return f'not in the page: {wrong}' if wrong or not options else ''


def refuses(check, page, text, instead):
    if text not in page:
        return f'the page does not hold {text!r}'
    return '' if check(page.replace(text, instead, 1)) else 'found nothing wrong'


def tests(banger, path):
    page = pathlib.Path(path).read_text(encoding='utf-8')
    commands, options, general = (functools.partial(check, banger)
                                  for check in (check_commands, check_options, check_globals))
    yield 'readable', lambda: check_readable(page)
    yield 'sections', lambda: check_sections(page)
    yield 'commands', lambda: commands(page)
    yield 'options', lambda: options(page)
    yield 'general options', lambda: general(page)
    yield 'refuses a macro that is none', lambda: refuses(check_readable, page, '.SH NAME', '.SHH NAME')
    yield 'refuses a missing section', lambda: refuses(check_sections, page, '.SH FILES', '.PP')
    yield 'refuses a missing command', lambda: refuses(commands, page, '.SS vm exec', '.PP')
    yield 'refuses a missing option', lambda: refuses(options, page, r'\fB\-\-workdir\fR', r'\fB\-\-dir\fR')
    yield 'refuses a missing general option', lambda: refuses(general, page, r'\fB\-\-json\fR', 'JSON')


if __name__ == '__main__':
    sys.exit(tap.run(tests(*sys.argv[1:])))
