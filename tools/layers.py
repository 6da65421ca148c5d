# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may include whom: one row per directory of src/. Data goes down, nobody calls upward."""

import re
from typing import NamedTuple

# <header> by the library it belongs to; what is in no line is the C library's or the kernel's.
LIBRARIES = {
    'GLib': r'(glib|gio|gmodule|gobject)(-unix|-object)?(\.h|/.*)|json-glib/.*|libsoup/.*|polkit.*',
    'sd-bus': r'systemd/.*',
    'libarchive': r'archive(_entry)?\.h',
    'libext2fs': r'(ext2fs|et|e2p)/.*|com_err\.h',
    'SQLite': r'sqlite3\.h',
    'netlink': r'netlink/.*|nftables/.*|libmnl/.*|libnftnl/.*',
    'ldns': r'ldns/.*',
    'device mapper': r'libdevmapper\.h',
    'GnuTLS': r'gnutls/.*|nettle/.*',
    'no layer': r'(openssl|seccomp|zstd|zlib|lzma|lz4|libmount|blkid|curl)([./].*)?',
}
IO_HEADERS = re.compile(r'(fcntl|unistd|dirent|poll|time|signal|pthread|sched|termios|ftw|glob|mntent|spawn)\.h'
                        r'|(sys/(?!types\.h|param\.h|cdefs\.h)|net/|netinet/|linux/).*')
IO_BASE = ('shared/base/clock.h', 'shared/base/fd-util.h', 'shared/base/io-util.h', 'shared/base/log.h',
           'shared/base/sandbox.h', 'shared/base/signal-util.h')

# Made in the build directory; each belongs to the layer that may see it.
GENERATED = {
    'op-wire.h': 'helper/op-wire.h',
    'op-wire-bus.h': 'helper/bus.h',
    'helper-calls.h': 'generated/helper-calls.h',
    'banger-dbus.h': 'generated/banger-dbus.h',
}


class Layer(NamedTuple):
    """What the files below `path` may include: ours by how its path begins, libraries by name."""
    path: str
    ours: tuple
    libraries: tuple = ()
    without: tuple = ()  # ours after all not
    pure: bool = False  # no header that does I/O
    kernel: bool = True  # <linux/…>

    def trouble(self, include):
        """What is wrong with one include, or None."""
        return self._system_trouble(include.path) if include.system else self._own_trouble(include.path)

    def _system_trouble(self, path):
        for library, pattern in LIBRARIES.items():
            if re.fullmatch(pattern, path):
                return None if library in self.libraries else f'<{path}> of {library}'
        if (self.pure and IO_HEADERS.fullmatch(path)) or (not self.kernel and path.startswith('linux/')):
            return f'<{path}>, and has no effects of its own'
        return None

    def _own_trouble(self, path):
        path = GENERATED.get(path, path)
        if '/' not in path or path.startswith('..'):
            return None  # not by directory: another rule's
        if not path.startswith(self.ours) or path in self.without:
            return f'"{path}", which is not below it'
        return None


SERVICE = tuple(f'service/{d}/' for d in ('base', 'ports', 'engine', 'manager', 'adapters', 'bus'))
BASE, PORTS, ENGINE, MANAGER, ADAPTERS, BUS = SERVICE

# The longest path that fits is the layer.
LAYERS = (
    Layer('src/shared/base', ('shared/base/',)),
    Layer('src/shared/rules', ('shared/base/', 'shared/rules/'), without=IO_BASE, pure=True),
    Layer('src/agent', ('shared/', 'agent/')),
    Layer('src/jail', ('shared/', 'jail/')),
    Layer('src/image', ('shared/', 'image/'), ('libarchive', 'libext2fs', 'GnuTLS')),
    Layer('src/boot', ('shared/', 'boot/'), ('GLib', 'libarchive')),
    Layer('src/update', ('shared/', 'update/'), ('GLib', 'libarchive', 'GnuTLS')),
    Layer('src/helper', ('shared/', 'helper/'), ('sd-bus',)),
    Layer('src/helper/ops',
          ('shared/', 'helper/op', 'helper/ledger.h', 'helper/descriptor.h', 'helper/kernel/kernel.h'), kernel=False),
    Layer('src/helper/kernel', ('shared/', 'helper/kernel/'), ('netlink', 'device mapper')),
    Layer('src/service/base', ('shared/', BASE), ('GLib',)),
    Layer('src/service/ports', ('shared/', BASE, PORTS), ('GLib',)),
    Layer('src/service/engine', ('shared/', BASE, PORTS, ENGINE), ('GLib',)),
    Layer('src/service/manager', ('shared/', BASE, PORTS, ENGINE, MANAGER), ('GLib', 'SQLite')),
    Layer('src/service/adapters',
          ('shared/', 'image/', 'boot/', 'update/', 'generated/helper-calls.h', BASE, PORTS, ADAPTERS),
          ('GLib', 'libarchive', 'GnuTLS', 'ldns')),
    Layer('src/service/bus',
          ('shared/', 'generated/banger-dbus.h', BASE, PORTS, ENGINE, MANAGER, BUS), ('GLib',)),
    Layer('src/service', ('shared/', 'image/', 'boot/', 'update/', 'generated/', *SERVICE), ('GLib',)),
    Layer('src/client', ('shared/', 'client/', 'service/base/', 'update/', 'generated/'), ('GLib', 'sd-bus')),
)


def of(path):
    """The layer of a file, or None."""
    fitting = [layer for layer in LAYERS if path.startswith(layer.path + '/')]
    return max(fitting, key=lambda layer: len(layer.path), default=None)
