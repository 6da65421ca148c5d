# SPDX-License-Identifier: LGPL-2.1-or-later
"""unittest, told to meson as TAP: one line per test. BANGER_TEST=Class.test runs that one alone."""

import os
import sys
import unittest


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.bad = 0

    def line(self, word, test, note=''):
        print(f'{word} {self.testsRun} - {test.id().split(".", 1)[-1]}{note}', flush=True)

    def addSuccess(self, test):
        self.line('ok', test)

    def addFailure(self, test, err):
        self.bad += 1
        print(self._exc_info_to_string(err, test), file=sys.stderr, flush=True)
        self.line('not ok', test)

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        # Told of each part, and of the whole only where all parts are good.
        if err:
            self.addFailure(subtest, err)

    def addSkip(self, test, reason):
        self.line('ok', test, f' # SKIP {reason}')


def main():
    loader = unittest.defaultTestLoader
    module = sys.modules['__main__']
    names = [os.environ['BANGER_TEST']] if 'BANGER_TEST' in os.environ else sys.argv[1:]
    suite = loader.loadTestsFromNames(names, module) if names else loader.loadTestsFromModule(module)
    print(f'1..{suite.countTestCases()}', flush=True)
    result = Result()
    suite.run(result)
    sys.exit(1 if result.bad else 0)
