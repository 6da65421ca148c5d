#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tools/try and tools/check keep in their caches, and what they drop."""

import fcntl
import json
import os
import pathlib
import sys
import tempfile

import tap

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / 'tools'))
import toolbox  # noqa: E402
import trial  # noqa: E402

HERE, GONE, HALF = '1' * 12, '2' * 12, '3' * 12


class Cache:
    """Builds of a clone that is here, of one that is gone, and of one that was never set up."""

    def __init__(self, top):
        self.top = pathlib.Path(top)
        clone = self.top / 'clone'
        clone.mkdir()
        (clone / 'meson.build').touch()
        self.clones = {HERE: clone, GONE: self.top / 'no clone'}

    def make(self, path, key):
        """A build; what it is made of is written down as meson does."""
        info = self.top / path / 'meson-info'
        info.mkdir(parents=True)
        if key in self.clones:
            text = json.dumps({'directories': {'source': str(self.clones[key])}})
            (info / 'meson-info.json').write_text(text, encoding='utf-8')

    def names(self, path):
        return sorted(os.listdir(self.top / path))


def test_try(locked):
    with tempfile.TemporaryDirectory() as top:
        cache = Cache(top)
        for key in (HERE, GONE, HALF):
            cache.make(f'cache/build/{key}', key)
            for number in (1, 2):
                os.makedirs(cache.top / f'cache/stage/{key}-{number}')
        fd = os.open(cache.top / f'cache/stage/{GONE}-2', os.O_RDONLY)
        try:
            if locked:
                fcntl.flock(fd, fcntl.LOCK_SH)
            trial.drop_forsaken(cache.top / 'cache')
        finally:
            os.close(fd)
        found = cache.names('cache/build'), cache.names('cache/stage')
        kept = [f'{HERE}-1', f'{HERE}-2']
        if found != (([HERE, GONE], [*kept, f'{GONE}-2']) if locked else ([HERE], kept)):
            return f'left {found}'
        # The run has ended: the next one finds the rest.
        trial.drop_forsaken(cache.top / 'cache')
        found = cache.names('cache/build'), cache.names('cache/stage')
        return '' if found == ([HERE], kept) else f'left {found}'


def test_check():
    with tempfile.TemporaryDirectory() as top:
        cache = Cache(top)
        for key in (HERE, GONE, HALF):
            cache.make(f'cache/gcc-{key}', key)
        for name in ('results', 'try', 'log'):
            os.mkdir(cache.top / 'cache' / name)
        for path in toolbox.forsaken_builds(cache.top / 'cache'):
            toolbox.drop(path)
        found = cache.names('cache')
        return '' if found == [f'gcc-{HERE}', 'log', 'results', 'try'] else f'left {found}'


def test_new():
    with tempfile.TemporaryDirectory() as top:
        trial.drop_forsaken(top)
        return ''


def tests():
    yield 'of tools/try: what is of a clone that has gone goes', lambda: test_try(locked=False)
    yield 'of tools/try: what a run uses stays, and its build with it', lambda: test_try(locked=True)
    yield 'of tools/try: a new one', test_new
    yield 'of tools/check: builds of a clone that has gone go, and nothing else', test_check


if __name__ == '__main__':
    sys.exit(tap.run(tests()))
