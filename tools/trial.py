# SPDX-License-Identifier: LGPL-2.1-or-later
"""The product built, installed aside and supplied with image and kernel: what tools/try and tools/bench run in.

The cache directory holds, with everything named after what it was made from:
  build/CLONE     where the clone is built
  stage/CLONE-N   what it installs, and the program that makes the throw-away world
  home/KEY        the home of the user "dev", with the default image and kernel
  archive/KEY     a Debian root as a tar archive, for who measures imports
  disk            a home on the disk rather than in memory, for the one run at a time that asks for it
A stage, a home and an archive never change once they are complete, so that runs share them; they are dropped when a
newer one is there and no run holds them. The builds and stages of a clone go when it has gone.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys

import toolbox

# The user of tools/stack/people.c whose home carries the images.
OWNER = 41001
PROGRAMS = ('banger-stack', 'bench-init')
# Where the programs of this directory are found inside.
TOOLS = '/usr/src/tools'
# What each is made by: a change there makes it anew.
# The migrations too: a state of a newer schema is refused by an older bangerd.
IMAGE_SOURCES = ('src/image', 'src/service/manager/migrations.c')
KERNEL_SOURCES = ('src/boot', 'src/shared')
BUILD_IMAGE = ['banger', 'image', 'build', '--default']
# The default image's packages and some more: over 300 MB.
BUILD_ARCHIVE = ['/usr/bin/env', 'TMPDIR=/var/tmp', 'mmdebstrap', '--mode=unshare', '--variant=minbase', '--format=tar',
                 '--skip=check/empty', '--include=bash,ca-certificates,curl,dbus,git,iproute2,less,openssh-client,'
                 'procps,python3,systemd,systemd-sysv,udev,vim', 'bookworm', 'root.tar', 'http://deb.debian.org/debian']
IMPORT_KERNEL = ['banger', 'kernel', 'import', '--fetch', '--default']


def installed_state(build):
    """Changes with any file that would be installed, and with our own programs."""
    with open(os.path.join(build, 'meson-info', 'intro-installed.json'), encoding='utf-8') as file:
        paths = sorted(json.load(file))
    paths += [os.path.join(build, 'tools', name) for name in PROGRAMS]
    return ''.join(f'{path} {st.st_mtime_ns} {st.st_size}\n' for path in paths if os.path.exists(path)
                   for st in [os.stat(path)])


def read(path):
    try:
        with open(path, encoding='utf-8') as file:
            return file.read()
    except FileNotFoundError:
        return None


def drop_others(directory, prefix, current):
    """What no run uses any more. Returns whether that is all of it."""
    paths = [os.path.join(directory, name) for name in os.listdir(directory) if name.startswith(prefix)]
    return all([toolbox.drop(path) for path in paths if path not in current])


def drop_forsaken(cache):
    """What is left of clones that have gone: the build last, since it says whose the stages are."""
    builds, stages = os.path.join(cache, 'build'), os.path.join(cache, 'stage')
    for path in (builds, stages):
        os.makedirs(path, exist_ok=True)
    for path in toolbox.forsaken_builds(builds):
        if drop_others(stages, os.path.basename(path) + '-', []):
            toolbox.drop(path)


def tools():
    """Options that show what is in this directory at TOOLS."""
    return ('--bind-ro', f'{toolbox.SOURCE}/tools:{TOOLS}')


def world():
    """Options that put a network around the host, and somebody into it: see world.py."""
    return (*tools(), '--world', f'{TOOLS}/world.py')


def hold(path):
    """Until the run ends, which inherits the descriptor: nobody drops it."""
    fd = os.open(path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    os.set_inheritable(fd, True)
    return path


class Trial:
    def __init__(self, cache, verbose=False):
        self.cache = toolbox.cache_directory(cache, 'banger-try')
        self.verbose = verbose
        self.log = self.path('log')
        self.stage = self.home = None

    def path(self, *parts):
        return os.path.join(self.cache, *parts)

    def make(self, yes, bare=False):
        """Everything that a run needs, as far as it is not there yet; `bare`: without image and kernel."""
        with toolbox.locked(self.path('lock'), 'building'):
            toolbox.new_log(self.log)
            toolbox.install_packages(('run',), yes, self.log)
            drop_forsaken(self.cache)
            build = self.path('build', toolbox.source_key())
            if not os.path.exists(os.path.join(build, 'build.ninja')):
                toolbox.say('building banger (once)')
            toolbox.build(build, ['-Dtests=false'], self.log)
            self.stage = hold(self._make_stage(build))
            if not bare:
                self.home = hold(self._make_default_home())

    def make_archive(self):
        """The directory with a Debian root, made by mmdebstrap once."""
        key = hashlib.sha256(' '.join(BUILD_ARCHIVE).encode()).hexdigest()[:12]
        with toolbox.locked(self.path('lock'), 'building'):
            os.makedirs(self.path('archive'), exist_ok=True)
            path = hold(self._make_home(self.path('archive', key), None, BUILD_ARCHIVE))
            drop_others(self.path('archive'), '', [path])
        return path

    def make_disk_home(self):
        """An empty home whose files are on the disk, and this run's alone: two would measure each other."""
        path = self.path('disk')
        os.makedirs(path, exist_ok=True)
        fd = os.open(path, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.set_inheritable(fd, True)
        home = os.path.join(path, 'home')
        shutil.rmtree(home, ignore_errors=True)
        os.mkdir(home, 0o700)
        os.chown(home, OWNER, OWNER)
        return ('--home', home, '--keep-home')

    def command(self, argv, *options, home=()):
        """What runs `argv` in the throw-away world; `home` in place of the one with image and kernel."""
        if self.home and not home:
            home = ('--home', self.home)
        return [os.path.join(self.stage, 'banger-stack'), '--stage', os.path.join(self.stage, 'root'),
                *(['--verbose'] if self.verbose else []), *home, *options, '--', *argv]

    def become(self, argv, *options, home=()):
        """Nothing of ours stays between the caller and the command."""
        # Python ignores it; what we become must not.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        command = self.command(argv, *options, home=home)
        os.execv(command[0], command)

    def _make_stage(self, build):
        state = installed_state(build)
        key = toolbox.source_key()
        numbers = [int(name[len(key) + 1:]) for name in os.listdir(self.path('stage')) if name.startswith(key + '-')]
        last = max(numbers, default=0)
        path = self.path('stage', f'{key}-{last}')
        if last == 0 or read(os.path.join(path, 'complete')) != state:
            path = self.path('stage', f'{key}-{last + 1}')
            os.mkdir(path, 0o755)
            toolbox.run_quietly([toolbox.MESON, 'install', '-C', build, '--no-rebuild', '--quiet', '--destdir',
                                 os.path.join(path, 'root')], self.log)
            for name in PROGRAMS:
                shutil.copy2(os.path.join(build, 'tools', name), path)
            with open(os.path.join(path, 'complete'), 'w', encoding='utf-8') as file:
                file.write(state)
        drop_others(self.path('stage'), key, [path])
        return path

    def _make_default_home(self):
        """Image and kernel, made by the product itself."""
        os.makedirs(self.path('home'), exist_ok=True)
        image_key, kernel_key = toolbox.content_key(IMAGE_SOURCES), toolbox.content_key(KERNEL_SOURCES)
        image = self._make_home(self.path('home', f'image-{image_key}'), None, BUILD_IMAGE)
        home = self._make_home(self.path('home', f'home-{image_key}-{kernel_key}'), image, IMPORT_KERNEL)
        drop_others(self.path('home'), '', [image, home])
        return home

    def _make_home(self, path, base, command):
        """A home in which `command` has run, after what was done in `base`; seen when it is complete."""
        new = os.path.join(os.path.dirname(path), '.new')
        if os.path.isdir(path):
            return path
        shutil.rmtree(new, ignore_errors=True)
        if base:
            self._copy_home(base, new)
        else:
            os.mkdir(new, 0o700)
            os.chown(new, OWNER, OWNER)
        toolbox.say(f'preparing (once): {" ".join(command)}')
        argv = self.command(command, '--host-net', '--parent', str(os.getpid()), *toolbox.proxies(),
                            home=('--home', new, '--keep-home'))
        # What the command says is for people: standard output belongs to what they run.
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
        if done.returncode != 0:
            raise toolbox.Failed(f'"{" ".join(command)}" ended with status {done.returncode}')
        shutil.rmtree(os.path.join(new, '.cache'), ignore_errors=True)
        os.rename(new, path)
        return path

    def _copy_home(self, base, new):
        """Images are large and only read: shared. The rest is written in place."""
        toolbox.run_quietly(['/usr/bin/cp', '-a', '--link', base, new], self.log)
        shutil.rmtree(os.path.join(new, '.local', 'state'))
        toolbox.run_quietly(['/usr/bin/cp', '-a', os.path.join(base, '.local', 'state'),
                             os.path.join(new, '.local')], self.log)
