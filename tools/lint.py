#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""House rules that a formatter cannot express (HACKING.md says why they are).

    lint.py [PATH…]            every rule over the tree, or the rules about single files over PATH…
    lint.py --only RULE,…      some rules; --list names them
    lint.py --format           clang-format has nothing to say
    lint.py --commits REV..REV subjects and bodies of commits

Prints `path:line: rule: what` and exits 1 where anything was found. An exception to a rule is a line in
tools/lint-allow.txt: `rule path reason`. Each rule has examples in tests/lint/bad/RULE that it must refuse.
"""

import argparse
import ast
import functools
import os
import pathlib
import re
import subprocess
import sys
from typing import NamedTuple

import clex
import layers

LICENSE = 'LGPL-2.1-or-later'
COLUMNS, COMMENT_COLUMNS, PYTHON_COLUMNS = 100, 120, 120
FILE_LINES, FUNCTION_LINES, NESTING = 700, 80, 4
SHORT_LINES, SHORT_SHARE, SHARE_FROM = 40, 0.9, 10  # functions; the share means nothing for a handful
ALLOW_FILE = 'tools/lint-allow.txt'
CLANG_FORMAT_MAJOR = '14'  # another release formats differently

# Examples of what is wrong, and texts that programs compare byte by byte.
NOT_OURS = ('tests/lint/bad/', 'tests/golden/', 'tests/fuzz/corpus/', 'LICENSE')

ENVIRONMENT = ('getenv', 'secure_getenv', 'g_getenv', 'g_get_environ', 'g_environ_getenv')
SLEEPS = ('sleep', 'usleep', 'nanosleep', 'clock_nanosleep', 'thrd_sleep', 'g_usleep')
TIMERS = ('g_timeout_add', 'g_timeout_add_full', 'g_timeout_add_once', 'g_timeout_add_seconds',
          'g_timeout_add_seconds_full', 'g_timeout_source_new', 'g_timeout_source_new_seconds', 'timerfd_create',
          'timer_create', 'setitimer', 'alarm', 'ualarm', 'sd_event_add_time', 'sd_event_add_time_relative')
SHELLS = ('system', 'popen', 'wordexp', 'g_spawn_command_line_sync', 'g_spawn_command_line_async')
UNSAFE = ('strcpy', 'strcat', 'stpcpy', 'strncat', 'sprintf', 'vsprintf', 'gets', 'alloca', 'g_alloca', 'g_newa',
          'strtok', 'mktemp', 'tmpnam', 'tempnam')


class Finding(NamedTuple):
    path: str
    line: int
    rule: str
    text: str

    def __str__(self):
        return f'{self.path}:{self.line}: {self.rule}: {self.text}'


class Source:
    """One file; what the rules look at is made when the first asks."""

    def __init__(self, tree, path):
        self.tree = tree
        self.path = path
        # Not read_text(), which would hide carriage returns.
        self.text = (tree.root / path).read_bytes().decode('utf-8')

    @property
    def name(self):
        return self.path.rsplit('/', 1)[-1]

    @functools.cached_property
    def lines(self):
        return self.text.removesuffix('\n').split('\n') if self.text else []

    @functools.cached_property
    def c(self):
        return clex.CFile(self.text)

    @functools.cached_property
    def python(self):
        """The syntax tree, or None of what is in another language."""
        if not self.path.endswith('.py') and not re.match(r'#!.*python', self.text):
            return None
        return ast.parse(self.text, self.path)

    def matches(self, pattern):
        """(line number, match) of every line that holds `pattern`."""
        for number, line in enumerate(self.lines, 1):
            match = re.search(pattern, line)
            if match:
                yield number, match


class Tree:
    """The files under `root`; all of them, or the `chosen`."""

    def __init__(self, root, chosen=()):
        self.root = pathlib.Path(root)
        self.paths = sorted(list_files(self.root))
        self.whole = not chosen
        self.chosen = self.paths if self.whole else sorted(chosen)

    @functools.cached_property
    def sources(self):
        return [s for s in map(self._read, self.chosen) if s]

    def _read(self, path):
        file = self.root / path
        if path.startswith(NOT_OURS) or file.is_symlink() or not file.is_file():
            return None
        try:
            return Source(self, path)
        except UnicodeDecodeError:
            return None  # an image, a key: nothing to read

    def has(self, path):
        return (self.root / path).is_file()


def list_files(root):
    if (root / '.git').exists():
        command = ['git', '-C', str(root), 'ls-files', '-z', '--cached', '--others', '--exclude-standard']
        return {p for p in subprocess.check_output(command, text=True).split('\0') if p}
    found = set()
    for top, directories, names in os.walk(root):
        directories[:] = [d for d in directories if d not in ('.git', '__pycache__')]
        found.update(os.path.relpath(os.path.join(top, n), root) for n in names)
    return found


# ---- which files a rule is about

def is_c(path):
    return path.endswith(('.c', '.h'))


def is_header(path):
    return path.endswith('.h')


def is_product_c(path):
    return is_c(path) and path.startswith('src/')


def is_product(path):
    return path.startswith('src/')


def is_script(path):
    return path.endswith('.py') or (path.startswith('tools/') and '.' not in path.rsplit('/', 1)[-1])


def is_markdown(path):
    return path.endswith('.md')


def is_any(path):
    return True


def is_no_patch(path):
    """In a patch an empty line of the file is a line with a space, and may be the last."""
    return not path.endswith('.patch')


RULES = {}  # name → (which files, function); for the whole tree: (None, function)


def rule(name, applies):
    def register(function):
        RULES[name] = (applies, function)
        return function
    return register


# ---- every file

SPDX_SUFFIXES = ('.c', '.h', '.py', '.sh', '.build', '.in', '.xml', '.conf', '.rules', '.service', '.socket', '.slice',
                 '.desktop', '.policy', '.js', '.yml', 'meson_options.txt', '.clang-format')


@rule('spdx', is_any)
def has_license_line(source):
    if not source.path.endswith(SPDX_SUFFIXES) and not source.text.startswith('#!'):
        return
    # What must stand before it: an interpreter, an XML declaration and its document type.
    head = re.sub(r'\A(#![^\n]*\n|<\?xml[^>]*>\n|<!DOCTYPE[^>]*>\n)+', '', source.text)
    if f'SPDX-License-Identifier: {LICENSE}' not in head.split('\n', 1)[0]:
        yield 1, f'the first line does not say SPDX-License-Identifier: {LICENSE}'


@rule('trailing-space', is_no_patch)
def no_trailing_space(source):
    for number, _ in source.matches(r'[ \t\r]$'):
        yield number, 'white space at the end of the line'


@rule('final-newline', is_no_patch)
def ends_in_one_newline(source):
    if source.text and (not source.text.endswith('\n') or source.text.endswith('\n\n')):
        yield len(source.lines), 'the file does not end in exactly one newline'


@rule('tabs', is_any)
def indents_as_the_language_does(source):
    if is_c(source.path):
        comments = {n for c in source.c.comments for n in range(c.line, c.line + c.text.count('\n') + 1)}
        for number, _ in source.matches(r'^ {8}'):
            if number not in comments:
                yield number, 'indented by spaces; C is indented by tabs'
    elif source.path.endswith(('.py', '.build', '.xml', '.in', '.md', '.yml')) or source.python:
        quoted = quoted_lines(source.python) if source.python else ()
        for number, _ in source.matches(r'^ *\t'):
            if number not in quoted:
                yield number, 'indented by a tab; only C is'


def quoted_lines(module):
    """Lines inside Python strings: a generator's templates are in another language."""
    strings = [n for n in ast.walk(module) if isinstance(n, (ast.Constant, ast.JoinedStr))]
    return {line for n in strings for line in range(n.lineno + 1, n.end_lineno + 1)}


@rule('line-length', lambda path: is_c(path) or path.endswith('.py'))
def fits_the_page(source):
    for number, line in enumerate(source.lines, 1):
        columns, most = len(line.expandtabs(8)), PYTHON_COLUMNS
        if is_c(source.path):
            # What ends the line may be a comment, and reach further.
            code = source.c.last_column.get(number, 0)
            columns, most = (code, COLUMNS) if code > COLUMNS else (columns, COMMENT_COLUMNS)
        if columns > most and not ends_in_string(line, most):
            yield number, f'{columns} columns, more than {most}'


def ends_in_string(line, most):
    """A string is not broken: people search for what a program prints."""
    match = re.fullmatch(r'(.*?)"(\\.|[^"\\])*"[,;)]*', line)
    return match and len(match[1].expandtabs(8)) < most


@rule('machine-path', is_any)
def names_no_machine(source):
    for number, match in source.matches(r'(?<![\w.])/(work|root|tmp/wt|home/[a-z]\w*)/|\.pyenv\b'):
        yield number, f'"{match[0]}" is a place on somebody\'s machine'


@rule('todo', is_any)
def leaves_nothing_for_later(source):
    for number, match in source.matches(r'\b(TODO|FIXME|XXX|HACK)\b'):
        yield number, f'{match[0]}: do it, or write an issue'


@rule('file-length', lambda path: is_c(path) or is_script(path))
def file_is_short(source):
    if len(source.lines) > FILE_LINES:
        yield FILE_LINES, f'{len(source.lines)} lines, more than {FILE_LINES}'


@rule('md-link', is_markdown)
def links_lead_somewhere(source):
    for number, line in enumerate(re.sub(r'`[^`\n]*`', '', source.text).splitlines(), 1):
        for target in re.findall(r'\]\(([^)\s]+)[^)]*\)', line):
            path, _, anchor = target.partition('#')
            file = (source.tree.root / source.path).parent / path if path else source.tree.root / source.path
            if re.match(r'[a-z+]+:', target):
                continue
            if not file.exists():
                yield number, f'{target}: no such file'
            elif anchor and file.suffix == '.md' and anchor not in anchors(file.read_text(encoding='utf-8')):
                yield number, f'{target}: no such heading'


def anchors(text):
    """Headings as Markdown hosts turn them into fragments."""
    headings = re.findall(r'^#+ +(.*?) *$', text, re.M)
    return {re.sub(r'[^\w\- ]', '', h.lower()).replace(' ', '-') for h in headings}


# ---- every file of C

@rule('no-goto', is_c)
def no_goto(source):
    for token in source.c.tokens:
        if token.kind == 'name' and token.text == 'goto':
            yield token.line, 'goto; a cleanup attribute undoes it'


@rule('no-sleep', is_c)
def no_sleep(source):
    for token in source.c.calls(SLEEPS):
        yield token.line, f'{token.text}(): wait on a descriptor'


@rule('no-timer', is_product_c)
def no_timer(source):
    for token in source.c.calls(TIMERS):
        yield token.line, f'{token.text}(): nothing a user waits for hangs on a clock'


@rule('no-shell', lambda path: is_c(path) or is_script(path))
def no_shell(source):
    if is_c(source.path):
        for token in source.c.calls(SHELLS):
            yield token.line, f'{token.text}() runs a shell'
        for token in source.c.tokens:
            if is_product(source.path) and token.kind == 'string' and re.search(r'/bin/(ba|da)?sh\b', token.text):
                yield token.line, f'{token.text}: no shell anywhere'
    elif source.python:
        for number, match in source.matches(r'\b(shell=True|os\.(system|popen)\()'):
            yield number, f'{match[0]} runs a shell'


@rule('close-retry', is_c)
def no_close_retry(source):
    tokens = source.c.tokens
    for i, token in enumerate(tokens[:-1]):
        if token.text == 'close' and tokens[i + 1].text == '(' and is_retried(tokens, i):
            yield token.line, 'close() tried again: the descriptor is gone, and may be somebody else\'s by now'


def is_retried(tokens, i):
    """In the condition of a loop or a retry macro, or in the body of a `do … while (… EINTR …)`."""
    depth = 0
    for j in range(i - 1, 0, -1):
        depth += (tokens[j].text in clex.CLOSING) - (tokens[j].text in clex.OPENING)
        if depth >= 0:
            continue
        depth, before = 0, tokens[j - 1].text
        if tokens[j].text == '(' and before in ('while', 'TEMP_FAILURE_RETRY'):
            return True
        if tokens[j].text == '{' and before == 'do':
            end = clex.matching(tokens, j) + 2
            condition = tokens[end:clex.matching(tokens, end) + 1] if end < len(tokens) else []
            if any(t.text == 'EINTR' for t in condition):
                return True
        if tokens[j].text == '{' and before == ')' and tokens[clex.opening(tokens, j - 1) - 1].text not in clex.LOOPS:
            return False  # out of the function
    return False


@rule('function-length', lambda path: is_c(path) or is_script(path))
def function_is_short(source):
    sizes = []
    if is_c(source.path):
        sizes = [(f.first, f.name, f.lines) for f in source.c.functions]
    elif source.python:
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        sizes = [(n.lineno, n.name, n.end_lineno - n.lineno + 1)
                 for n in ast.walk(source.python) if isinstance(n, functions)]
    for line, name, lines in sizes:
        if lines > FUNCTION_LINES:
            yield line, f'{name}() has {lines} lines, more than {FUNCTION_LINES}'


@rule('nesting', is_c)
def nests_little(source):
    for function in source.c.functions:
        nesting = clex.Nesting(function.body)
        if nesting.deepest > NESTING:
            yield nesting.line, f'{function.name}() nests {nesting.deepest} deep, more than {NESTING}'


# ---- headers

@rule('pragma-once', is_header)
def is_read_once(source):
    first = next((d for d in source.c.directives), None)
    if not first or not re.fullmatch(r'#pragma once\s*', first.text):
        yield 1, 'the first directive is not #pragma once'


@rule('header-purpose', is_header)
def says_what_it_is_for(source):
    second = source.lines[1] if len(source.lines) > 1 else ''
    if not re.match(r'/\* \S.*\w', second):
        yield 2, 'the second line does not say in a comment what the header is for'


# ---- the product

@rule('no-getenv', is_product_c)
def reads_no_environment(source):
    if source.name == 'main.c':
        return
    for token in source.c.calls(ENVIRONMENT):
        yield token.line, f'{token.text}() outside main.c'


@rule('unsafe-call', is_product_c)
def calls_nothing_unbounded(source):
    for token in source.c.calls(UNSAFE):
        yield token.line, f'{token.text}() knows no bound'


@rule('no-ifdef', is_product_c)
def has_one_reading(source):
    """Optional features are pairs of files chosen by meson; only the architecture's file may ask which it is."""
    allowed = []
    for directive in source.c.directives:
        if directive.name in ('if', 'ifdef', 'ifndef'):
            allowed.append('__x86_64__' in directive.text)
        if directive.name in ('if', 'ifdef', 'ifndef', 'elif', 'else') and not (allowed and allowed[-1]):
            yield directive.line, f'#{directive.name}: choose between files in meson instead'
        if directive.name == 'endif' and allowed:
            allowed.pop()


@rule('no-fake', is_product)
def reaches_no_fake(source):
    if is_c(source.path):
        for include in source.c.includes:
            if re.search(r'fake|mock|(^|/)tests?/', include.path):
                yield include.line, f'includes {include.path}: tests\' code in the product'
        for token in source.c.tokens:
            if token.kind == 'name' and re.search(r'(?i)(^|_)(fake|mock)(_|$)|(?-i:Fake|Mock)', token.text):
                yield token.line, f'{token.text}: fakes live in tests/'
    elif source.name == 'meson.build':
        for number, match in source.matches(r'^[^#]*?(\.\./tests/|(?i:fake|mock))'):
            yield number, f'{match[1]}: tests\' code in the product'


@rule('include-root', is_product_c)
def includes_by_directory(source):
    for include in source.c.includes:
        if include.system:
            continue
        if '..' in include.path.split('/'):
            yield include.line, f'"{include.path}" climbs; the one include root is src/'
        elif '/' not in include.path and include.path not in layers.GENERATED:
            yield include.line, f'"{include.path}" does not name its directory'


@rule('own-header', lambda path: path.startswith('src/') and path.endswith('.c'))
def own_header_first(source):
    own = source.path[len('src/'):-2] + '.h'
    first = source.c.includes[0] if source.c.includes else None
    if f'src/{own}' in source.tree.paths and (not first or first.path != own):
        yield first.line if first else 1, f'"{own}" is not the first include'


@rule('layer', is_product_c)
def includes_downwards(source):
    layer = layers.of(source.path)
    if not layer:
        yield 1, 'in no layer: tell tools/layers.py what it may include'
        return
    for include in source.c.includes:
        trouble = layer.trouble(include)
        if trouble:
            yield include.line, f'{layer.path} includes {trouble}'


# ---- the tree as a whole

@rule('function-share', None)
def most_functions_are_short(tree):
    functions = [f for s in tree.sources if is_product_c(s.path) for f in s.c.functions]
    short = [f for f in functions if f.lines <= SHORT_LINES]
    if len(functions) >= SHARE_FROM and len(short) < SHORT_SHARE * len(functions):
        yield 'src', 1, (f'{len(short)} of {len(functions)} functions have at most {SHORT_LINES} lines, '
                         f'less than {SHORT_SHARE:.0%}')


@rule('license', None)
def license_is_there(tree):
    text = (tree.root / 'LICENSE').read_text(encoding='utf-8') if tree.has('LICENSE') else ''
    if 'GNU LESSER GENERAL PUBLIC LICENSE' not in text or 'Version 2.1' not in text:
        yield 'LICENSE', 1, f'is not the text of {LICENSE}'


# ---- exceptions

class Allowed:
    """The exceptions; each must have a reason, and something to except."""

    def __init__(self, tree):
        self.lines = {}  # (rule, path) → line number
        self.used = set()
        self.findings = []
        if tree.has(ALLOW_FILE):
            text = (tree.root / ALLOW_FILE).read_text(encoding='utf-8')
            for number, line in enumerate(text.splitlines(), 1):
                self._read(number, line)

    def _read(self, number, line):
        words = line.split(None, 2)
        if not words or words[0].startswith('#'):
            return
        if words[0] not in RULES:
            self._refuse(number, f'no rule is called {words[0]}')
        elif len(words) < 3 or len(words[2].split()) < 3:
            self._refuse(number, 'an exception without a reason')
        else:
            self.lines[words[0], words[1]] = number

    def _refuse(self, number, text):
        self.findings.append(Finding(ALLOW_FILE, number, 'allow-list', text))

    def excepts(self, finding):
        key = finding.rule, finding.path
        self.used.add(key)
        return key in self.lines

    def close(self):
        for key, number in self.lines.items():
            if key not in self.used:
                self._refuse(number, f'{key[1]} no longer needs an exception from {key[0]}')
        return self.findings


@rule('allow-list', None)
def exceptions_are_needed(tree):
    return ()  # found by check_tree(), which knows what was excepted


def check_tree(tree, only=()):
    allowed, found = Allowed(tree), []
    for name, (applies, function) in RULES.items():
        if only and name not in only:
            continue
        if applies is None:
            found += [Finding(path, line, name, text) for path, line, text in function(tree)] if tree.whole else []
            continue
        for source in tree.sources:
            if applies(source.path):
                found += [Finding(source.path, line, name, text) for line, text in function(source)]
    kept = [f for f in found if not allowed.excepts(f)]
    if tree.whole and (not only or 'allow-list' in only):
        kept += [f for f in allowed.close() if not only or f.rule in only]
    return sorted(kept)


# ---- commits

IMPERATIVE_EXCEPTIONS = ('bring', 'embed', 'exceed', 'feed', 'focus', 'need', 'proceed', 'seed', 'shed', 'speed',
                         'spring', 'string', 'succeed')


@rule('commit', None)
def commits_are_checked_by_range(tree):
    return ()


def check_message(message):
    """What is wrong with one commit message."""
    lines = message.rstrip('\n').split('\n')
    subject = lines[0]
    match = re.fullmatch(r'([a-z][a-z0-9-]*(?:[/,] ?[a-z0-9-]+)*): (\S+)(.*)', subject)
    if not match:
        yield 1, f'"{subject}" is not `area: imperative`'
    else:
        verb = match[2]
        if verb not in IMPERATIVE_EXCEPTIONS and re.search(r'(ed|ing|[^su]s)$', verb):
            yield 1, f'"{verb}" is not an imperative'
        if not verb[0].islower():
            yield 1, f'"{verb}" is not in lower case'
    if len(subject) > 72:
        yield 1, f'the subject has {len(subject)} columns, more than 72'
    if subject.endswith('.'):
        yield 1, 'the subject ends in a full stop'
    if len(lines) > 1 and lines[1]:
        yield 2, 'no empty line behind the subject'
    for number, line in enumerate(lines[1:], 2):
        # What is quoted (indented) or cannot be broken stays as it is.
        if len(line) > 80 and ' ' in line.strip() and not line.startswith(('    ', '\t')):
            yield number, f'{len(line)} columns in the body, more than 80'
        if re.search(r'(?<![\w.])/(work|root|tmp|home)/', line):
            yield number, 'names a place on somebody\'s machine'


def check_commits(root, revisions):
    command = ['git', '-C', str(root), 'log', '--no-merges', '--format=%h%x00%B%x01', revisions]
    for record in subprocess.check_output(command, text=True).split('\x01'):
        commit, separator, message = record.strip('\n').partition('\0')
        if separator:
            yield from (Finding(commit, line, 'commit', text) for line, text in check_message(message))


# ---- formatting

@rule('format', None)
def formatter_is_asked_apart(tree):
    return ()


def check_format(tree):
    paths = [s.path for s in tree.sources if is_c(s.path)]
    if not paths:
        return
    command = ['clang-format', '--dry-run', '--Werror', '--ferror-limit=0', '--style=file', *paths]
    output = subprocess.run(command, cwd=tree.root, stderr=subprocess.PIPE, text=True, check=False).stderr
    for match in re.finditer(r'^(\S+?):(\d+):\d+: error: code should be clang-formatted', output, re.M):
        yield Finding(match[1], int(match[2]), 'format', 'clang-format would write it otherwise')


def formatter_fits():
    try:
        text = subprocess.check_output(['clang-format', '--version'], text=True)
    except OSError:
        return False
    return re.search(r'version (\d+)', text)[1] == CLANG_FORMAT_MAJOR


def parse_arguments():
    parser = argparse.ArgumentParser(description='House rules that a formatter cannot express.')
    parser.add_argument('--root', default=pathlib.Path(__file__).resolve().parent.parent, type=pathlib.Path)
    parser.add_argument('--only', default='', metavar='RULE,…')
    parser.add_argument('--list', action='store_true', help='print the rules')
    parser.add_argument('--format', action='store_true', help='run clang-format instead')
    parser.add_argument('--commits', metavar='REV..REV', help='check commit messages instead')
    parser.add_argument('paths', nargs='*')
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    only = [name for name in arguments.only.split(',') if name]
    unknown = [name for name in only if name not in RULES]
    if unknown:
        sys.exit(f'lint.py: no rule is called {", ".join(unknown)}; --list names them')
    if arguments.list:
        print('\n'.join(RULES))
        return 0
    if arguments.commits:
        findings = list(check_commits(arguments.root, arguments.commits))
    else:
        root = arguments.root.resolve()
        tree = Tree(root, [os.path.relpath(os.path.abspath(p), root) for p in arguments.paths])
        if arguments.format and not formatter_fits():
            print(f'lint.py: no clang-format {CLANG_FORMAT_MAJOR} here', file=sys.stderr)
            return 77  # "skipped" to meson; in CI a skip is a failure
        findings = list(check_format(tree) if arguments.format else check_tree(tree, only))
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main())
