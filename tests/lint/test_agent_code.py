#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent's own code holds no instruction that emulators get wrong.

    test_agent_code.py AGENT

QEMU, 7.2 and many others, keeps the flags of an emulated x86 as the operands that they come from. An instruction that
writes a condition into memory works them out first, and where that is by a helper, the operands are given up. If the
page then has to be made writable, which is what a process meets after each fork, the instruction runs a second time, on
flags that are whatever was there before: `signalled` was true of a command that had exited.

Only conditions with a sign, parity or overflow, of anything but a comparison of two values, need that helper.
"""

import glob
import re
import subprocess
import sys

import tap

SET = re.compile(r'\sset(g|ge|l|le|a|be|o|no|p|np)\s+.*\(')
# What changes flags, where it is not seen further above: everything but these.
KEEPS = re.compile(r'\s(mov\w*|lea\w*|set\w+|cmov\w+|push\w*|pop\w*|nop\w*|not\w*)\s')
COMPARES = re.compile(r'\scmp\w*\s')


def wrong(lines):
    """Those that store such a condition, and what makes their flags is no comparison, or not just before."""
    found, maker = [], ''
    for line in lines:
        if SET.search(line) and not COMPARES.search(maker):
            found.append(line.strip())
        if not KEEPS.search(line):
            maker = line
    return found


def disassemble(path):
    done = subprocess.run(['objdump', '-d', '--no-show-raw-insn', path], stdout=subprocess.PIPE, encoding='utf-8',
                          check=True)
    return [line + ' ' for line in done.stdout.splitlines()]


def check_rule():
    store = '  7:\tsetg   0xb3(%rsp) '
    for maker, expected in ('test   %cl,%cl', [store.strip()]), ('cmp    $0x5,%eax', []):
        found = wrong([f'  5:\t{maker} ', '  6:\tmov    %eax,%ebx ', store])
        if found != expected:
            return f'{maker}: {found}'
    return None


def check_agent(program):
    objects = glob.glob(glob.escape(program) + '.p/*.o')
    found = {path: wrong(disassemble(path)) for path in objects}
    return [f'{path}: {lines}' for path, lines in found.items() if lines] if objects else f'nothing beside {program}'


def tests(program):
    yield 'rule', check_rule
    yield 'agent', lambda: check_agent(program)


if __name__ == '__main__':
    sys.exit(tap.run(tests(*sys.argv[1:])))
