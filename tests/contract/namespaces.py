# SPDX-License-Identifier: LGPL-2.1-or-later
"""For tests that are the first process of mount, network and pid namespaces of their own."""

import os
import subprocess
import sys

INSIDE = 'BANGER_TEST_INSIDE'


def enter(*covered):
    """Starts the program once more in there, and returns inside, with a tmpfs on each of `covered`."""
    if INSIDE not in os.environ:
        argv = ['unshare', '--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', sys.executable,
                *sys.argv]
        os.execvpe(argv[0], argv, dict(os.environ, **{INSIDE: '1'}))
    for place in covered:
        subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', place], check=True)
