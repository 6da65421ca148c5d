# SPDX-License-Identifier: LGPL-2.1-or-later
"""A VM belongs to nobody who can end: it outlives each of banger's processes, and obeys who comes after them."""

import json
import pathlib
import re
import unittest

import machine

BOOT_ID = '/proc/sys/kernel/random/boot_id'
HELPER, JAIL = 'banger-helper.service', 'banger-jail.service'
# As in tools/stack and README: the jails' uids lie far outside what anybody else uses.
FIRST_UID, LAST_UID = 2013265920, 2013331455

host = machine.make()
# The one lingers, the other comes and goes.
dev2, dev = machine.User(host, 'dev2'), machine.User(host, 'dev')


def banger(*words, user=dev2, way='manager'):
    return user.must(way, 'banger', *words)


def boot_id(vm='box', **how):
    return banger('vm', 'exec', vm, '--', 'cat', BOOT_ID, **how)


def show(vm='box', **how):
    return json.loads(banger('--json', 'vm', 'show', vm, **how))


def scope(user=dev2, **how):
    return f'banger-vm-{user.uid}-{show(user=user, **how)["id"]}.scope'


def setUpModule():
    host.boot()
    unittest.addModuleCleanup(host.show_journal)
    dev2.linger()
    banger('vm', 'run', '-d', '--network', 'host', '--name', 'box')


class Successors(unittest.TestCase):
    def setUp(self):
        self.before = boot_id()

    def tearDown(self):
        self.assertEqual(boot_id(), self.before)
        self.assertEqual(show()['state'], 'running')
        self.assertEqual(host.state(scope()), 'active')
        # A new bangerd asks the helper, and that the jail, for what the old one had.
        machine.kill(machine.pid_of('bangerd', dev2.uid))
        self.assertEqual(boot_id(), self.before)

    def test_bangerd_when_killed_then_its_successor_has_the_machine(self):
        machine.kill(machine.pid_of('bangerd', dev2.uid))

    def test_bangerd_when_restarted_then_its_successor_has_the_machine(self):
        dev2.must('manager', 'systemctl', '--user', 'restart', 'bangerd.service')

    def test_helper_when_killed_then_its_successor_has_the_machine(self):
        host.kill(HELPER)

    def test_helper_when_restarted_then_its_successor_has_the_machine(self):
        host.must('systemctl', 'restart', HELPER)

    def test_jail_when_killed_then_its_successor_makes_others(self):
        host.must('systemctl', 'start', JAIL)
        host.kill(JAIL)
        self.assertEqual(banger('vm', 'run', '--rm', '--', 'echo', 'another'), 'another\n')

    def test_jail_when_stopped_with_its_socket_then_helper_has_it_started(self):
        host.must('systemctl', 'stop', 'banger-jail.socket', JAIL, HELPER)
        self.assertEqual(banger('vm', 'run', '--rm', '--', 'echo', 'another'), 'another\n')

    def test_all_when_killed_at_once_then_their_successors_have_the_machine(self):
        host.must('systemctl', 'start', JAIL)
        host.kill(JAIL)
        host.kill(HELPER)
        machine.kill(machine.pid_of('bangerd', dev2.uid))

    def test_systemd_when_it_reexecutes_then_the_scope_stays(self):
        host.must('systemctl', 'daemon-reexec')
        host.must('systemctl', 'daemon-reload')
        dev2.must('manager', 'systemctl', '--user', 'daemon-reexec')


class Scope(unittest.TestCase):
    def test_scope_when_a_machine_runs_then_in_the_slice_with_its_limits(self):
        name = scope()
        self.assertEqual(host.show(name, 'Slice'), 'banger.slice')
        self.assertEqual(host.show(name, 'TasksMax'), '512')
        self.assertGreater(int(host.show(name, 'MemoryMax')), 1 << 30)
        # The administrator's one place to say how much all of them may have.
        host.must('systemctl', 'set-property', '--runtime', 'banger.slice', 'CPUQuota=190%', 'MemoryMax=16G')
        self.assertEqual(host.show('banger.slice', 'CPUQuotaPerSecUSec'), '1.900000s')

    def test_processes_when_a_machine_runs_then_all_are_in_its_scope_and_have_nothing(self):
        pids = host.pids(scope())
        self.assertEqual(sorted(machine.read_status(pid)['Name'] for pid in pids), ['banger-jail', 'qemu-system-x86'])
        for pid in pids:
            status = machine.read_status(pid)
            uids = {int(uid) for uid in status['Uid'].split()}
            self.assertEqual(len(uids), 1)
            self.assertTrue(FIRST_UID <= uids.pop() <= LAST_UID)
            self.assertEqual([int(status[name], 16) for name in ('CapEff', 'CapPrm', 'CapBnd')], [0, 0, 0])
            self.assertEqual(status['NoNewPrivs'], '1')

    def test_scope_when_an_administrator_stops_it_then_bangerd_says_that_it_ended(self):
        banger('vm', 'run', '-d', '--name', 'stopped')
        vm = show('stopped')['id']
        host.must('systemctl', 'stop', f'banger-vm-{dev2.uid}-{vm}.scope')
        # It waits for the end, of which systemd heard first.
        self.assertNotEqual(dev2.run('manager', 'banger', 'vm', 'exec', 'stopped', '--', 'true').returncode, 0)
        banger('vm', 'delete', '-f', 'stopped')
        self.assertNotIn(vm, dev2.must('manager', 'busctl', 'call', 'org.banger.Helper', '/org/banger/Helper',
                                       'org.banger.Helper', 'ListResources'))


class Sandbox(unittest.TestCase):
    def exposure(self, unit):
        text = host.must('systemd-analyze', 'security', '--no-pager', unit)
        return float(text.rsplit('exposure level for', 1)[1].split(':')[1].split()[0])

    def test_units_when_asked_how_exposed_then_within_their_bounds(self):
        for unit, bound in (HELPER, 2.6), (JAIL, 3.3):
            exposure = self.exposure(unit)
            print(f'# exposure of {unit}: {exposure}', flush=True)
            self.assertLessEqual(exposure, bound)

    def test_units_when_verified_then_systemd_has_nothing_to_say(self):
        units = '/usr/lib/systemd/system/'
        done = host.run('systemd-analyze', 'verify', '--man=no', units + HELPER, units + JAIL,
                        units + 'banger-jail.socket', units + 'banger.slice')
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ''))
        done = dev2.run('manager', 'systemd-analyze', '--user', 'verify', '--man=no',
                        '/usr/lib/systemd/user/bangerd.service')
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ''))

    def test_probe_when_the_unit_may_not_make_the_node_then_emulated_and_not_broken(self):
        host.must('mkdir', '-p', f'/run/systemd/system/{JAIL}.d')
        host.write(f'/run/systemd/system/{JAIL}.d/no-kvm.conf', '[Service]\nDeviceAllow=\nDeviceAllow=/dev/null rwm\n'
                   'DeviceAllow=/dev/urandom rwm\n')
        host.must('systemctl', 'daemon-reload')
        host.must('systemctl', 'restart', JAIL)
        # Not there where a busy host left the probe in doubt.
        host.must('rm', '-f', '/run/banger-helper/kvm')
        machine.kill(machine.pid_of('bangerd', dev2.uid))
        try:
            self.assertEqual(banger('vm', 'run', '--rm', '--', 'echo', 'emulated'), 'emulated\n')
        finally:
            host.must('rm', '-r', f'/run/systemd/system/{JAIL}.d')
            host.must('systemctl', 'daemon-reload')
            host.must('systemctl', 'restart', JAIL)

    def test_ageing_when_an_administrator_wants_run_aged_then_what_runs_is_left_out(self):
        aged = '/var/tmp/aged'
        host.must('mkdir', '-p', f'{aged}/usr/lib/tmpfiles.d', f'{aged}/run/other')
        host.must('cp', '/usr/lib/tmpfiles.d/banger.conf', f'{aged}/usr/lib/tmpfiles.d')
        host.write(f'{aged}/usr/lib/tmpfiles.d/run.conf', 'e /run - - - 0\n')
        host.must('cp', '-a', '/run/banger-helper', '/run/banger-jail', f'{aged}/run')
        host.must('touch', f'{aged}/run/other/file')
        before = host.must('find', f'{aged}/run/banger-helper', f'{aged}/run/banger-jail')
        self.assertIn(show()['id'], before)
        host.must('systemd-tmpfiles', f'--root={aged}', '--clean')
        self.assertEqual(host.must('find', f'{aged}/run/banger-helper', f'{aged}/run/banger-jail'), before)
        self.assertNotEqual(host.run('stat', f'{aged}/run/other/file').returncode, 0)


class Sessions(unittest.TestCase):
    """What happens at the end of the session in which a machine was started."""

    def test_machine_when_its_user_logs_out_then_shut_down_and_starts_again(self):
        how = {'user': dev, 'way': 'ssh'}
        # Nothing syncs it but the guest's own shutdown.
        script = 'banger vm run -d --name box && banger vm exec box -- sh -c "echo kept > /srv/kept"'
        done = dev.run('ssh', 'sh', '-c', script)
        self.assertEqual((done.returncode, done.stdout), (0, 'box\n'), done.stderr)
        self.assertIn('loginctl enable-linger', done.stderr)
        host.wait_state(f'user@{dev.uid}.service', 'inactive')
        self.assertEqual(host.show(f'user@{dev.uid}.service', 'Result'), 'success')
        self.assertEqual([name for _, name, uid in machine.processes() if uid == dev.uid], [])
        self.assertEqual(host.must('systemctl', 'list-units', '--plain', '--no-legend', f'banger-vm-{dev.uid}-*'), '')
        self.assertEqual([show(**how)[key] for key in ('state', 'error')], ['stopped', ''])
        # Each command is a session of its own, and ends it.
        script = 'banger -q vm start box && banger vm exec box -- cat /srv/kept'
        self.assertEqual(dev.must('ssh', 'sh', '-c', script), 'kept\n')
        host.wait_state(f'user@{dev.uid}.service', 'inactive')
        banger('vm', 'delete', '-f', 'box', **how)

    def test_bangerd_when_its_user_lingers_then_log_out_is_nothing_to_it(self):
        pid = machine.pid_of('bangerd', dev2.uid)
        before = boot_id(way='ssh')
        self.assertEqual(machine.pid_of('bangerd', dev2.uid), pid)
        self.assertEqual(boot_id(way='ssh'), before)


class Refusal(unittest.TestCase):
    """A bangerd that cannot work says why at once, to everybody, and does not keep the next from trying."""

    STATE = f'/home/{dev.name}/.local/state/banger'

    def setUp(self):
        dev.linger()
        self.addCleanup(dev.linger, False)
        host.must('mv', self.STATE, self.STATE + '.kept')
        self.addCleanup(host.must, 'mv', self.STATE + '.kept', self.STATE)
        self.addCleanup(host.must, 'rm', '-r', self.STATE)
        dev.must('unit', 'mkdir', self.STATE)

    def test_state_when_damaged_then_every_caller_is_told_and_nobody_waits(self):
        dev.must('unit', 'tee', f'{self.STATE}/state-2.db', data='nonsense\n')
        clients = [dev.start('unit', 'banger', 'vm', 'list') for _ in range(10)]
        said = [client.communicate()[1].decode() for client in clients]
        self.assertEqual([text for text in said if 'file is not a database' not in text], [])
        done = dev.run('unit', 'busctl', '--user', 'call', 'org.banger.Manager', '/', 'org.banger.Manager', 'Whatever')
        self.assertIn('file is not a database', done.stderr)
        dev.must('unit', 'rm', f'{self.STATE}/state-2.db')
        self.assertEqual(dev.must('unit', 'banger', '--json', 'vm', 'list').strip(), '[]')
        dev.must('manager', 'systemctl', '--user', 'stop', 'bangerd.service')

    def test_home_when_not_writable_then_told_what_could_not_be_done(self):
        dev.must('unit', 'chmod', '500', self.STATE)
        self.assertIn('Permission denied', dev.run('unit', 'banger', 'vm', 'list').stderr)


class Idle(unittest.TestCase):
    def test_services_when_nothing_is_asked_then_gone_and_back_when_asked(self):
        before = boot_id()
        host.wait_state(HELPER, 'inactive')
        host.wait_state(JAIL, 'inactive')
        self.assertEqual([host.show(unit, 'Result') for unit in (HELPER, JAIL)], ['success', 'success'])
        self.assertEqual(boot_id(), before)
        self.assertEqual(host.state(HELPER), 'inactive')
        machine.kill(machine.pid_of('bangerd', dev2.uid))
        self.assertEqual(boot_id(), before)
        self.assertEqual(host.state(HELPER), 'active')
        self.assertEqual(banger('vm', 'run', '--rm', '--', 'echo', 'another'), 'another\n')


class Memory(unittest.TestCase):
    """What a bangerd costs that nobody asks anything; one machine runs beside."""

    PSS_MAX_KIB = 12 << 10

    def check(self, note):
        pid = machine.pid_of('bangerd', dev2.uid)
        text = pathlib.Path('/proc', str(pid), 'smaps_rollup').read_text(encoding='utf-8')
        sizes = {name: int(size) for name, size in re.findall(r'^(\w+): +(\d+) kB$', text, re.M)}
        print(f'# bangerd, {note}: PSS {sizes["Pss"]} KiB, of it its own {sizes["Pss_Anon"]} KiB', flush=True)
        self.assertLessEqual(sizes['Pss'], self.PSS_MAX_KIB)

    def test_bangerd_when_fresh_and_when_a_machine_was_run_then_within_12_mib(self):
        machine.kill(machine.pid_of('bangerd', dev2.uid))
        banger('vm', 'list')
        self.check('fresh')
        self.assertEqual(banger('vm', 'run', '--rm', '--', 'echo', 'another'), 'another\n')
        self.check('when a machine was run and deleted')


class Zz_Shutdown(unittest.TestCase):
    """Last, since it ends the machine."""

    def test_host_when_shut_down_then_guests_first_and_machines_start_again(self):
        # Nothing syncs it but the guest's own shutdown.
        banger('vm', 'exec', 'box', '--', 'sh', '-c', 'echo kept > /srv/kept')
        before = boot_id()
        self.assertIn('banger', host.must('systemd-inhibit', '--list', '--no-legend'))
        # A host's patience is shorter than a guest's last minute: the rest happens while all else goes down.
        host.write('/etc/systemd/logind.conf.d/impatient.conf', '[Login]\nInhibitDelayMaxSec=100ms\n')
        host.must('systemctl', 'restart', 'systemd-logind.service')
        with host.signals('org.freedesktop.login1') as signals:
            signals.wait_for(lambda: 'banger' in host.must('systemd-inhibit', '--list', '--no-legend'))
        host.must('systemctl', 'poweroff')
        self.assertEqual(host.process.wait(), 0)
        host.boot()
        journal = host.must('journalctl', '-b', '-1', '--no-pager', '-o', 'cat')
        # What systemd says where it had to wait, and then kill.
        self.assertNotIn("' timed out", journal)
        self.assertNotIn('Killing process', journal)
        self.assertIn('the host is about to go down: stopping 1 VMs', journal)
        self.assertEqual([show()[key] for key in ('state', 'error')], ['stopped', ''])
        banger('vm', 'start', 'box')
        self.assertNotEqual(boot_id(), before)
        self.assertEqual(banger('vm', 'exec', 'box', '--', 'cat', '/srv/kept'), 'kept\n')


if __name__ == '__main__':
    machine.tap.main()
