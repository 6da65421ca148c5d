#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What gen-wire.py refuses, and that it says why. Usage: test_gen_wire.py GEN-WIRE XML"""

import os
import subprocess
import sys
import tempfile

MAX = '<annotation name="org.banger.Helper.MaxLength" value="{}"/>'


def arg(signature, name='x', direction='in', inside=''):
    return f'<arg name="{name}" type="{signature}" direction="{direction}">{inside}</arg>'


def interface(body):
    return f'<node name="/x"><interface name="org.banger.Helper">{body}</interface></node>'


def method(*args, name='DoIt'):
    return interface(f'<method name="{name}">{"".join(args)}</method>')


REFUSED = {
    'variant': (method(arg('v')), 'type "v"'),
    'dictionary': (method(arg('a{sv}', inside=MAX.format(4))), 'type "a{sv}"'),
    'object path': (method(arg('o')), 'type "o"'),
    'signed number': (method(arg('i')), 'type "i"'),
    'bytes': (method(arg('ay', inside=MAX.format(4))), 'type "ay"'),
    'array of numbers': (method(arg('au', inside=MAX.format(4))), 'type "au"'),
    'array of arrays': (method(arg('aah', inside=MAX.format(4))), 'type "aah"'),
    'nested struct': (method(arg('a(s(u))', inside=MAX.format(4))), 'type "a(s(u))"'),
    'bare struct': (method(arg('(su)')), 'type "(su)"'),
    'two types': (method(arg('ss')), 'type "ss"'),
    'no type': (method(arg('')), 'type ""'),
    'unbounded array': (method(arg('ah')), 'without the annotation'),
    'bound of zero': (method(arg('ah', inside=MAX.format(0))), 'from 1 to 64'),
    'bound too large': (method(arg('ah', inside=MAX.format(65))), 'from 1 to 64'),
    'bound not a number': (method(arg('s', inside=MAX.format('4k'))), 'not one number'),
    'bound on a number': (method(arg('u', inside=MAX.format(4))), 'has no length'),
    'two bounds': (method(arg('ah', inside=MAX.format(4) * 2)), 'not one number'),
    'name twice': (method(arg('u'), arg('u', direction='out')), 'two arguments'),
    'name in capitals': (method(arg('u', name='X')), 'not a name'),
    'no name': (method(arg('u', name='')), 'not a name'),
    'method in small letters': (method(name='doIt'), 'CamelCase'),
    'method annotation': (interface('<method name="A"><annotation name="x" value="y"/></method>'), '<annotation>'),
    'property': (interface('<property name="P" type="s" access="readwrite"/>'), 'methods only'),
    'signal': (interface('<signal name="S"/>'), 'methods only'),
    'no method': (interface(''), 'no method'),
    'two interfaces': ('<node><interface name="a"/><interface name="b"/></node>', '2 interfaces'),
    'not XML': ('<node', 'not XML'),
}
ACCEPTED = {
    'every type': method(arg('s', 'a'), arg('u', 'b'), arg('t', 'c'), arg('b', 'd'), arg('h', 'e'),
                         arg('ah', 'f', inside=MAX.format(4)), arg('as', 'g', inside=MAX.format(4)),
                         arg('a(sutbh)', 'h', inside=MAX.format(64)),
                         arg('a(sutbh)', 'i', 'out', MAX.format(65536)), arg('as', 'j', 'out', MAX.format(9)),
                         arg('ah', 'k', 'out', MAX.format(9)), arg('h', 'l', 'out')),
}


def run(generator, text, kind, directory):
    path = os.path.join(directory, 'x.xml')
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    return subprocess.run([sys.executable, generator, kind, path, directory], capture_output=True, text=True,
                          check=False)


def check(generator, directory):
    for name, (text, part) in REFUSED.items():
        for kind in ('--wire', '--calls'):
            r = run(generator, text, kind, directory)
            good = r.returncode == 1 and part in r.stderr and 'Traceback' not in r.stderr
            yield f'refused: {name} ({kind})', good and os.listdir(directory) == ['x.xml'], r.stderr
    for name, text in ACCEPTED.items():
        for kind, flags in (('--wire', 'libsystemd'), ('--calls', 'gio-unix-2.0')):
            r = run(generator, text, kind, directory)
            sources = [os.path.join(directory, n) for n in os.listdir(directory) if n.endswith('.c')]
            cflags = subprocess.run(['pkg-config', '--cflags', flags], capture_output=True, text=True, check=True)
            c = subprocess.run(['cc', '-std=gnu11', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter',
                                '-fsyntax-only', *cflags.stdout.split(), *sources], capture_output=True, text=True,
                               check=False)
            yield f'compiles: {name} ({kind})', r.returncode == 0 and c.returncode == 0, r.stderr + c.stderr


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        results = list(check(sys.argv[1], directory))
    print(f'1..{len(results)}')
    for number, (name, good, detail) in enumerate(results, 1):
        print(f'{"ok" if good else "not ok"} {number} - {name}')
        if not good:
            failed += 1
            print(detail, file=sys.stderr)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
