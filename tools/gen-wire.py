#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the helper's wire code from its D-Bus interface description.

    gen-wire.py --wire  XML DIR    op-wire.h op-wire.c op-wire-bus.h op-wire-bus.c  (the helper)
    gen-wire.py --calls XML DIR    helper-calls.h helper-calls.c                    (who calls it)

Only flat, bounded types pass: s u t b h, and ah, as, a(…) of those. An array needs the annotation
org.banger.Helper.MaxLength (number of elements); on a string the same annotation bounds its bytes, without
it STRING_MAX does. Anything else is refused: a privileged call stays printable in one audit line.
"""

import argparse
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

from wire_calls import CALL_TYPES, REPLY_TYPES, calls_header, calls_source

STRING_MAX = 255
ARRAY_IN_MAX = 64  # such arrays are part of the argument struct
ARRAY_OUT_MAX = 65536
MAX_LENGTH = 'org.banger.Helper.MaxLength'



class Refused(Exception):
    """The description holds something the helper's wire does not carry."""


class Arg:
    def __init__(self, method, element):
        self.name = element.get('name') or ''
        self.type = element.get('type') or ''
        self.where = f'{method}: argument "{self.name}"'
        self.out = element.get('direction', 'in') == 'out'
        if not re.fullmatch(r'[a-z][a-z0-9_]*', self.name):
            raise Refused(f'{self.where}: not a name of a-z 0-9 _')
        match = re.fullmatch(r'(?P<array>a)?(?:(?P<basic>[sutbh])|\((?P<fields>[sutbh]+)\))', self.type)
        if not match or (match['fields'] and not match['array']) or (
                match['array'] and match['basic'] and match['basic'] not in 'sh'):
            raise Refused(f'{self.where}: type "{self.type}" is not one of s u t b h ah as a(…)')
        self.array = bool(match['array'])
        self.fields = match['fields']
        self.basic = match['basic']
        self.max = self.read_max(element)

    def read_max(self, element):
        values = [a.get('value', '') for a in element.findall('annotation') if a.get('name') == MAX_LENGTH]
        if not values:
            if self.array:
                raise Refused(f'{self.where}: an array without the annotation {MAX_LENGTH}')
            return STRING_MAX
        if not self.array and self.basic != 's':
            raise Refused(f'{self.where}: {MAX_LENGTH} on something that has no length')
        most = ARRAY_IN_MAX if self.array and not self.out else ARRAY_OUT_MAX
        if len(values) > 1 or not re.fullmatch(r'[1-9][0-9]{0,6}', values[0]) or int(values[0]) > most:
            raise Refused(f'{self.where}: {MAX_LENGTH} is not one number from 1 to {most}')
        return int(values[0])

    @property
    def camel(self):
        return ''.join(part.capitalize() for part in self.name.split('_'))

    @property
    def contents(self):
        """The signature of one element."""
        return f'({self.fields})' if self.fields else self.basic


class Method:
    def __init__(self, element):
        self.name = element.get('name') or ''
        if not re.fullmatch(r'([A-Z][a-z0-9]*)+', self.name):
            raise Refused(f'method "{self.name}": not a name in CamelCase')
        for child in element:
            if child.tag != 'arg':
                raise Refused(f'{self.name}: <{child.tag}> is not carried')
        args = [Arg(self.name, a) for a in element]
        self.ins = [a for a in args if not a.out]
        self.outs = [a for a in args if a.out]
        names = [a.name for a in args]
        if len(set(names)) != len(names):
            raise Refused(f'{self.name}: two arguments of one name')
        # "ReleaseVM" is release-vm: a run of capitals is one word.
        words = re.findall(r'[A-Z]+(?![a-z])|[A-Z][a-z0-9]*', self.name)
        self.snake = '_'.join(words).lower()
        self.kebab = '-'.join(words).lower()
        self.id = 'OP_' + self.snake.upper()
        self.type = 'Op' + ''.join(word.capitalize() for word in words)


class Interface:
    def __init__(self, path):
        try:
            root = ElementTree.parse(path).getroot()
        except ElementTree.ParseError as e:
            raise Refused(f'not XML: {e}') from e
        found = root.findall('interface')
        if len(found) != 1:
            raise Refused(f'{len(found)} interfaces, expected one')
        self.name = found[0].get('name') or ''
        self.path = root.get('name') or ''
        self.prefix = self.name.lower()
        for child in found[0]:
            if child.tag != 'method':
                raise Refused(f'<{child.tag} name="{child.get("name")}">: the helper has methods only')
        self.methods = [Method(m) for m in found[0]]
        if not self.methods:
            raise Refused('no method')
        names = [m.snake for m in self.methods]
        if len(set(names)) != len(names):
            raise Refused('two methods of one name')


HEAD = '''/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* {purpose} Made by gen-wire.py from {source}: not edited. */
'''


def switch(cases, default):
    """`cases`: method and statements."""
    lines = ['\tswitch (id) {']
    for m, body in cases:
        lines += [f'\tcase {m.id}:'] + [f'\t\t{line}' for line in body]
    return lines + ['\tdefault:', f'\t\t{default}', '\t}']


# The helper's side: types.

def element_struct(method, arg, part, types):
    lines = [f'typedef struct {method.type}{part}{arg.camel} {{']
    lines += [f'\t{types[t]}f{i};' for i, t in enumerate(arg.fields)]
    lines += [f'}} {method.type}{part}{arg.camel};']
    return lines


def field(method, arg, part, types):
    base = f'{method.type}{part}{arg.camel} ' if arg.fields else types[arg.basic]
    if not arg.array:
        return [f'\t{base}{arg.name};']
    if part == 'Args':
        return [f'\t{base}{arg.name}[{arg.max}];', f'\tsize_t n_{arg.name};']
    return [f'\t{base}*{arg.name};', f'\tsize_t n_{arg.name}; /* at most {arg.max} */']


def structs(method):
    lines = []
    for part, args, types in (('Args', method.ins, CALL_TYPES), ('Reply', method.outs, REPLY_TYPES)):
        if not args:
            continue
        for arg in args:
            if arg.fields:
                lines += element_struct(method, arg, part, types)
        lines += [f'typedef struct {method.type}{part} {{']
        for arg in args:
            lines += field(method, arg, part, types)
        lines += [f'}} {method.type}{part};', '']
    return lines


def wire_header(interface):
    methods = interface.methods
    lines = ['#pragma once', '', '#include <errno.h>', '#include <stdbool.h>', '#include <stddef.h>',
             '#include <stdint.h>', '', 'typedef enum OpId {']
    lines += [f'\t{m.id},' for m in methods]
    lines += ['\t_OP_MAX,', '\t_OP_INVALID = -EINVAL,', '} OpId;', '',
              '/* Arguments and replies own every string, array and descriptor in them: of the message that arguments',
              ' * were read from nothing is needed any more. */', '',
              '/* The most descriptors that one call brings. */',
              f'#define OP_WIRE_FDS_MAX {max(fds_of(m) for m in methods)}', '']
    for m in methods:
        lines += structs(m)
    for part, which in (('Args', 'ins'), ('Reply', 'outs')):
        lines += [f'typedef union Op{part} {{', '\tchar none; /* of methods that have none */']
        lines += [f'\t{m.type}{part} {m.snake};' for m in methods if getattr(m, which)]
        lines += [f'}} Op{part};', '']
    lines += ['typedef struct OpName {', '\tconst char *method;', '\tconst char *action;', '} OpName;',
              'extern const OpName op_names[_OP_MAX];', '',
              '/* Every descriptor -1, everything else empty. */',
              'void op_wire_args_init(OpId id, OpArgs *ret);',
              'void op_wire_reply_init(OpId id, OpReply *ret);',
              '/* Frees what is owned and leaves it as after …_init(). */',
              'void op_wire_args_done(OpId id, OpArgs *args);',
              'void op_wire_reply_done(OpId id, OpReply *reply);']
    return lines


def kinds(arg, at):
    """(where, type) of each value in an argument, or in one element of it."""
    return [(f'{at}.f{i}', t) for i, t in enumerate(arg.fields)] if arg.fields else [(at, arg.basic)]


def fds_of(method):
    """How many descriptors its arguments are at most."""
    return sum(a.contents.count('h') * (a.max if a.array else 1) for a in method.ins)


def frees(arg, at):
    # What was read is not to be changed, and so constant.
    return [f'free((void *) {where});' if t == 's' else f'close_fd({where});'
            for where, t in kinds(arg, at) if t in 'sh']


def done_function(method, args, part, on_heap):
    """Frees what the arguments or the reply own; arrays of a reply are on the heap themselves."""
    name, union = part.lower(), f'{part.lower()}->{method.snake}'
    lines = ['static void', f'done_{method.snake}_{name}(Op{part} *{name})', '{']
    for arg in args:
        at = f'{union}.{arg.name}'
        if not arg.array:
            lines += [f'\t{line}' for line in frees(arg, at)]
            continue
        if frees(arg, at):
            lines += [f'\tfor (size_t i = 0; i < {union}.n_{arg.name}; i++) {{']
            lines += [f'\t\t{line}' for line in frees(arg, f'{at}[i]')] + ['\t}']
        if on_heap:
            lines += [f'\tfree({at});']
    return lines + ['}', '']


def life_functions(methods, part, which, on_heap):
    """op_wire_…_init() and op_wire_…_done() of the arguments or the replies."""
    name, lines = part.lower(), []
    owning = [m for m in methods if any(frees(a, '') or (a.array and on_heap) for a in getattr(m, which))]
    for m in owning:
        lines += done_function(m, getattr(m, which), part, on_heap)
    handles = [(m, [f'ret->{m.snake}.{a.name} = -1;' for a in getattr(m, which) if a.basic == 'h' and not a.array])
               for m in methods]
    lines += ['void', f'op_wire_{name}_init(OpId id, Op{part} *ret)', '{', '\tmemset(ret, 0, sizeof(*ret));']
    lines += switch([(m, body + ['break;']) for m, body in handles if body], 'break;')
    lines += ['}', '', 'void', f'op_wire_{name}_done(OpId id, Op{part} *{name})', '{']
    lines += switch([(m, [f'done_{m.snake}_{name}({name});', 'break;']) for m in owning], 'break;')
    return lines + [f'\top_wire_{name}_init(id, {name});', '}', '']


def wire_source(interface):
    methods = interface.methods
    lines = ['#include "op-wire.h"', '', '#include <stdlib.h>', '#include <string.h>', '#include <unistd.h>', '',
             'const OpName op_names[_OP_MAX] = {']
    lines += [f'\t[{m.id}] = {{ "{m.name}", "{interface.prefix}.{m.kebab}" }},' for m in methods]
    lines += ['};', '']
    if any('h' in a.contents for m in methods for a in m.ins + m.outs):
        lines += ['static void', 'close_fd(int fd)', '{', '\tif (fd >= 0)', '\t\t(void) close(fd);', '}', '']
    lines += life_functions(methods, 'Args', 'ins', on_heap=False)
    return lines + life_functions(methods, 'Reply', 'outs', on_heap=True)[:-1]


# The helper's side: sd-bus.

BUS_HEADER = '''#pragma once

#include <systemd/sd-bus.h>

#include "op-wire.h"

/* Reads the arguments of a call, as copies. 0, or negative errno and the name of the argument that was at
 * fault in *reterr_argument; *ret is empty then. */
int op_wire_read(OpId id, sd_bus_message *m, OpArgs *ret, const char **reterr_argument);

/* Appends the reply's values; descriptors are duplicated into the message. 0 or negative errno:
 * -E2BIG where an array is longer than the interface says. */
int op_wire_reply(OpId id, sd_bus_message *m, const OpReply *reply);

/* The object's methods. Each calls op_wire_on_call(), which the transport implements. */
extern const sd_bus_vtable op_wire_vtable[];
int op_wire_on_call(OpId id, sd_bus_message *m, void *userdata);
'''.splitlines()

BUS_PRELUDE = '''#include "op-wire-bus.h"

#include <fcntl.h>
#include <string.h>
'''

READ_BASIC = '''static inline int
read_basic(sd_bus_message *m, char type, void *ret)
{
	int r = sd_bus_message_read_basic(m, type, ret);

	return r == 0 ? -EBADMSG : r < 0 ? r : 0;
}
'''

# For the types that need more than a call of sd-bus; only those that the interface has come out.
READERS = {
    's': '''static int
read_s(sd_bus_message *m, size_t max, const char **ret)
{
	const char *s = NULL;
	int r = read_basic(m, 's', &s);

	if (r < 0)
		return r;
	if (strlen(s) > max)
		return -E2BIG;
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}
''',
    'b': '''static int
read_b(sd_bus_message *m, bool *ret)
{
	int value = 0, r = read_basic(m, 'b', &value);

	if (r >= 0)
		*ret = value != 0;
	return r;
}
''',
    'h': '''static int
read_h(sd_bus_message *m, int *ret)
{
	int fd = -1, r = read_basic(m, 'h', &fd);

	if (r < 0)
		return r;
	*ret = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return *ret < 0 ? -errno : 0;
}
''',
}

WRITERS = {
    's': '''static int
append_s(sd_bus_message *m, const char *s)
{
	return sd_bus_message_append_basic(m, 's', s ? s : "");
}
''',
    'b': '''static int
append_b(sd_bus_message *m, bool value)
{
	int b = value;

	return sd_bus_message_append_basic(m, 'b', &b);
}
''',
}


def prelude(methods):
    def types(args):
        return sorted({t for a in args for t in (a.fields or a.basic)})

    ins = types(a for m in methods for a in m.ins)
    outs = types(a for m in methods for a in m.outs)
    parts = [READERS[t] for t in ins if t in READERS] + [WRITERS[t] for t in outs if t in WRITERS]
    return '\n'.join([BUS_PRELUDE, *([READ_BASIC] if ins else []), *parts]).splitlines()


def try_call(call, indent='\t'):
    return [f'{indent}r = {call};', f'{indent}if (r < 0)', f'{indent}\treturn r;']


def read_call(kind, target, limit):
    if kind in 'ut':
        return f"read_basic(m, '{kind}', &{target})"
    return f'read_s(m, {limit}, &{target})' if kind == 's' else f'read_{kind}(m, &{target})'


def append_call(kind, source):
    return f'append_{kind}(m, {source})' if kind in 'sb' else f"sd_bus_message_append_basic(m, '{kind}', &{source})"


def array_function(method, arg):
    """Reads one array argument, element by element, never more than fit; what was read counts at once."""
    lines = ['static int', f'read_{method.snake}_{arg.name}(sd_bus_message *m, {method.type}Args *ret)', '{',
             '\tint r;', '', f"\tr = sd_bus_message_enter_container(m, 'a', \"{arg.contents}\");",
             '\tif (r <= 0)', '\t\treturn r < 0 ? r : -EBADMSG;',
             '\twhile ((r = sd_bus_message_at_end(m, false)) == 0) {',
             f'\t\tif (ret->n_{arg.name} == {arg.max})', '\t\t\treturn -E2BIG;', f'\t\tret->n_{arg.name}++;']
    at = f'ret->{arg.name}[ret->n_{arg.name} - 1]'
    lines += [f'\t\t{where} = -1;' for where, kind in kinds(arg, at) if kind == 'h']
    if arg.fields:
        lines += try_call(f"sd_bus_message_enter_container(m, 'r', \"{arg.fields}\")", '\t\t')
        for i, kind in enumerate(arg.fields):
            lines += try_call(read_call(kind, f'{at}.f{i}', STRING_MAX), '\t\t')
        lines += try_call('sd_bus_message_exit_container(m)', '\t\t')
    else:
        lines += try_call(read_call(arg.basic, at, STRING_MAX), '\t\t')
    return lines + ['\t}', '\tif (r < 0)', '\t\treturn r;', '\treturn sd_bus_message_exit_container(m);', '}', '']


def read_function(method):
    lines = ['static int',
             f'read_{method.snake}(sd_bus_message *m, {method.type}Args *ret, const char **reterr_argument)',
             '{', '\tint r;', '']
    for arg in method.ins:
        lines += [f'\t*reterr_argument = "{arg.name}";']
        call = f'read_{method.snake}_{arg.name}(m, ret)' if arg.array else read_call(
            arg.basic, f'ret->{arg.name}', arg.max)
        lines += try_call(call)
    return lines + ['\treturn 0;', '}', '']


def reply_function(method):
    lines = ['static int', f'reply_{method.snake}(sd_bus_message *m, const {method.type}Reply *reply)', '{',
             '\tint r;', '']
    for arg in method.outs:
        at = f'reply->{arg.name}'
        if not arg.array:
            lines += try_call(append_call(arg.basic, at))
            continue
        lines += [f'\tif (reply->n_{arg.name} > {arg.max})', '\t\treturn -E2BIG;']
        lines += try_call(f"sd_bus_message_open_container(m, 'a', \"{arg.contents}\")")
        lines += [f'\tfor (size_t i = 0; i < reply->n_{arg.name}; i++) {{']
        if arg.fields:
            lines += try_call(f"sd_bus_message_open_container(m, 'r', \"{arg.fields}\")", '\t\t')
            for i, kind in enumerate(arg.fields):
                lines += try_call(append_call(kind, f'{at}[i].f{i}'), '\t\t')
            lines += try_call('sd_bus_message_close_container(m)', '\t\t')
        else:
            lines += try_call(append_call(arg.basic, f'{at}[i]'), '\t\t')
        lines += ['\t}']
        lines += try_call('sd_bus_message_close_container(m)')
    return lines + ['\treturn 0;', '}', '']


def vtable(methods):
    lines = []
    for m in methods:
        lines += ['static int', f'on_{m.snake}(sd_bus_message *m, void *userdata, sd_bus_error *error)', '{',
                  f'\treturn op_wire_on_call({m.id}, m, userdata);', '}', '']
    lines += ['const sd_bus_vtable op_wire_vtable[] = {', '\tSD_BUS_VTABLE_START(0),']
    for m in methods:
        def half(args):
            names = ' '.join(f'SD_BUS_PARAM({a.name})' for a in args)
            return f'"{"".join(a.type for a in args)}", {names or "/* no names */"}'
        # Unprivileged: polkit decides, not a capability of the caller's.
        lines += [f'\tSD_BUS_METHOD_WITH_NAMES("{m.name}", {half(m.ins)},', f'\t\t{half(m.outs)},',
                  f'\t\ton_{m.snake}, SD_BUS_VTABLE_UNPRIVILEGED),']
    return lines + ['\tSD_BUS_VTABLE_END,', '};']


def bus_source(interface):
    methods = interface.methods
    lines = prelude(methods) + ['']
    for m in methods:
        for arg in m.ins:
            if arg.array:
                lines += array_function(m, arg)
        if m.ins:
            lines += read_function(m)
        if m.outs:
            lines += reply_function(m)
    lines += ['static int', 'read_args(OpId id, sd_bus_message *m, OpArgs *ret, const char **reterr_argument)', '{',
              '\t*reterr_argument = "signature";']
    lines += switch([(m, [f'if (!sd_bus_message_has_signature(m, "{"".join(a.type for a in m.ins)}"))',
                          '\treturn -EBADMSG;',
                          f'return read_{m.snake}(m, &ret->{m.snake}, reterr_argument);' if m.ins else 'return 0;'])
                     for m in methods], 'return -EINVAL;')
    lines += ['}', '',
              'int', 'op_wire_read(OpId id, sd_bus_message *m, OpArgs *ret, const char **reterr_argument)', '{',
              '\tint r;', '', '\top_wire_args_init(id, ret);', '\tr = read_args(id, m, ret, reterr_argument);',
              '\tif (r < 0)', '\t\top_wire_args_done(id, ret);', '\treturn r;', '}', '',
              'int', 'op_wire_reply(OpId id, sd_bus_message *m, const OpReply *reply)', '{']
    lines += switch([(m, [f'return reply_{m.snake}(m, &reply->{m.snake});' if m.outs else 'return 0;'])
                     for m in methods], 'return -EINVAL;')
    return lines + ['}', ''] + vtable(methods)


def main():
    parser = argparse.ArgumentParser(description='Makes wire code from the helper\'s interface.')
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--wire', action='store_true')
    what.add_argument('--calls', action='store_true')
    parser.add_argument('xml')
    parser.add_argument('directory')
    options = parser.parse_args()
    source = os.path.basename(options.xml)
    try:
        interface = Interface(options.xml)
    except (Refused, OSError) as e:
        print(f'gen-wire: {source}: {e}', file=sys.stderr)
        return 1
    if options.wire:
        files = {'op-wire.h': ('What the helper is asked and answers, typed.', wire_header(interface)),
                 'op-wire.c': ('Names and ownership of the helper\'s messages.', wire_source(interface)),
                 'op-wire-bus.h': ('The helper\'s messages and sd-bus.', BUS_HEADER),
                 'op-wire-bus.c': ('Marshalling of the helper\'s messages.', bus_source(interface))}
    else:
        files = {'helper-calls.h': ('Typed calls to the helper.', calls_header(interface)),
                 'helper-calls.c': ('Typed calls to the helper.', calls_source(interface))}
    for name, (purpose, lines) in files.items():
        with open(os.path.join(options.directory, name), 'w', encoding='utf-8') as f:
            f.write(HEAD.format(purpose=purpose, source=source) + '\n'.join(lines) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
