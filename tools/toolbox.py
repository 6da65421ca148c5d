# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tools/try and tools/check share: packages, places, locks and quiet commands."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
MESON = '/usr/bin/meson'


class Failed(Exception):
    """Ends the tool with this text; no traceback."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def environment():
    """The same for every caller: tools are the distribution's, whatever stands first in the caller's PATH."""
    kept = ('HOME', 'TERM', 'LANG', 'http_proxy', 'https_proxy', 'no_proxy', 'BANGER_LONG', 'BANGER_SLICE')
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env.setdefault('HOME', '/root')
    env.setdefault('LANG', 'C.UTF-8')
    env.update(PATH=PATH, PYTHONDONTWRITEBYTECODE='1')
    return env


def proxies():
    """For what goes through the host's network, as options of banger-stack."""
    names = ('http_proxy', 'https_proxy', 'no_proxy')
    return [word for name in names if name in os.environ for word in ('--setenv', f'{name}={os.environ[name]}')]


def need_root(tool):
    if os.geteuid() != 0:
        raise Failed(f'{tool} makes namespaces and installs packages: run it with sudo')


def listed_packages(sections):
    section, names = '', []
    with open(os.path.join(SOURCE, 'tools', 'packages.txt'), encoding='utf-8') as file:
        for line in file:
            word = line.split()[0] if line.split() else '#'
            if word.startswith('['):
                section = word.strip('[]')
            elif not word.startswith('#') and section in sections:
                names.append(word)
    return names


def missing_packages(sections):
    names = listed_packages(sections)
    shown = subprocess.run(['/usr/bin/dpkg-query', '-W', '-f', '${Package} ${db:Status-Status}\n', *names],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    installed = {line.split()[0] for line in shown.splitlines() if line.endswith(' installed')}
    return [name for name in names if name not in installed]


def may_install(missing, yes):
    if yes or not sys.stdin.isatty() or not sys.stderr.isatty():
        return True
    say('These Debian packages are missing: ' + ' '.join(missing))
    sys.stderr.write('Install them with apt-get? [Y/n] ')
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ('', 'y', 'yes')


def install_packages(sections, yes, log):
    missing = missing_packages(sections)
    if not missing:
        return
    if not may_install(missing, yes):
        raise Failed('packages are missing: ' + ' '.join(missing))
    say('installing ' + ' '.join(missing))
    env = dict(environment(), DEBIAN_FRONTEND='noninteractive')
    run_quietly(['/usr/bin/apt-get', '-q', 'update'], log, env)
    run_quietly(['/usr/bin/apt-get', '-qy', '--no-install-recommends', 'install', *missing], log, env)


def cache_directory(given, name):
    if given == '':
        raise Failed('--cache: no directory is given')
    base = given or os.path.join('/var/cache', name)
    path = os.path.abspath(base)
    if os.path.commonpath([path, SOURCE]) == SOURCE:
        raise Failed(f'{path} lies in the source tree, which stays clean; give another --cache')
    try:
        os.makedirs(path, mode=0o755, exist_ok=True)
    except OSError as e:
        raise Failed(f'{path} cannot be made: {e.strerror}; give another --cache') from e
    return path


@contextlib.contextmanager
def locked(path, what):
    """One at a time; the kernel drops the lock of who is killed. Children do not inherit it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f'waiting for another run to finish {what}')
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def new_log(path):
    with open(path, 'w', encoding='utf-8'):
        return path


# The kernel ends such a command when this process ends, even by SIGKILL, and with it whatever it started.
CONTAINED = ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--', '/usr/bin/unshare', '--pid', '--fork', '--kill-child',
             '--mount-proc', '--']


def run_quietly(argv, log, env=None):
    """Output goes to the file `log`; it is shown only when the command fails."""
    with open(log, 'a+', encoding='utf-8', errors='replace') as file:
        start = file.seek(0, os.SEEK_END)
        status = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                env=env or environment(), cwd='/', check=False).returncode
        if status != 0:
            file.seek(start)
            sys.stderr.write(file.read()[-8000:])
            shown = argv[len(CONTAINED):] if argv[:len(CONTAINED)] == CONTAINED else argv
            raise Failed(f'{" ".join(shown[:3])} … failed with status {status}; all of it is in {log}')


def content_key(paths):
    """Changes with any file of `paths` of the source tree, or below, wherever the tree lies."""
    total = hashlib.sha256()
    for path in paths:
        full = os.path.join(SOURCE, path)
        alone = [(os.path.dirname(full), [], [os.path.basename(full)])]
        for top, directories, names in alone if os.path.isfile(full) else os.walk(full):
            directories.sort()
            for name in sorted(names):
                with open(os.path.join(top, name), 'rb') as file:
                    total.update(f'{os.path.relpath(file.name, SOURCE)}\0'.encode())
                    total.update(hashlib.sha256(file.read()).digest())
    return total.hexdigest()[:12]


def source_key(source=SOURCE):
    """Tells clones apart in a shared cache."""
    return hashlib.sha256(os.fsencode(source)).hexdigest()[:12]


def drop(path):
    """Unless a run uses it, which holds a lock on it. Returns whether it is gone."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(fd)


def is_forsaken(directory):
    """Whether the clone that is built there has gone: meson has written down where it was. One without that was never
    set up to the end."""
    try:
        with open(os.path.join(directory, 'meson-info', 'meson-info.json'), encoding='utf-8') as file:
            return not os.path.exists(os.path.join(json.load(file)['directories']['source'], 'meson.build'))
    except (FileNotFoundError, ValueError, KeyError):
        return True


def forsaken_builds(cache):
    """Those in a cache that no clone will ask for again. Only who holds the cache's lock may look."""
    return [path for name in sorted(os.listdir(cache)) if re.fullmatch('(?:[a-z]+-)?[0-9a-f]{12}', name)
            for path in [os.path.join(cache, name)] if is_forsaken(path)]


def build(directory, options, log, env=None):
    env = env or environment()
    if not os.path.exists(os.path.join(directory, 'build.ninja')):
        shutil.rmtree(directory, ignore_errors=True)
        run_quietly([*CONTAINED, MESON, 'setup', *options, directory, SOURCE], log, env)
    run_quietly([*CONTAINED, '/usr/bin/ninja', '-k0', '-C', directory], log, env)


@contextlib.contextmanager
def step(text):
    began = time.monotonic()
    yield
    say(f'{text}: {time.monotonic() - began:.1f} s')


def main(function):
    try:
        sys.exit(function())
    except Failed as failure:
        say(f'{os.path.basename(sys.argv[0])}: {failure}')
        sys.exit(125)
    except KeyboardInterrupt:
        sys.exit(130)
