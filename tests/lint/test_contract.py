#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""check-contract.py passes the good example in contract/, and each comparison refuses what breaks it.

A case is the comparison that must fail, a file, and an edit of it; no other comparison may fail but those named.
"""

import importlib.util
import pathlib
import shutil
import sys
import tempfile

import tap

HERE = pathlib.Path(__file__).resolve().parent
HELPER, JOB = 'dbus/org.banger.Helper.xml', 'dbus/org.banger.Job.xml'
FILES = {'xml_dir': 'dbus', 'ops': 'ops.txt', 'policy': 'policy.xml', 'bus_conf': 'bus.conf', 'errors': 'errors.txt',
         'errors_doc': 'errors.md', 'threat_model': 'threat-model.md', 'released': 'released'}

METHOD = '\n    <!--\n        CreateTap:\n\n        Text.\n    -->\n    <method name="CreateTap"/>\n  </interface>'
ACTION = '<policyconfig>\n  <!-- SECURITY: Nothing. -->\n  <action id="org.banger.helper.create-tap">\n' \
    '<description gettext-domain="x">x</description><message gettext-domain="x">x</message><defaults>' \
    '<allow_any>no</allow_any><allow_inactive>no</allow_inactive><allow_active>no</allow_active></defaults></action>'

CASES = (
    # (comparisons that fail, file, from, to)
    ('documented', HELPER, '@ended: how it ended\n', '\n'),
    ('documented', HELPER, '@ended: how it ended', '@ended:'),
    ('documented', HELPER, '@ended: how it ended', '@ended: how it ended\n        @gone: not there'),
    ('documented', HELPER, 'What is held.', ''),
    ('documented', HELPER, 'ListResources:\n', 'ListResource:\n'),
    ('documented', HELPER, '@short_description: An example', ''),
    ('documented', HELPER, 'Exported somewhere.', ''),
    ('documented', JOB, 'From 0 to 1.', ''),
    ('documented', JOB, 'Progress:', ''),
    ('documented', JOB, 'It is over.', ''),
    ('documented', JOB, '@result: how', ''),
    ('ops', 'ops.txt', 'ReleaseVM org.banger.helper.release-vm\n', ''),
    ('ops', 'ops.txt', 'list-resources', 'release-vm'),
    ('ops', 'ops.txt', 'ReleaseVM ', 'ReleaseVM and '),
    ('ops', 'ops.txt', 'ListResources org', 'CreateTap org.banger.helper.create-tap\nListResources org'),
    ('ops', 'ops.txt', 'ListResources org', 'ReleaseVM org.banger.helper.release-vm\nListResources org'),
    ('policy', 'policy.xml', '<policyconfig>', ACTION),
    ('policy', 'policy.xml', 'id="org.banger.helper.release-vm"', 'id="org.banger.helper.release-v-m"'),
    ('threat-model', 'threat-model.md', '### ListResources\n\nRead-only.\n', ''),
    ('threat-model', 'threat-model.md', 'Read-only.\n', ''),
    ('threat-model', 'threat-model.md', 'Read-only.', '<!-- Read-only. -->'),
    ('threat-model', 'threat-model.md', '### ListResources', '### CreateTap\n\nNothing.\n\n### ListResources'),
    ('ops policy threat-model', HELPER, '\n  </interface>', METHOD),
    ('t29-actions', 'policy.xml', 'SECURITY: Gains: the end', 'Gains: the end'),
    ('t29-actions', 'policy.xml', '<!-- SECURITY: Gains: what the caller holds already. -->', ''),
    ('t29-actions', 'policy.xml', 'Give back what a virtual machine holds', ''),
    ('t29-actions', 'policy.xml', '<message gettext-domain="banger">', '<message>'),
    ('t29-actions', 'policy.xml', '<allow_any>no</allow_any>', '<allow_any>yes</allow_any>'),
    ('t29-actions', 'policy.xml', '<allow_inactive>no<', '<allow_inactive>yes<'),
    ('t29-actions', 'policy.xml', '<allow_inactive>no<', '<allow_inactive>maybe<'),
    ('t29-actions', 'policy.xml', '<allow_any>no</allow_any>', ''),
    ('t29-actions', 'policy.xml', '<defaults>',
     '<annotate key="org.freedesktop.policykit.imply">x</annotate><defaults>'),
    ('t29-bus-policy', 'bus.conf', '<deny own="org.banger.Helper"/>', ''),
    ('t29-bus-policy', 'bus.conf', '<deny send_destination="org.banger.Helper"/>', ''),
    ('t29-bus-policy', 'bus.conf', '<deny own=', '<allow own="org.banger.Helper"/><deny own='),
    ('t29-bus-policy', 'bus.conf', 'user="root"', 'group="banger"'),
    ('t29-bus-policy', 'bus.conf', ' send_interface="org.banger.Helper"', ''),
    ('t29-bus-policy', 'bus.conf', '<allow send_destination="org.banger.Helper" ', '<allow '),
    ('errors', 'errors.md', '### NotFound', '### Gone'),
    ('errors', 'errors.md', 'There is no such thing. `banger vm list` shows what there is.', ''),
    ('errors', 'errors.md', ' read the message |', ' |'),
    ('errors', 'errors.md', '### NotFound', '### Failed\n\nTwice.\n\n### NotFound'),
    ('errors', 'errors.txt', 'org.banger.Error.Failed\n', ''),
    ('errors', 'errors.txt', 'org.banger.Error.Failed\n', 'org.banger.Error.Failed\norg.banger.Error.Busy\n'),
    ('errors', 'errors.txt', 'org.banger.Error.Failed\n', 'org.banger.Error.Failed\nsomething else\n'),
    ('errors-in-xml', HELPER, 'org.banger.Error.NotFound', 'org.banger.Error.Lost'),
    ('released', JOB, 'type="d"', 'type="u"'),
    ('released', JOB, 'access="read"', 'access="readwrite"'),
    ('released', JOB, '<arg name="result" type="s"/>', '<arg name="result" type="u"/>'),
    ('released', 'released/org.banger.Job.xml', '<property ', '<property name="Stage" type="s"/><property '),
)


def load_check_contract():
    """Its name is a command's, with a hyphen: not one that import takes."""
    path = HERE.parent.parent / 'tools' / 'check-contract.py'
    spec = importlib.util.spec_from_file_location('check_contract', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


contract = load_check_contract()


def arguments(directory):
    return contract.parse_arguments([f'--{n.replace("_", "-")}={directory}/{f}' for n, f in FILES.items()])


def failing(directory):
    inputs = arguments(directory)
    return {name: troubles for name in contract.CHECKS if (troubles := contract.run_check(name, inputs))}


def test_good():
    return failing(HERE / 'contract')


def test_case(checks, file, old, new):
    with tempfile.TemporaryDirectory() as directory:
        shutil.copytree(HERE / 'contract', directory, dirs_exist_ok=True)
        path = pathlib.Path(directory, file)
        text = path.read_text(encoding='utf-8')
        if text.count(old) < 1:
            return f'{old!r} is not in {file}'
        path.write_text(text.replace(old, new, 1), encoding='utf-8')
        found = failing(directory)
        return '' if set(found) == set(checks.split()) else f'found {found}'


def test_broken_input():
    with tempfile.TemporaryDirectory() as directory:
        shutil.copytree(HERE / 'contract', directory, dirs_exist_ok=True)
        pathlib.Path(directory, 'policy.xml').write_text('<policyconfig>', encoding='utf-8')
        pathlib.Path(directory, 'ops.txt').unlink()
        found = failing(directory)
        return '' if set(found) == {'ops', 'policy', 't29-actions'} else f'found {found}'


def test_missing_inputs():
    """Named, so that what is not compared is seen."""
    everything = arguments(HERE / 'contract')
    lacking = {name: contract.missing(name, everything) for name in contract.CHECKS}
    everything.ops = everything.errors = None
    named = {name: text for name in contract.CHECKS if (text := contract.missing(name, everything))}
    expected = {'ops': '--ops', 'errors': '--errors', 'errors-in-xml': '--errors'}
    return '' if not any(lacking.values()) and named == expected else f'{lacking} {named}'


def test_every_comparison_is_broken_once():
    return ' '.join(set(contract.CHECKS) - {name for case in CASES for name in case[0].split()})


def test_unreleased():
    with tempfile.TemporaryDirectory() as directory:
        shutil.copytree(HERE / 'contract', directory, dirs_exist_ok=True)
        shutil.rmtree(pathlib.Path(directory, 'released'))
        return failing(directory)


def tests():
    yield 'good example passes', test_good
    yield 'nothing released is nothing broken', test_unreleased
    yield 'broken and missing inputs fail', test_broken_input
    yield 'inputs that are not named are', test_missing_inputs
    yield 'every comparison is broken once', test_every_comparison_is_broken_once
    for number, case in enumerate(CASES, 1):
        yield f'{case[0]} refuses edit {number} ({case[1]})', lambda case=case: test_case(*case)


if __name__ == '__main__':
    sys.exit(tap.run(tests()))
