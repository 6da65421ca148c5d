#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is said about an interface in several places is the same everywhere.

    check-contract.py --xml-dir data/dbus --policy data/polkit/org.banger.helper.policy.in
        --bus-conf data/dbus/org.banger.Helper.conf --threat-model docs/threat-model.md
        --ops PROGRAM --errors PROGRAM --errors-doc docs/errors.md [--released tests/golden/dbus]

A helper method stands in the XML, in the helper's table (PROGRAM --list-ops), in the polkit policy and in the
threat model: the four sets are equal. An error stands in the daemon's table (PROGRAM --list-errors) and in the
document that tells people what to do. Every word of the XML has its text. Prints TAP, one line per comparison.

--ops and --errors also take a text file with what the program would print. A comparison whose inputs are not
named is skipped, so that a part of the product can be compared alone.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

HELPER = 'org.banger.Helper'
ERRORS = 'org.banger.Error.'

# Only what tells callers about their own, or tells everybody the same, is free to those who do not sit at the machine.
FREE_TO_ALL = ('list-resources', 'update-status')
POLKIT_ANSWERS = ('no', 'yes', 'auth_self', 'auth_admin', 'auth_self_keep', 'auth_admin_keep')

CHECKS = {}  # name → (inputs, function)


def check(name, *inputs):
    def register(function):
        CHECKS[name] = (inputs, function)
        return function
    return register


def action_of(method):
    """ReleaseVM → org.banger.helper.release-vm: a run of capitals is one word."""
    words = re.findall(r'[A-Z]+(?![a-z])|[A-Z][a-z0-9]*', method)
    return f'{HELPER.lower()}.{"-".join(words).lower()}'


# ---- inputs

def parse_xml(path):
    builder = ElementTree.TreeBuilder(insert_comments=True)
    return ElementTree.parse(path, ElementTree.XMLParser(target=builder)).getroot()


def with_comments(parent):
    """(element, text of the comment right before it) of each child."""
    comment = ''
    for child in parent:
        if child.tag is ElementTree.Comment:
            comment = child.text or ''
        else:
            yield child, comment
            comment = ''


def interfaces(directory):
    """(file, interface, its comment) of everything described in `directory`."""
    for path in sorted(pathlib.Path(directory).glob('*.xml')):
        for element, comment in with_comments(parse_xml(path)):
            if element.tag == 'interface':
                yield path.name, element, comment


def helper_methods(directory):
    return [m.get('name') for _, i, _ in interfaces(directory) if i.get('name') == HELPER for m in i.iter('method')]


def printed(source, option):
    """Lines of a program's output, or of a text file that stands for it."""
    path = pathlib.Path(source)
    if os.access(path, os.X_OK):
        text = subprocess.run([path.resolve(), option], stdout=subprocess.PIPE, check=True, text=True).stdout
    else:
        text = path.read_text(encoding='utf-8')
    return text.splitlines()


def sections(path, level):
    """Heading → text below it, of the headings of one level."""
    text = re.sub(r'<!--.*?-->', '', pathlib.Path(path).read_text(encoding='utf-8'), flags=re.S)
    found = {}
    for part in re.split(r'^(?=#{1,6} )', text, flags=re.M):
        heading, _, body = part.partition('\n')
        if heading.startswith('#' * level + ' '):
            found[heading.strip('# `')] = body.strip()
    return found


def differences(one, ones, other, others):
    for name in sorted(set(ones) - set(others)):
        yield f'{name} is in {one} and not in {other}'
    for name in sorted(set(others) - set(ones)):
        yield f'{name} is in {other} and not in {one}'
    for where, names in ((one, ones), (other, others)):
        for name in sorted({n for n in names if list(names).count(n) > 1}):
            yield f'{name} is twice in {where}'


# ---- every word of the XML has its text

class Comment:
    """name: / @name: text / prose: what gdbus-codegen reads."""

    def __init__(self, text):
        self.name, self.args, self.prose = None, {}, ''
        current = None
        for line in text.strip().splitlines():
            line = line.strip()
            arg = re.match(r'@(\w+): *(.*)', line)
            if self.name is None:
                self.name = line.removesuffix(':') if line.endswith(':') else ''
            elif arg and not self.prose:
                current = arg[1]
                self.args[current] = arg[2]
            elif not line:
                current = None
            elif current:
                self.args[current] += line
            else:
                self.prose += line


@check('documented', 'xml_dir')
def everything_is_documented(inputs):
    for file, interface, comment in interfaces(inputs.xml_dir):
        name = interface.get('name')
        yield from (f'{file}: {text}' for text in undocumented(name, comment, ['short_description']))
        for member, text in with_comments(interface):
            if member.tag not in ('method', 'signal', 'property'):
                continue
            args = [a.get('name') or '(unnamed)' for a in member.findall('arg')]
            where = f'{file}: {member.tag} '
            yield from (where + trouble for trouble in undocumented(member.get('name'), text, args))


def undocumented(name, text, args):
    comment = Comment(text)
    if not comment.name:
        yield f'{name} has no comment of the form "{name}:" before it'
        return
    if comment.name != name:
        yield f'{name} has the comment of {comment.name}'
    if not comment.prose:
        yield f'{name} has no text'
    for arg in args:
        if not comment.args.get(arg):
            yield f'{name}: @{arg} has no text'
    for arg in comment.args:
        if arg not in args and arg not in ('short_description', 'since'):
            yield f'{name}: @{arg} is described and does not exist'


# ---- the four sets

@check('ops', 'xml_dir', 'ops')
def table_is_the_interface(inputs):
    rows = [line.split() for line in printed(inputs.ops, '--list-ops')]
    for row in rows:
        if len(row) != 2:
            yield f'"{" ".join(row)}" is not a method and its action'
        elif row[1] != action_of(row[0]):
            yield f'{row[0]} is authorized by {row[1]}, expected {action_of(row[0])}'
    yield from differences('the XML', helper_methods(inputs.xml_dir), 'the table', [r[0] for r in rows if r])


@check('policy', 'xml_dir', 'policy')
def policy_is_the_interface(inputs):
    actions = [a.get('id') for a in parse_xml(inputs.policy).iter('action')]
    yield from differences('the XML', [action_of(m) for m in helper_methods(inputs.xml_dir)], 'the policy', actions)


@check('threat-model', 'xml_dir', 'threat_model')
def threat_model_is_the_interface(inputs):
    paragraphs = sections(inputs.threat_model, 3)
    for heading, text in paragraphs.items():
        if not text:
            yield f'{heading}: nothing below the heading'
    yield from differences('the XML', helper_methods(inputs.xml_dir), 'the threat model', list(paragraphs))


# ---- what the policy and the bus allow

@check('t29-actions', 'policy')
def actions_say_why_and_to_whom(inputs):
    for element, comment in with_comments(parse_xml(inputs.policy)):
        if element.tag == 'action':
            name = element.get('id') or '(unnamed)'
            yield from (f'{name}: {trouble}' for trouble in action_trouble(name, element, comment))


def action_trouble(name, action, comment):
    if not re.match(r'\s*SECURITY:\s*\S', comment):
        yield 'no comment that begins with SECURITY: before it'
    for tag in ('description', 'message'):
        element = action.find(tag)
        if element is None or not (element.text or '').strip():
            yield f'no {tag}'
        elif not element.get('gettext-domain'):
            yield f'its {tag} is not translated: gettext-domain'
    for annotation in action.findall('annotate'):
        if annotation.get('key') == 'org.freedesktop.policykit.imply':
            yield 'imply grants even where a rule said no'
    for who in ('allow_any', 'allow_inactive', 'allow_active'):
        answer = (action.findtext(f'defaults/{who}') or '').strip()
        if answer not in POLKIT_ANSWERS:
            yield f'{who} is "{answer}"'
        if answer == 'yes' and who != 'allow_active' and name.rsplit('.', 1)[-1] not in FREE_TO_ALL:
            yield f'{who} is yes: it would be free to who is not at the machine'


@check('t29-bus-policy', 'bus_conf')
def bus_lets_nobody_else_be_the_helper(inputs):
    denied = set()
    for policy in parse_xml(inputs.bus_conf).iter('policy'):
        root = policy.get('user') in ('root', '0')
        rules = [r for r in policy if r.tag in ('allow', 'deny')]
        for rule in rules:
            if rule.tag == 'deny' and policy.get('context') == 'default':
                denied.update(k for k, v in rule.attrib.items() if v == HELPER and len(rule.attrib) == 1)
            elif rule.tag == 'allow' and not root:
                yield from allow_trouble(rule, denied)
    for what in ('own', 'send_destination'):
        if what not in denied:
            yield f'the default policy does not deny {what}="{HELPER}"'


def allow_trouble(rule, denied):
    text = ' '.join(f'{k}="{v}"' for k, v in rule.attrib.items())
    if {'own', 'own_prefix'} & set(rule.attrib):
        yield f'<allow {text}> lets others than root be the helper'
    elif rule.get('send_destination') != HELPER:
        yield f'<allow {text}> is about more than the helper'
    elif 'send_interface' not in rule.attrib:
        yield f'<allow {text}> names no interface'
    elif 'send_destination' not in denied:
        yield f'<allow {text}> stands before the refusal, which then wins'


# ---- errors

@check('errors', 'errors', 'errors_doc')
def errors_are_documented(inputs):
    names = error_names(inputs)
    for name in names:
        if not re.fullmatch(re.escape(ERRORS) + r'[A-Z][A-Za-z]+', name):
            yield f'"{name}" is not the name of an error'
    documented = documented_errors(inputs.errors_doc)
    for name, text in documented:
        if not text:
            yield f'{name} is named in the document, and nothing said about it'
    yield from differences('the table', names, 'the document', [name for name, _ in documented])


@check('errors-in-xml', 'xml_dir', 'errors')
def errors_of_the_xml_exist(inputs):
    names = error_names(inputs)
    for path in sorted(pathlib.Path(inputs.xml_dir).glob('*.xml')):
        for name in sorted(set(re.findall(re.escape(ERRORS) + r'\w+', path.read_text(encoding='utf-8')))):
            if name not in names:
                yield f'{path.name}: {name} is no error'


def error_names(inputs):
    return [line.strip() for line in printed(inputs.errors, '--list-errors') if line.strip()]


def documented_errors(path):
    """From headings (### NotFound) and from table rows (| `NotFound` | when | what to do |)."""
    found = []
    for heading, text in sections(path, 3).items():
        found.append((ERRORS + heading.removeprefix(ERRORS), text))
    for line in pathlib.Path(path).read_text(encoding='utf-8').splitlines():
        match = re.match(r'\| *`(?:org\.banger\.Error\.)?([A-Z][A-Za-z]+)` *\|(.*)\|', line)
        if match:
            cells = [cell.strip() for cell in match[2].split('|')]
            found.append((ERRORS + match[1], ' '.join(cells) if all(cells) else ''))
    return found


# ---- compatibility

@check('released', 'xml_dir')
def interfaces_only_grow(inputs):
    # Before the first release there is no directory, and nothing that anybody could rely on.
    if not inputs.released or not pathlib.Path(inputs.released).is_dir():
        return
    now = dict(signatures(inputs.xml_dir))
    for what, signature in signatures(inputs.released):
        if what not in now:
            yield f'{what} was released and is gone'
        elif now[what] != signature:
            yield f'{what} was released as "{signature}" and is "{now[what]}"'


def signatures(directory):
    for _, interface, _ in interfaces(directory):
        name = interface.get('name')
        yield name, 'interface'
        for member in interface:
            if member.tag == 'property':
                yield f'{name}.{member.get("name")}', f'property {member.get("type")} {member.get("access")}'
            elif member.tag in ('method', 'signal'):
                default = 'in' if member.tag == 'method' else 'out'
                args = [f'{a.get("direction", default)} {a.get("type")} {a.get("name")}' for a in member.findall('arg')]
                yield f'{name}.{member.get("name")}', f'{member.tag} {", ".join(args)}'


def run_check(name, inputs):
    """Troubles of one comparison."""
    _, function = CHECKS[name]
    try:
        return list(function(inputs))
    except (OSError, ElementTree.ParseError, subprocess.CalledProcessError) as error:
        return [f'{type(error).__name__}: {error}']


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description='Compares what is said about the interfaces in several places.')
    for option in ('xml-dir', 'ops', 'policy', 'bus-conf', 'threat-model', 'errors', 'errors-doc', 'released'):
        parser.add_argument(f'--{option}')
    return parser.parse_args(arguments)


def missing(name, inputs):
    """The options without which a comparison has nothing to compare."""
    needs, _ = CHECKS[name]
    return ' '.join(f'--{need.replace("_", "-")}' for need in needs if not getattr(inputs, need))


def main():
    inputs = parse_arguments()
    failed = 0
    for number, name in enumerate(CHECKS, 1):
        lacking = missing(name, inputs)
        troubles = [] if lacking else run_check(name, inputs)
        failed += bool(troubles)
        print(f'{"not ok" if troubles else "ok"} {number} - {name}' + (f' # SKIP without {lacking}' if lacking else ''))
        for trouble in troubles:
            print(f'# {trouble}')
    print(f'1..{len(CHECKS)}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
