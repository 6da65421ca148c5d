#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The catalogues hold every message of the sources, each translated, and nothing else.

    test_po.py ROOT XGETTEXT-ARGUMENT…
"""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import tap

SUFFIXES = ('.c', '.h', '.policy.in')

# A tree in which all is well; each of MISTAKES makes one thing wrong.
SOUND = {
    'src/a.c': 'int f(void) { return cli_usage(_("no option \'%s\'"), "x") + puts(_("it")); }\n',
    'src/b.c': 'int g(void) { return 0; }\n',
    'po/POTFILES': '# What is translated.\nsrc/a.c\n',
    'po/LINGUAS': '# Languages.\nde\n',
    'po/de.po': 'msgid ""\nmsgstr ""\n"Language: de\\n"\n"Project-Id-Version: a\\n"\n"Language-Team: b\\n"\n'
                '"Last-Translator: c\\n"\n"PO-Revision-Date: 2026-11-23 12:00+0000\\n"\n"MIME-Version: 1.0\\n"\n'
                '"Content-Type: text/plain; charset=UTF-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n\n'
                '#, c-format\nmsgid "no option \'%s\'"\nmsgstr "Option »%s« fehlt"\n\n'
                'msgid "it"\nmsgstr "es"\n',
}
MISTAKES = (
    # what, file, text, what stands there instead, a word of the answer
    ('a file that is not listed', 'src/b.c', 'return 0', 'return puts(_("it"))', 'src/b.c: has a message'),
    ('a listed file without a message', 'po/POTFILES', 'src/a.c\n', 'src/a.c\nsrc/b.c\n', 'src/b.c: has no message'),
    ('a listed file that is not there', 'po/POTFILES', 'src/a.c\n', 'src/a.c\nsrc/c.c\n', 'src/c.c: has no message'),
    ('a new message', 'src/a.c', '_("it")', '_("that")', '"that"'),
    ('a message that is gone', 'src/a.c', '_("it")', '"it"', 'no longer'),
    ('an untranslated message', 'po/de.po', '"es"', '""', '"it"'),
    ('a fuzzy message', 'po/de.po', 'msgid "it"', '#, fuzzy\nmsgid "it"', '"it"'),
    ('a format that does not fit', 'po/de.po', '»%s«', '»%d«', 'msgfmt'),
    ('a catalogue cut short', 'po/de.po', 'msgstr "es"', 'msgstr "es', 'msgfmt'),
    ('a language without a catalogue', 'po/LINGUAS', 'de\n', 'de fr\n', 'po/fr.po'),
    ('a catalogue without its language', 'po/LINGUAS', 'de\n', '', 'po/de.po'),
)


def run(root, *command):
    return subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                          env=dict(os.environ, LC_ALL='C.UTF-8', LANGUAGE=''))


def listed(path):
    """The words of a file with comments."""
    return [w for line in path.read_text(encoding='utf-8').splitlines() if not line.startswith('#')
            for w in line.split()]


def messages_of(catalogue, *only):
    """The messages of a catalogue as they are written there."""
    lines = run('.', 'msgattrib', '--no-wrap', *only, str(catalogue)).stdout
    return re.findall(r'^msgid (".+"(?:\n".*")*)$', lines, re.M)


class Tree:
    def __init__(self, root, arguments):
        self.root = pathlib.Path(root)
        self.arguments = arguments

    def candidates(self):
        for top in ('src', 'data'):
            for path in sorted((self.root / top).rglob('*')):
                if path.name.endswith(SUFFIXES):
                    yield str(path.relative_to(self.root))

    def extract(self, output):
        """Writes the messages of all files, listed or not; returns what is wrong."""
        result = run(self.root, 'xgettext', *self.arguments, '--add-location=file', '-o', str(output),
                     *self.candidates())
        return f'xgettext: {result.stderr}' if result.returncode or result.stderr else ''

    def check_list(self):
        with tempfile.TemporaryDirectory() as directory:
            template = pathlib.Path(directory, 'all.pot')
            trouble = self.extract(template)
            if trouble:
                return trouble
            places = re.findall(r'^#: (.*)$', template.read_text(encoding='utf-8'), re.M)
        found = {place for line in places for place in line.split()}
        expected = listed(self.root / 'po' / 'POTFILES')
        wrong = [f'{p}: has a message, and is not in po/POTFILES' for p in sorted(found - set(expected))]
        wrong += [f'{p}: has no message, and is in po/POTFILES' for p in sorted(set(expected) - found)]
        if expected != sorted(set(expected)):
            wrong.append('po/POTFILES: is not sorted')
        return '; '.join(wrong)

    def check_languages(self):
        there = {p.stem for p in (self.root / 'po').glob('*.po')}
        return '; '.join(f'po/{name}.po: in po/LINGUAS or there, not both'
                         for name in sorted(there ^ set(listed(self.root / 'po' / 'LINGUAS'))))

    def check_catalogue(self, language):
        own = self.root / 'po' / f'{language}.po'
        result = run(self.root, 'msgfmt', '-c', '-o', os.devnull, str(own))
        if result.returncode or result.stderr:
            return f'msgfmt: {result.stderr}'
        with tempfile.TemporaryDirectory() as directory:
            template, merged = pathlib.Path(directory, 'all.pot'), pathlib.Path(directory, 'merged.po')
            trouble = self.extract(template)
            if trouble:
                return trouble
            result = run(self.root, 'msgmerge', '-q', '--no-fuzzy-matching', '-o', str(merged), str(own), str(template))
            if result.returncode:
                return f'msgmerge: {result.stderr}'
            wrong = [f'{m}: is not translated' for m in messages_of(merged, '--untranslated', '--no-obsolete')]
            wrong += [f'{m}: is fuzzy' for m in messages_of(merged, '--only-fuzzy', '--no-obsolete')]
            if re.search(r'^#~', merged.read_text(encoding='utf-8'), re.M):
                wrong.append('a message is no longer in the sources')
        return '; '.join(wrong)

    def check(self):
        wrong = [self.check_list(), self.check_languages()]
        wrong += [self.check_catalogue(p.stem) for p in sorted((self.root / 'po').glob('*.po'))]
        return '; '.join(filter(None, wrong))


def test_mistake(arguments, path, text, instead, answer):
    """The sound tree is found so; with the mistake it is refused for that."""
    with tempfile.TemporaryDirectory() as directory:
        for name, content in SOUND.items():
            file = pathlib.Path(directory, name)
            file.parent.mkdir(exist_ok=True)
            file.write_text(content, encoding='utf-8')
        tree = Tree(directory, arguments)
        trouble = tree.check()
        if trouble:
            return f'before the mistake: {trouble}'
        file = pathlib.Path(directory, path)
        content = file.read_text(encoding='utf-8')
        if text not in content:
            return f'{path} does not hold {text!r}'
        file.write_text(content.replace(text, instead), encoding='utf-8')
        trouble = tree.check()
        return '' if answer in trouble else f'answered {trouble!r}'


def tests(root, *arguments):
    missing = [tool for tool in ('xgettext', 'msgfmt', 'msgmerge', 'msgattrib') if not shutil.which(tool)]
    if missing:
        yield 'gettext is there', lambda: f'missing: {missing}'
        return
    tree = Tree(root, arguments)
    yield 'POTFILES', tree.check_list
    yield 'LINGUAS', tree.check_languages
    for language in listed(tree.root / 'po' / 'LINGUAS'):
        yield f'{language}.po', functools.partial(tree.check_catalogue, language)
    for name, *mistake in MISTAKES:
        yield f'refuses {name}', functools.partial(test_mistake, arguments, *mistake)


if __name__ == '__main__':
    sys.exit(tap.run(tests(*sys.argv[1:])))
