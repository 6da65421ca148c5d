#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Puts bugs into a copy of the tree, one at a time, and sees that the tests named for each find it.

    run.py [NAME...]        all of tests/mutants, or some: t08 quota-off-by-one

Prints TAP, one line per mutant. Copy and build stay in a cache: a mutant costs what it changes. A mutant counts as
found where it builds, and each test that it names fails, which passes without it; one that no longer applies counts as
not found. Needs root, like the tests.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / 'tools'))
import toolbox  # noqa: E402

import mutant as mutants  # noqa: E402

TAP_LINE = re.compile(r'(?P<result>ok|not ok)\b *\d*(?: *-)? *(?P<name>.*?) *')


def git(directory, *arguments):
    """Whatever repository a hook of git's may name: this one, and for a copy none."""
    env = {name: value for name, value in os.environ.items()
           if name not in ('GIT_DIR', 'GIT_INDEX_FILE', 'GIT_WORK_TREE', 'GIT_PREFIX')}
    env['GIT_CEILING_DIRECTORIES'] = str(directory.parent)
    return subprocess.run(['git', *arguments], cwd=directory, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False, text=True)


class Tree:
    """A copy of the clone, where bugs are put in and taken out again."""

    def __init__(self, source, root):
        self.source, self.root = source, root

    def sync(self):
        """Only what differs is written: everything else is built already."""
        listed = git(self.source, 'ls-files', '-z', '--cached', '--others', '--exclude-standard')
        if listed.returncode:
            raise toolbox.Failed(listed.stderr)
        wanted = {path for path in listed.stdout.split('\0') if path and (self.source / path).is_file()}
        for path in wanted:
            self.write(path, (self.source / path).read_bytes(), (self.source / path).stat().st_mode & 0o755)
        for top, _, names in os.walk(self.root):
            for path in (pathlib.Path(top, name).relative_to(self.root) for name in names):
                if str(path) not in wanted:
                    (self.root / path).unlink()

    def write(self, path, content, mode):
        file = self.root / path
        if file.exists() and file.read_bytes() == content and file.stat().st_mode & 0o777 == mode:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        # New, and with the present time: what was made of it is out of date, whichever of the two was older.
        file.unlink(missing_ok=True)
        file.write_bytes(content)
        file.chmod(mode)

    def apply(self, mutant):
        """What is wrong with the patch, or ''."""
        done = git(self.root, 'apply', str(mutant.path))
        return 'does not apply: ' + done.stderr.strip() if done.returncode else ''

    def revert(self, mutant):
        for path in mutant.files:
            self.write(path, (self.source / path).read_bytes(), (self.source / path).stat().st_mode & 0o755)


class Build:
    def __init__(self, directory, tree, env):
        self.directory, self.tree, self.env = directory, tree, env
        self.log = str(directory.parent / 'log')

    def run(self, *argv):
        return subprocess.run([*toolbox.CONTAINED, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=self.env, cwd='/', text=True, errors='replace', check=False)

    def configure(self):
        toolbox.new_log(self.log)
        if not (self.directory / 'build.ninja').exists():
            toolbox.run_quietly([*toolbox.CONTAINED, toolbox.MESON, 'setup', str(self.directory), str(self.tree)],
                                self.log, self.env)
        # Brings what meson says of itself up to date.
        toolbox.run_quietly([*toolbox.CONTAINED, '/usr/bin/ninja', '-C', str(self.directory), 'build.ninja'], self.log,
                            self.env)

    def info(self, name):
        return json.loads((self.directory / 'meson-info' / f'intro-{name}.json').read_text(encoding='utf-8'))

    def programs(self, tests):
        """The files that these tests run."""
        files = {target['id']: target['filename'] for target in self.info('targets')}
        needed = {(test.suite, test.program) for test in tests}
        found = {file for test in self.info('tests') for identity in test['depends'] for file in files[identity]
                 if (test['suite'][0].rpartition(':')[2], test['name']) in needed}
        return sorted(os.path.relpath(file, self.directory) for file in found)

    def make(self, tests):
        """What the compiler says against it, or ''."""
        programs = self.programs(tests)
        done = self.run('/usr/bin/ninja', '-C', str(self.directory), *programs) if programs else None
        return 'does not build: ' + done.stdout[-4000:] if done and done.returncode else ''

    def test(self, suite, programs, only=''):
        """Program → its record in meson's log."""
        log = self.directory / 'meson-logs' / 'mutants.json'
        log.unlink(missing_ok=True)
        self.env.pop('BANGER_TEST', None)
        if only:
            self.env['BANGER_TEST'] = only
        done = self.run(toolbox.MESON, 'test', '-C', str(self.directory), '--no-rebuild', '--logbase', 'mutants',
                        '--suite', suite, *sorted(programs))
        if not log.exists():
            raise toolbox.Failed(done.stdout[-4000:])
        records = map(json.loads, log.read_text(encoding='utf-8').splitlines())
        return {record['name'].rpartition(' / ')[2]: record for record in records}


def results(record):
    """Name → 'ok' or 'not ok', of what a program said about its tests. A part of one is told in brackets behind it."""
    said = {}
    for line in filter(None, map(TAP_LINE.fullmatch, record.get('stdout', '').splitlines())):
        name = re.sub(r' [\[(].*', '', line['name'])
        said[name] = 'not ok' if 'not ok' in (line['result'], said.get(name)) else 'ok'
    return said


def why_not_passed(test, record):
    if test.name:
        return '' if results(record).get(test.name) == 'ok' else f'{test} does not pass without it'
    return '' if record['result'] == 'OK' else f'{test} does not pass without it'


def why_not_found(mutant, test, record):
    said = results(record)
    if record['result'] == 'TIMEOUT':
        return '' if mutant.hangs else f'{test} did not end'
    if record['returncode'] < 0:
        return '' if mutant.dies else f'{test} was ended by signal {-record["returncode"]}'
    if test.name and test.name not in said:
        return f'{test} was not told of:\n{record.get("stdout", "")}{record.get("stderr", "")}'
    if test.name:
        return '' if said[test.name] == 'not ok' else f'{test} passes on it'
    return '' if record['returncode'] > 0 else f'{test} passes on it'


class Run:
    def __init__(self, source, directory, env):
        self.tree = Tree(source, directory / 'tree')
        self.build = Build(directory / 'build', self.tree.root, env)
        self.troubles = {}  # test → why it says nothing

    def prepare(self, tests):
        """Builds the tree as it is; there every test must pass."""
        self.tree.sync()
        self.build.configure()
        trouble = self.build.make(tests)
        if trouble:
            raise toolbox.Failed('the tree ' + trouble)
        for suite in sorted({test.suite for test in tests}):
            here = [test for test in tests if test.suite == suite]
            records = self.build.test(suite, {test.program for test in here})
            for test in here:
                self.troubles[test] = why_not_passed(test, records[test.program]) if test.program in records \
                    else f'there is no {test.suite}/{test.program}'

    def try_mutant(self, mutant):
        """Why it was not found, or ''."""
        trouble = next(filter(None, (self.troubles[test] for test in mutant.tests)), '')
        trouble = trouble or self.tree.apply(mutant)
        if trouble:
            return trouble
        try:
            trouble = self.build.make(mutant.tests)
            for test in mutant.tests:
                trouble = trouble or why_not_found(
                    mutant, test, self.build.test(test.suite, {test.program}, test.name)[test.program])
            return trouble
        finally:
            self.tree.revert(mutant)


def parse():
    parser = argparse.ArgumentParser(description='Puts bugs in, and sees that the tests find them.')
    parser.add_argument('--cache', metavar='DIR', help='where copies and builds live (default: '
                        '/var/cache/banger-mutants)')
    parser.add_argument('--source', metavar='DIR', type=pathlib.Path, default=SOURCE, help='another tree than this')
    parser.add_argument('names', metavar='NAME', nargs='*', help='a mutant; default: all')
    return parser.parse_args()


def drop_forsaken(cache):
    """Copies of clones that have gone."""
    for written in cache.glob('*/clone'):
        if not pathlib.Path(written.read_text(encoding='utf-8'), 'meson.build').exists():
            shutil.rmtree(written.parent)


def choose(source, names):
    """(path, mutant or the reason why it is none) of those wanted."""
    directory = source / 'tests' / 'mutants'
    for path in [directory / f'{name}.patch' for name in names] or mutants.paths(directory):
        try:
            yield path, mutants.read(path)
        except (OSError, mutants.Malformed) as error:
            yield path, str(error)


def environment():
    env = toolbox.environment()
    if 'BANGER_TRY_CACHE' in os.environ:
        env['BANGER_TRY_CACHE'] = os.environ['BANGER_TRY_CACHE']
    # What finds a mutant is known: no test need go on searching.
    env.pop('BANGER_LONG', None)
    return env


def try_all(source, directory, names):
    """How many were not found."""
    run, chosen, failed = Run(source, directory, environment()), list(choose(source, names)), 0
    print(f'1..{len(chosen)}', flush=True)
    run.prepare({test for _, mutant in chosen if isinstance(mutant, mutants.Mutant) for test in mutant.tests})
    for number, (path, mutant) in enumerate(chosen, 1):
        began = time.monotonic()
        trouble = mutant if isinstance(mutant, str) else run.try_mutant(mutant)
        failed += bool(trouble)
        print(f'{"not ok" if trouble else "ok"} {number} - {path.stem}')
        text = f'{time.monotonic() - began:.1f} s {trouble}'.strip()
        print('# ' + text.replace('\n', '\n# '), flush=True)
    return failed


def main():
    options = parse()
    toolbox.need_root('tests/mutants/run.py')
    source = options.source.resolve()
    cache = pathlib.Path(toolbox.cache_directory(options.cache, 'banger-mutants'))
    directory = cache / toolbox.source_key(source)
    with toolbox.locked(str(cache / 'lock'), 'trying mutants'):
        drop_forsaken(cache)
        directory.mkdir(exist_ok=True)
        (directory / 'clone').write_text(str(source), encoding='utf-8')
        return 1 if try_all(source, directory, options.names) else 0


if __name__ == '__main__':
    toolbox.main(main)
