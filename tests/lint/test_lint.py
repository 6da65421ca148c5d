#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The house lint refuses its own bad examples, each by exactly the rule it is filed under, and nothing else.

An example is a small tree laid over tests/lint/good, which passes: bad/RULE/CASE/path/of/file.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LINT = HERE.parent.parent / 'tools' / 'lint.py'
sys.path.insert(0, str(LINT.parent))
sys.dont_write_bytecode = True

import clex  # noqa: E402
import lint  # noqa: E402
import tap  # noqa: E402

# The two that are asked apart, because they need a program or a history.
APART = ('commit', 'format')

NESTING = (
    ('int f(void)\n{\n\treturn 0;\n}\n', 0),
    ('int f(void)\n{\n\tif (a)\n\t\tb();\n}\n', 1),
    ('int f(void)\n{\n\tif (a)\n\t\tb();\n\telse if (c)\n\t\td();\n\telse\n\t\te();\n}\n', 1),
    ('int f(void)\n{\n\t{\n\t\ta();\n\t}\n}\n', 0),
    ('int f(void)\n{\n\tint a[] = { 1, 2 };\n\n\tfor (;;)\n\t\tif (a)\n\t\t\tb();\n}\n', 2),
    ('int f(void)\n{\n\tdo\n\t\ta();\n\twhile (b);\n\tif (c)\n\t\td();\n}\n', 1),
    ('int f(void)\n{\n\tswitch (a) {\n\tcase A ... B:\n\tdefault:\n\t\tif (b)\n\t\t\tc();\n\t}\n}\n', 2),
    ('int f(void)\n{\n\tEACH(a, b) {\n\t\tc();\n\t}\n}\n', 1),
    ('int f(void)\n{\n\ta = ({ if (b) c(); d; });\n}\n', 0),
)

FUNCTIONS = (
    ('static int\nf(void)\n{\n}\n', [('f', 1, 4)]),
    ('G_DEFINE_TYPE(A, a, B)\n\nstatic int\nf(void)\n{\n}\n', [('f', 3, 6)]),
    ('void f(void) __attribute__((noreturn));\nint\ng(int (*h)(int), char a[static 3])\n{\n}\n', [('g', 2, 5)]),
    ('struct __attribute__((packed)) {\n\tint a;\n} x;\n', []),
    ('int a[] = { f(1) };\nenum { A, B = C(1) };\n', []),
    ('#define F(x) \\\n\tint f(void) { \\\n\t}\nint\ng(void)\n{\n}\n', [('g', 4, 7)]),
    ('/* int f(void) { */ const char *s = "int g(void) {";\nint\nh(void)\n{\n}\n', [('h', 2, 5)]),
)

GOOD_MESSAGES = (
    'helper: keep the ledger true\n',
    'tests/fuzz: feed the frame codec\n\nA word on why.\n\n    ' + 'a quoted line stays as it is ' * 4 + '\n',
    'vm-fsm: process the last event first',
)


def lay(directory, *trees):
    for tree in trees:
        shutil.copytree(tree, directory, dirs_exist_ok=True)
    return directory


def rules_found(tree):
    return {f.rule for f in lint.check_tree(lint.Tree(tree))}


def test_good():
    with tempfile.TemporaryDirectory() as directory:
        findings = lint.check_tree(lint.Tree(lay(directory, HERE / 'good')))
        return '; '.join(map(str, findings))


def test_good_format():
    with tempfile.TemporaryDirectory() as directory:
        lay(directory, HERE / 'good')
        shutil.copy(LINT.parent.parent / '.clang-format', directory)
        return '; '.join(map(str, lint.check_format(lint.Tree(directory))))


def test_bad(rule, case):
    if rule == 'commit':
        return '' if list(lint.check_message((case / 'message.txt').read_text())) else 'passes'
    with tempfile.TemporaryDirectory() as directory:
        lay(directory, HERE / 'good', case)
        if rule == 'format':
            shutil.copy(LINT.parent.parent / '.clang-format', directory)
            found = {f.rule for f in lint.check_format(lint.Tree(directory))}
        else:
            found = rules_found(directory)
        return '' if found == {rule} else f'found {sorted(found)}'


def test_every_rule_has_a_bad_example():
    with_examples = {p.name for p in (HERE / 'bad').iterdir() if any(p.iterdir())}
    return ' '.join(set(lint.RULES) ^ with_examples)


def test_nesting():
    wrong = []
    for text, deepest in NESTING:
        found = clex.Nesting(clex.CFile(text).functions[0].body).deepest
        if found != deepest:
            wrong.append(f'{found} rather than {deepest} in {text!r}')
    return '; '.join(wrong)


def test_functions():
    found = [[(f.name, f.first, f.last) for f in clex.CFile(text).functions] for text, _ in FUNCTIONS]
    return '; '.join(f'{f} rather than {e}' for f, (_, e) in zip(found, FUNCTIONS) if f != e)


def test_good_messages():
    return '; '.join(f'{m!r}: {list(lint.check_message(m))}' for m in GOOD_MESSAGES if list(lint.check_message(m)))


def environment():
    """Without what git tells its hooks, and what a rebase executes: of a repository that is not ours to write."""
    return {name: value for name, value in os.environ.items() if not name.startswith('GIT_')}


def git(directory, *arguments):
    names = ['-c', 'user.name=Tester', '-c', 'user.email=tester@localhost', '-c', 'commit.gpgsign=false']
    subprocess.run(['git', '-C', directory, *names, *arguments], check=True, stdout=subprocess.DEVNULL,
                   env=environment())


def run(directory, *arguments):
    command = [sys.executable, str(LINT), '--root', directory, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    return result.returncode, result.stdout.splitlines()


def test_commits_of_a_range():
    with tempfile.TemporaryDirectory() as directory:
        git(directory, 'init', '-q', '-b', 'main')
        for message in ('First, and outside the range', 'helper: keep the ledger true', 'Two wrong.'):
            git(directory, 'commit', '-q', '--allow-empty', '-m', message)
        status, lines = run(directory, '--commits', 'HEAD~2..HEAD')
        git(directory, 'reset', '-q', '--soft', 'HEAD~1')
        return '' if status == 1 and len(lines) == 2 and run(directory, '--commits', 'HEAD~1..HEAD') == (0, []) \
            else f'status {status}, {lines}'


def test_repository_of_a_caller():
    with tempfile.TemporaryDirectory() as directory:
        os.environ['GIT_DIR'] = os.path.join(directory, 'git')
        try:
            return test_commits_of_a_range() or ' '.join(os.listdir(directory))
        finally:
            del os.environ['GIT_DIR']


def test_command_line():
    """Untracked files are read, ignored ones are not; a path alone is checked without the rules of the tree."""
    with tempfile.TemporaryDirectory() as directory:
        lay(directory, HERE / 'good', HERE / 'bad/no-goto/c')
        git(directory, 'init', '-q')
        everything = run(directory)
        one = run(directory, f'{directory}/src/helper/x.c')
        other = run(directory, f'{directory}/src/helper/good.c')
        pathlib.Path(directory, '.gitignore').write_text('x.c\n', encoding='utf-8')
        ignored = run(directory)
        expected = (1, ['src/helper/x.c:6: no-goto: goto; a cleanup attribute undoes it'])
        return '' if (everything, one, other, ignored) == (expected, expected, (0, []), (0, [])) \
            else f'{everything} {one} {other} {ignored}'


def tests():
    yield 'good tree passes', test_good
    if lint.formatter_fits():
        yield 'good tree is formatted', test_good_format
    yield 'every rule has a bad example', test_every_rule_has_a_bad_example
    yield 'nesting is counted', test_nesting
    yield 'functions are found', test_functions
    yield 'good messages pass', test_good_messages
    yield 'commits of a range', test_commits_of_a_range
    yield 'repository of a caller is left alone', test_repository_of_a_caller
    yield 'command line', test_command_line
    for case in sorted((HERE / 'bad').glob('*/*')):
        rule = case.parent.name
        if rule != 'format' or lint.formatter_fits():
            yield f'{rule} refuses {case.name}', lambda rule=rule, case=case: test_bad(rule, case)
        else:
            yield f'{rule} refuses {case.name} # SKIP no clang-format {lint.CLANG_FORMAT_MAJOR}', lambda: ''


if __name__ == '__main__':
    sys.exit(tap.run(tests()))
