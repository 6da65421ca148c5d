# SPDX-License-Identifier: LGPL-2.1-or-later
"""A VMM that was taken over, in the jail that banger-helper and banger-jail make: what it tries, and what stops it.

The program in the VMM's place (vmm.c) tries; each attempt is a test, named after what stopped it. The launcher has the
capabilities of its unit and no other, since what root without bounds makes is no proof.
"""

import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'faults'))
import inside as faults  # noqa: E402
from gi.repository import GLib  # noqa: E402
from inside import tap  # noqa: E402

QEMU = pathlib.Path('/usr/bin/qemu-system-x86_64')
REAL = pathlib.Path('/usr/bin/banger-test-qemu')
HOSTILE = '/usr/src/banger-built-tests/hostile/hostile-vmm'
LIBRARIES = '/usr/lib/x86_64-linux-gnu'
DISKS = pathlib.Path('/srv/disks')
UNIT = pathlib.Path('/usr/lib/systemd/system/banger-jail.service')
CAPABILITIES = '/usr/include/linux/capability.h'
CALLS = '/usr/include/x86_64-linux-gnu/asm/unistd_64.h'
SIZE = 1 << 20
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
# Of those that end a VMM each, and need one each, every day another part; all of them where there is time.
SLICES = 16

# Outcome, and what stopped it.
SECCOMP, READ_ONLY, ABSENT = ('EPERM', 'seccomp'), ('EROFS', 'read-only mount'), ('ENOENT', 'absence')
MODE, LIMIT, SEALS, NO_DIRECTORY = ('EACCES', 'mode'), ('EFBIG', 'limit'), ('EPERM', 'seals'), ('ENOTDIR', 'absence')
FUTILE, OWN, NO_CAPABILITY = ('yes', 'pid namespace'), ('yes', 'nothing as its own'), ('EPERM', 'missing capability')
# What each group of attempts gets but for those named; how many there are, so that none gets lost. Older kernels have
# no handles by a connection.
GROUPS = {
    'paths': ([50], ABSENT, {'open /proc/self/(exe|fd/9)/../../etc/passwd': NO_DIRECTORY}),
    'files': ([42], SECCOMP, {
        'create without a name in .*': READ_ONLY, 'create /proc/.*': ABSENT, 'create /.*': READ_ONLY,
        'open to write (/proc/self/exe|/usr/bin/.*)': MODE, 'open to write /proc/.*': READ_ONLY,
        'descriptors': ('14, of these directories: 0', 'absence')}),
    'disks': ([28], SECCOMP, {
        '(map.*|open again.*|take the lease of) the read-only disk': MODE,
        'truncate the read-only disk': ('EINVAL', 'descriptor'),
        '(write|punch) the read-only disk': ('EBADF', 'descriptor'),
        '(write|truncate|punch|map to write) the kernel|seal the kernel anew': SEALS,
        '(map and.*|open again.*|take the lease of) the kernel': MODE, "write at the disk's end": OWN,
        "write behind the disk's end|make the disk longer|reserve more (plain|zeroed)": LIMIT}),
    'processes': ([59], SECCOMP, {
        'tgkill .*|have a pipe kill the first process': FUTILE, 'clone3': ('ENOSYS', 'seccomp'),
        'processes reached by number': ('0', 'pid namespace'), 'look at its locks': ('EPERM', 'not being dumpable')}),
    'handles': ([13, 1], SECCOMP, {
        'handles by a connection': ('yes|ENOPROTOOPT', 'nothing as of no use'),
        'number of the first process': ('1', 'pid namespace'), 'number of who writes': ('0', 'pid namespace')}),
    'rights': ([90], SECCOMP, {}),
    'sockets': ([12], SECCOMP, {
        'sockets had': ('0', 'seccomp'), "address of the agent's socket|become a listener twice": OWN,
        'its address': ('abstract', 'network namespace'), 'send to the system bus': ('EOPNOTSUPP', 'kind of socket'),
        "send root's credentials|force a buffer|mark packets": NO_CAPABILITY,
        'load a filter by number': ('EINVAL', 'absence')}),
    # An earlier VM of the same uid may be counted until its first process has been reaped.
    'resources': ([4], SECCOMP, {
        'threads': ('(8[0-9]|9[0-5]), then EAGAIN', 'limit'), 'highest descriptor': ('1023, then EMFILE', 'limit'),
        'timers': ('256, then EAGAIN', 'limit'), 'memory': ('bounded, then ENOMEM', 'limit')}),
    'conditions': ([14], SECCOMP, {
        'allowed clones without a thread': ('0', 'seccomp'), 'read a limit': OWN,
        'thread in a namespace 0x[12]0000000': ('EINVAL', 'being a thread'),
        'thread in a namespace .*': NO_CAPABILITY}),
}
# Rows of the list of what broke elsewhere.
KNOWN = {'t14': 'bind to it|connect the agent.*|its address', 't35': 'ioctl TIOC(STI|LINUX)|open /dev/(tty|ptmx)',
         't33': 'open /run/banger-jail|create .*'}
# What the filter is meant to let through, by name; of others the arguments decide, and -1 is none of theirs.
ALLOWED = set("""
    read write readv writev pread64 pwrite64 preadv pwritev close lseek dup dup2 dup3 fcntl pipe2 openat open access
    faccessat faccessat2 stat fstat lstat newfstatat statx readlink readlinkat getdents64 getcwd statfs fstatfs umask
    munmap mprotect mremap madvise brk mincore membarrier poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait
    epoll_pwait eventfd2 signalfd4 rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigpending rt_sigsuspend
    sigaltstack tgkill futex set_robust_list get_robust_list rseq set_tid_address gettid getpid getppid getuid geteuid
    getgid getegid sched_yield sched_getaffinity clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time
    getrandom uname sysinfo getrusage arch_prctl restart_syscall exit exit_group getcpu clone getrlimit execve seccomp
    accept4 accept listen recvmsg sendmsg recvfrom sendto shutdown getsockname getpeername getsockopt setsockopt
    fdatasync fsync ftruncate sync_file_range timerfd_create timerfd_settime timer_create timer_settime timer_gettime
    timer_delete""".split())
# PR_SET_NAME, PR_GET_SECCOMP, PR_SET_TIMERSLACK, PR_SET_NO_NEW_PRIVS; TCGETS, FIONREAD, FIONBIO.
ARGUMENTS = ['allowed prctl 15', 'allowed prctl 21', 'allowed prctl 29', 'allowed prctl 38',
             'allowed ioctl 0x5401', 'allowed ioctl 0x541b', 'allowed ioctl 0x5421']
# uretprobe and uprobe.
PROBES = 335, 336


def numbers(path, pattern):
    return {name: int(number) for name, number in re.findall(pattern, pathlib.Path(path).read_text())}


def status(pid):
    lines = pathlib.Path(f'/proc/{pid}/status').read_text().splitlines()
    return dict(line.split(':\t', 1) for line in lines if ':\t' in line)


def replace(source, target):
    """As a new file: what runs goes on."""
    target.unlink(missing_ok=True)
    shutil.copy2(source, target)
    os.chown(target, 0, 0)


def sealed(content):
    fd = os.memfd_create('kernel', os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(fd, content)
    os.fchmod(fd, 0o444)
    faults.fcntl.fcntl(fd, faults.fcntl.F_ADD_SEALS, 0xf)
    return fd


def disk(name, flags, fresh=False):
    """Of the user, as its bangerd opens one."""
    path = DISKS / name
    if fresh or not path.exists():
        path.write_bytes(bytes(SIZE))
        path.chmod(0o600)
        os.chown(path, faults.DEV, faults.DEV)
    return os.open(path, flags | os.O_CLOEXEC)


class Rig:
    """A caller and what it launches VMs with."""

    def __init__(self, kernel=b'x', own='writable'):
        self.caller = faults.Caller(faults.DEV)
        self.descriptors = [sealed(kernel), faults.memfd('initramfs'), disk('read-only', os.O_RDONLY),
                            disk(own, os.O_RDWR, fresh=True)]

    def close(self):
        self.caller.connection.close_sync(None)
        for fd in self.descriptors:
            os.close(fd)


class Vm:
    """One that the helper launched; what its VMM says."""

    def __init__(self, letter='a', rig=None):
        self.id, self.rig = letter * 32, rig or RIG

    def launch(self):
        arguments = GLib.Variant('(sssbutshhahah)',
                                 (self.id, '', 'qemu-microvm', False, 1, 128 << 20, 'quiet', 0, 1, [2, 3], []))
        error, text = self.rig.caller.call('LaunchVmm', arguments, self.rig.descriptors)
        assert error is None, text
        return self.take()

    def take(self):
        """The latest connections."""
        fds, self.rig.caller.fds = self.rig.caller.fds, []
        self.control, self.agent, self.console = (socket.socket(fileno=fd) for fd in fds[:3])
        self.process = fds[3]
        return self

    def drop(self):
        for sock in self.control, self.agent, self.console:
            sock.close()
        os.close(self.process)

    def call(self, method, *more):
        return self.rig.caller.call(method, GLib.Variant('(ss' + ('u' if more else '') + ')', (self.id, '', *more)))

    def open(self):
        error, text = self.call('OpenVmm')
        if error is None:
            self.drop()
            self.take()
        return error, text

    def release(self):
        """How it ended, as the helper tells."""
        self.drop()
        error, values = self.call('ReleaseVM')
        assert error is None, values
        return values[0]

    def ask(self, line):
        """What it says up to an empty line, or its end."""
        self.control.sendall(line.encode() + b'\n')
        text = b''
        while not text.endswith(b'\n\n') and text != b'\n':
            part = self.control.recv(1 << 20)
            if not part:
                break
            text += part
        # Descriptors come with a byte of their own.
        return text.decode().lstrip(' ').splitlines()[:-1]

    def attempts(self, group):
        """(what, outcome) of each; what is left of a set where each was tried is looked at elsewhere."""
        if group == 'handles':
            self.ask('want')
            self.agent.sendall(b'x')
        lines = [line for line in self.ask(group) if not re.match('allowed (prctl|ioctl) ', line)]
        return [tuple(line.partition(': ')[::2]) for line in lines]

    def warden(self):
        """The first process of its jail, by its number here."""
        fields = pathlib.Path(f'/proc/self/fdinfo/{self.process}').read_text()
        return int(re.search(r'^Pid:\t(\d+)$', fields, re.M).group(1))


def start_launcher():
    """As its unit would: by its socket, and with its capabilities. The process, and the set."""
    unit = UNIT.read_text()
    known = numbers(CAPABILITIES, r'#define (CAP_[A-Z_]+)\s+(\d+)\n')
    kept = {known[name] for name in re.search(r'^CapabilityBoundingSet=(.+)$', unit, re.M).group(1).split()}
    program = re.search(r'^ExecStart=(\S+)', unit, re.M).group(1)
    faults.JAILS.mkdir(mode=0o700, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(faults.JAILS / 'socket'))
    listener.listen(16)
    pid = os.fork()
    if pid == 0:
        libc = ctypes.CDLL(None)
        for capability in range(64):
            if capability not in kept:
                libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        os.execve(program, [program], {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'})
    listener.close()
    return pid, sum(1 << capability for capability in kept)


class Jail(unittest.TestCase):
    def setUp(self):
        self.vm = Vm().launch()

    def tearDown(self):
        if self.vm:
            self.vm.release()

    def release(self):
        vm, self.vm = self.vm, None
        return vm.release()


class Seen(Jail):
    def test_files_when_all_are_looked_at_then_the_jails_own_and_none_to_write(self):
        lines = self.vm.ask('walk')
        own = ['/dev 40755 0', '/dev/null 20666 0', '/dev/urandom 20444 0', '/lib 120777 0', '/lib64 120777 0',
               '/proc 40555 0', '/usr 40755 0', '/usr/bin 40755 0', '/usr/bin/qemu-system-x86_64 100755 0',
               '/usr/lib 40755 0', '/usr/lib64 40755 0', '/usr/share 40755 0', '/usr/share/qemu 40755 0',
               '/usr/share/seabios 40755 0']
        self.assertEqual(sorted(line[6:] for line in lines if line.startswith('there ')), own)
        self.assertEqual([line for line in lines if not line.startswith('there ')],
                         ['writable /dev/null', 'looked at many'])

    def test_mounts_when_told_then_of_the_host_only_what_is_shown(self):
        shown = {LIBRARIES, '/usr/lib64', '/usr/share/qemu', '/usr/share/seabios', str(QEMU)}
        mounts = [line.split()[4:7] for line in self.vm.ask('mounts')]
        self.assertEqual({target for _, target, _ in mounts}, shown | {'/', '/proc', '/dev'})
        for root, target, options in mounts:
            self.assertIn(root, ('/', target))
            self.assertTrue({'ro', 'nosuid'} <= set(options.split(',')), target)
            self.assertTrue('nodev' in options or target == '/dev')

    def test_launcher_when_started_then_it_has_its_units_capabilities_alone(self):
        pid, kept = LAUNCHER
        self.assertEqual(int(status(pid)['CapBnd'], 16), kept)
        self.assertEqual(status(pid)['NoNewPrivs'], '1')

    def test_t33_directory_and_uid_when_run_then_roots_alone_and_the_vms_alone(self):
        self.assertEqual((faults.JAILS.stat().st_uid, faults.JAILS.stat().st_mode & 0o7777), (0, 0o700))
        other = Vm('b').launch()
        uids = {status(vm.warden())['Uid'] for vm in (self.vm, other)}
        other.release()
        self.assertEqual(len(uids), 2)
        for uid in uids:
            self.assertEqual(len(set(uid.split())), 1)
            self.assertNotIn(int(uid.split()[0]), (0, faults.DEV))


class Calls(Jail):
    def test_calls_when_every_number_is_tried_then_only_those_meant_are_let_through(self):
        names = {number: name for name, number in numbers(CALLS, r'#define __NR_(\w+) (\d+)').items()}
        wrong, outcomes = [], dict(self.vm.attempts('calls'))
        # But for those that end the caller.
        self.assertEqual(len(outcomes), 1024 - 5)
        for what, outcome in outcomes.items():
            name = names.get(int(what.split()[1]), '-')
            if name != '-':
                faults.log(f'{what} {name}: {outcome}')
            if name == 'clone3':
                good = outcome == 'ENOSYS'
            else:
                good = (outcome == 'EPERM') == (name not in ALLOWED)
            wrong += [] if good else [f'{what} {name}: {outcome}']
        self.assertEqual(wrong, [])

    def test_arguments_when_every_one_is_tried_then_only_those_meant_are_let_through(self):
        lines = self.vm.ask('conditions')
        self.assertEqual([line for line in lines if re.match('allowed (prctl|ioctl) ', line)], ARGUMENTS)

    def test_calls_when_of_other_conventions_then_killed(self):
        cases = [(kind, number) for kind, last in (('x32', 548), ('i386', 470)) for number in range(last)]
        step = 1 if os.environ.get('BANGER_LONG') else SLICES
        first = int(os.environ.get('BANGER_SLICE', time.time() // 86400)) % step
        wrong = []
        for kind, number in cases[first::step]:
            vm = Vm('c').launch()
            said, ended = vm.ask(f'foreign {kind} {number}'), vm.release()
            if said or ended != f'signal {signal.SIGSYS.value}':
                wrong.append(f'{kind} {number}: {said}, {ended}')
        faults.log(f'{len(cases[first::step])} of {len(cases)} tried, slice {first} of {step} (BANGER_SLICE)')
        self.assertEqual(wrong, [])

    def test_calls_when_they_pass_every_filter_then_they_end_the_caller(self):
        for number in PROBES:
            vm = Vm('c').launch()
            said, ended = vm.ask(f'foreign native {number}'), vm.release()
            self.assertIn((said, ended), (([], f'signal {signal.SIGILL.value}'), (['came back with -1'], 'signal 9')))

    def test_setuid_program_when_executed_then_it_gains_nothing(self):
        program = pathlib.Path(LIBRARIES, 'banger-test-setuid')
        replace(HOSTILE, program)
        program.chmod(0o6755)
        self.addCleanup(program.unlink)
        self.assertEqual(self.vm.ask(f'setuid {program}'), ['euid its own'])
        self.assertEqual(self.release(), 'exit 0')


class FirstProcess(Jail):
    """What stands beside the VMM in its jail and has the same uid."""

    def check_serves(self):
        self.assertIsNone(self.vm.open()[0])
        self.assertEqual(self.vm.ask('nothing'), ['is here'])

    def test_attacked_when_by_all_means_then_it_serves_on(self):
        for group in 'processes', 'handles':
            self.vm.attempts(group)
        self.check_serves()

    def count_descriptors(self):
        """Of its own: it has taken what came before, and closed what it gave away."""
        self.check_serves()
        self.assertEqual(self.vm.call('SignalVmm', signal.SIGHUP), (None, ()))
        return len(os.listdir(f'/proc/{self.vm.warden()}/fd'))

    def test_descriptors_when_passed_to_it_then_dropped(self):
        self.vm.ask('ignore')
        before = self.count_descriptors()
        for _ in range(3):
            self.vm.ask('pass')
        self.assertEqual(self.count_descriptors(), before)

    def stop(self):
        """As somebody of its own uid would who is outside: nobody is."""
        pid = self.vm.warden()
        uid = int(status(pid)['Uid'].split()[0])
        child = os.fork()
        if child == 0:
            os.setresuid(uid, uid, uid)
            os.kill(pid, signal.SIGSTOP)
            os._exit(0)
        self.assertEqual(os.waitpid(child, 0)[1], 0)

    def test_stopped_when_it_should_answer_then_given_up_and_released_all_the_same(self):
        self.stop()
        for method, *more in ('OpenVmm',), ('SignalVmm', signal.SIGTERM):
            error, text = self.vm.call(method, *more)
            self.assertEqual(error, 'org.banger.Error.Failed')
            self.assertIn('timed out', text)
        self.assertEqual(self.release(), 'failed')

    def test_exit_file_when_it_holds_nonsense_then_unknown(self):
        path = next(faults.JAILS.glob(f'*-{self.vm.id}.exit'))
        os.kill(self.vm.warden(), signal.SIGKILL)
        path.write_text('exit 0\x1b[2J\n')
        self.assertEqual(self.release(), 'unknown')


class Vmm(Jail):
    def test_t45_signals_when_ignored_then_it_is_ended_all_the_same(self):
        self.vm.ask('ignore')
        for number in signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT:
            self.assertEqual(self.vm.call('SignalVmm', number), (None, ()))
        self.assertEqual(self.vm.ask('nothing'), ['is here'])
        self.assertEqual(self.release(), 'signal 9')

    def test_stopped_by_itself_when_released_then_gone(self):
        self.vm.ask('stop')
        self.assertIsNone(self.vm.open()[0])
        self.assertEqual(self.release(), 'signal 9')

    def test_sockets_when_closed_then_open_says_so_and_release_works(self):
        self.vm.ask('close')
        error, text = self.vm.open()
        while error is None:
            error, text = self.vm.open()
        self.assertEqual(error, 'org.banger.Error.Failed')
        self.assertIn('Connection refused', text)
        self.assertEqual(self.release(), 'signal 9')

    def test_connections_when_never_accepted_then_open_says_so_and_release_works(self):
        self.vm.ask('stop')
        for _ in range(16):
            error, text = self.vm.open()
            if error:
                break
        self.assertEqual(error, 'org.banger.Error.Failed')
        self.assertIn('temporarily unavailable', text)
        self.assertEqual(self.release(), 'signal 9')

    def test_end_when_unasked_then_told_how(self):
        self.vm.ask('exit 7')
        self.assertEqual(self.release(), 'exit 7')


def small_kernel():
    """What QEMU takes for a Linux kernel, and no processor for long."""
    setup = bytearray(1024)
    setup[0x1f1], setup[0x202:0x208], setup[0x211] = 1, b'HdrS\x0f\x02', 1
    # How high its initramfs may lie: else QEMU gives up, at times before it has said anything.
    setup[0x22c:0x230] = b'\xff\xff\xff\x7f'
    return bytes(setup) + b'\xf4' * 4096


class Two(unittest.TestCase):
    """Of one user, and of one image: the one must be nothing to the other."""

    def test_disk_when_one_locks_it_then_the_other_starts(self):
        rig = Rig(small_kernel(), 'other')
        self.addCleanup(rig.close)
        hostile, other = Vm('a').launch(), Vm('b', rig)
        self.addCleanup(hostile.release)
        self.assertEqual(hostile.ask('locks'), ['lock the shared disk: yes'])
        replace(REAL, QEMU)
        self.addCleanup(replace, HOSTILE, QEMU)
        other.launch()
        greeting = b''
        with contextlib.suppress(ConnectionResetError):
            greeting = other.control.recv(4096)
        said = b'' if greeting else other.console.recv(4096)
        other.release()
        self.assertIn(b'"QMP"', greeting, said)


class Zz(unittest.TestCase):
    def test_world_when_all_is_over_then_as_before(self):
        now = faults.world()
        # Our own of the last connection go when its thread does.
        for what in set(BEFORE) - {'descriptors'}:
            self.assertEqual(now[what], BEFORE[what])
        self.assertNotIn('qemu-system-x86', faults.processes().values())


def slug(text):
    return re.sub(r'[^a-z0-9]+', '_', text.lower()).strip('_')


def make_attempt(group, what, outcome):
    """The name of one attempt's test, which says what stopped it, and the test."""
    _, usual, others = GROUPS[group]
    wanted, by = next((value for pattern, value in others.items() if re.fullmatch(pattern, what)), usual)
    row = next((f'{row}_' for row, pattern in KNOWN.items() if re.fullmatch(pattern, what)), '')

    def test(self):
        faults.log(f'{what}: {outcome} ({by})')
        self.assertRegex(outcome, f'^({wanted})$', what)
    return f'test_{row}{slug(what)}_when_tried_then_stopped_by_{slug(by)}', test


def make_attempts(group, results):
    """A test of each attempt; it has been made already."""
    def test_count(self):
        self.assertIn(len(results), GROUPS[group][0])
    members = dict(make_attempt(group, what, outcome) for what, outcome in results)
    members['test_attempts_when_counted_then_none_is_missing'] = test_count
    return type(group.capitalize(), (unittest.TestCase,), members)


if __name__ == '__main__':
    replace(QEMU, REAL)
    replace(HOSTILE, QEMU)
    LAUNCHER, RIG = start_launcher(), Rig()
    Vm().launch().release()
    BEFORE = faults.world()
    for GROUP in GROUPS:
        ATTEMPTING = Vm().launch()
        globals()[GROUP.capitalize()] = make_attempts(GROUP, ATTEMPTING.attempts(GROUP))
        ATTEMPTING.release()
    tap.main()
