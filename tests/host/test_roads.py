# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may run a VM on an installed machine, by which way in, and how it is driven without the command line."""

import json
import os
import pathlib
import re
import unittest

import machine

SOURCE = pathlib.Path(os.environ['BANGER_SOURCE'])
MANAGER = ['org.banger.Manager', '/org/banger/Manager']
HELPER = ['org.banger.Helper', '/org/banger/Helper', 'org.banger.Helper']
LAUNCH = 'org.banger.helper.launch-vmm'
UNAME = ['banger', 'vm', 'run', '--rm', '--', 'uname', '-a']
DENY = 'polkit.addRule(function(action, subject) {{ if (action.id == "{}") return polkit.Result.NO; }});\n'
ALLOW = """\
polkit.addRule(function(action, subject) {
    if (action.id.indexOf("org.banger.helper.") == 0 && subject.user == "outsider")
        return polkit.Result.YES;
});
"""

host = machine.make()
dev, dev2, outsider = (machine.User(host, name) for name in machine.PEOPLE)


def setUpModule():
    host.boot()
    unittest.addModuleCleanup(host.show_journal)
    dev2.linger()
    outsider.linger()
    # Started, so that it says when it has read a rule.
    host.must('pkaction', '--action-id', LAUNCH)


def gdbus(user, way, path, method, *arguments, bus='--session', name=MANAGER[0]):
    return user.run(way, 'gdbus', 'call', bus, '--timeout', '300', '--dest', name, '--object-path', path, '--method',
                    method, *arguments)


def busctl(user, way, path, interface, method, *arguments):
    """What the method returns."""
    text = user.must(way, 'busctl', '--user', '--json=short', '--timeout=300', 'call', MANAGER[0], path, interface,
                     method, *arguments)
    return json.loads(text)['data'] if text else None


class Member(unittest.TestCase):
    def check(self, user, way):
        done = user.run(way, *UNAME)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r'\ALinux vm-[0-9a-f]+ [^\n]+\n\Z')

    def test_member_when_at_the_console_then_runs_a_machine(self):
        self.check(dev, 'console')

    def test_member_when_over_ssh_then_runs_a_machine(self):
        self.check(dev, 'ssh')

    def test_member_when_in_a_unit_of_the_user_manager_then_runs_a_machine(self):
        self.check(dev2, 'manager')

    def test_member_when_lingering_without_a_session_then_runs_a_machine(self):
        self.check(dev2, 'unit')

    def test_member_when_there_is_no_session_bus_then_told_what_is_missing(self):
        done = host.run(*machine.RUN, f'--uid={dev.name}', '--', *UNAME)
        self.assertEqual(done.returncode, 125)
        self.assertIn('there is no session bus', done.stderr)


class Buses(unittest.TestCase):
    def test_busctl_when_used_alone_then_drives_a_machine_from_creation_to_deletion(self):
        def wait(job):
            busctl(dev2, 'manager', job, 'org.banger.Job', 'Wait')

        def state():
            text = dev2.must('manager', 'busctl', '--user', 'get-property', MANAGER[0], vm, 'org.banger.VM', 'State')
            return json.loads(text.split()[1])

        vm, job = busctl(dev2, 'manager', MANAGER[1], MANAGER[0], 'CreateVM', 'a{sv}', '2', 'name', 's', 'bus',
                         'start', 'b', 'true')
        wait(job)
        self.assertEqual(state(), 'running')
        self.assertEqual(dev2.must('manager', 'banger', 'vm', 'exec', 'bus', '--', 'uname'), 'Linux\n')
        for method, then in ('Stop', 'stopped'), ('Start', 'running'):
            wait(busctl(dev2, 'manager', vm, 'org.banger.VM', method, 'a{sv}', '0')[0])
            self.assertEqual(state(), then)
        wait(busctl(dev2, 'manager', vm, 'org.banger.VM', 'Delete', 'a{sv}', '1', 'force', 'b', 'true')[0])
        self.assertNotIn(vm, dev2.must('manager', 'busctl', '--user', 'tree', MANAGER[0]))

    def test_gdbus_when_used_alone_then_drives_a_machine_from_creation_to_deletion(self):
        def call(path, method, *arguments):
            return re.findall(r"'(/[^']+)'", machine.checked(gdbus(dev2, 'manager', path, method, *arguments)))

        vm, job = call(MANAGER[1], 'org.banger.Manager.CreateVM', "{'name': <'gdbus'>, 'start': <true>}")
        call(job, 'org.banger.Job.Wait')
        self.assertEqual(dev2.must('manager', 'banger', 'vm', 'exec', 'gdbus', '--', 'uname'), 'Linux\n')
        call(call(vm, 'org.banger.VM.Delete', "{'force': <true>}")[0], 'org.banger.Job.Wait')
        self.assertNotIn(vm, dev2.must('manager', 'busctl', '--user', 'tree', MANAGER[0]))

    def test_names_when_somebody_else_asks_for_the_helpers_then_the_bus_refuses(self):
        done = dev.run('ssh', 'busctl', 'call', 'org.freedesktop.DBus', '/', 'org.freedesktop.DBus', 'RequestName',
                       'su', HELPER[0], '4')
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('Access denied', done.stderr)

    def test_helper_when_called_by_another_interface_then_the_bus_refuses(self):
        for interface in 'org.freedesktop.DBus.ObjectManager', 'org.banger.Manager', 'org.freedesktop.systemd1.Manager':
            done = dev.run('ssh', 'busctl', 'call', *HELPER[:2], interface, 'GetManagedObjects')
            self.assertNotEqual(done.returncode, 0)
            self.assertIn('Access denied', done.stderr)
        self.assertIn('ProbeKvm', dev.must('ssh', 'busctl', 'introspect', *HELPER[:2]))


class Outsider(unittest.TestCase):
    def test_outsider_when_not_at_the_console_then_told_action_and_remedy(self):
        for way in 'ssh', 'manager', 'unit':
            done = outsider.run(way, *UNAME)
            self.assertEqual(done.returncode, 125, way)
            for words in f'not authorized by polkit action {LAUNCH}', 'usermod -aG banger', '/etc/polkit-1/rules.d':
                self.assertIn(words, done.stderr, way)

    def test_outsider_when_calling_by_bus_then_error_is_named_not_authorized(self):
        done = gdbus(outsider, 'ssh', HELPER[1], HELPER[2] + '.ProbeKvm', bus='--system', name=HELPER[0])
        self.assertIn('org.banger.Error.NotAuthorized: ProbeKvm', done.stderr)
        _, job = busctl(outsider, 'ssh', MANAGER[1], MANAGER[0], 'CreateVM', 'a{sv}', '2', 'name', 's', 'refused',
                        'start', 'b', 'true')
        done = gdbus(outsider, 'ssh', job, 'org.banger.Job.Wait')
        self.assertIn('org.banger.Error.NotAuthorized: LaunchVmm', done.stderr)
        self.assertIn(LAUNCH, done.stderr)
        self.assertEqual(json.loads(outsider.must('ssh', 'banger', '--json', 'vm', 'list')), [])

    def test_outsider_when_at_the_console_then_runs_a_machine(self):
        done = outsider.run('console', *UNAME)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_outsider_when_calling_for_administrators_then_refused_everywhere(self):
        call = ['busctl', '--allow-interactive-authorization=no', 'call', *HELPER]
        for way in 'console', 'ssh', 'manager':
            done = outsider.run(way, *call, 'ListAllResources')
            self.assertNotEqual(done.returncode, 0)
            self.assertIn('org.banger.helper.list-all-resources', done.stderr)
        self.assertIn('org.banger.helper.release-user', dev.run('ssh', *call, 'ReleaseUser', 'u', '41003').stderr)


class Rules(unittest.TestCase):
    """An administrator's. Each takes effect when polkit says that it has read it; nothing is restarted."""

    def change(self, text):
        """Renamed into place: half a rule is never read."""
        host.write('/etc/polkit-1/new', text)
        with host.signals('org.freedesktop.PolicyKit1') as signals:
            host.must('mv', '/etc/polkit-1/new', '/etc/polkit-1/rules.d/40-test.rules')
            signals.wait('Changed')
        self.addCleanup(self.withdraw)

    def withdraw(self):
        with host.signals('org.freedesktop.PolicyKit1') as signals:
            host.must('rm', '/etc/polkit-1/rules.d/40-test.rules')
            signals.wait('Changed')

    def test_rule_when_readme_forbids_launching_then_nobody_does(self):
        readme = (SOURCE / 'README.md').read_text(encoding='utf-8')
        self.change(re.search(r"<<'RULE'\n(.*?)\n    RULE", readme, re.S).group(1))
        for user, way in (dev, 'console'), (dev, 'ssh'), (outsider, 'console'):
            done = user.run(way, *UNAME)
            self.assertEqual(done.returncode, 125, done.stdout)
            self.assertIn(LAUNCH, done.stderr)

    def test_rule_when_it_allows_an_outsider_then_runs_a_machine_over_ssh(self):
        self.change(ALLOW)
        done = outsider.run('ssh', *UNAME)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_rule_when_it_forbids_one_step_of_a_running_machine_then_that_step_alone(self):
        dev2.must('manager', 'banger', 'vm', 'run', '-d', '--name', 'ruled')
        self.change(DENY.format('org.banger.helper.release-vm'))
        done = dev2.run('manager', 'banger', 'vm', 'delete', '-f', 'ruled')
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('org.banger.helper.release-vm', done.stderr)
        self.doCleanups()
        dev2.must('manager', 'banger', 'vm', 'delete', '-f', 'ruled')

    def test_group_when_joined_and_left_then_counts_from_the_next_call_on(self):
        probe = ['busctl', 'call', *HELPER, 'ProbeKvm']
        self.assertNotEqual(outsider.run('manager', *probe).returncode, 0)
        host.must('usermod', '-aG', 'banger', 'outsider')
        self.assertEqual(outsider.run('manager', *probe).returncode, 0)
        host.must('gpasswd', '-d', 'outsider', 'banger')
        self.assertNotEqual(outsider.run('manager', *probe).returncode, 0)


class Neighbours(unittest.TestCase):
    def test_machines_when_two_members_have_some_then_neither_sees_the_others(self):
        dev.linger()
        self.addCleanup(dev.linger, False)
        for user in dev, dev2:
            user.must('manager', 'banger', 'vm', 'run', '-d', '--name', 'own')
        other, vm = (json.loads(user.must('manager', 'banger', '--json', 'vm', 'show', 'own'))['id']
                     for user in (dev, dev2))
        self.assertEqual([row['id'] for row in json.loads(dev.must('ssh', 'banger', '--json', 'vm', 'list'))], [other])
        self.assertNotEqual(dev.run('ssh', 'banger', 'vm', 'show', vm).returncode, 0)
        self.assertIn(vm, dev2.must('manager', 'busctl', 'call', *HELPER, 'ListResources'))
        held = dev.must('ssh', 'busctl', 'call', *HELPER, 'ListResources')
        self.assertIn(other, held)
        self.assertNotIn(vm, held)
        # Releasing what is not there is done already.
        for method, *more, answer in (('OpenVmm', 'org.banger.Error.NotFound'), ('ReleaseVM', "('',)"),
                                      ('SignalVmm', '9', 'org.banger.Error.NotFound')):
            done = gdbus(dev, 'ssh', HELPER[1], f'{HELPER[2]}.{method}', vm, '', *more, bus='--system',
                         name=HELPER[0])
            self.assertIn(answer, done.stdout + done.stderr)
        for path in '/run/banger-helper', '/run/banger-jail', f'/home/{dev2.name}', f'/run/user/{dev2.uid}':
            self.assertIn('Permission denied', dev.run('ssh', 'ls', path).stderr, path)
        for user in dev, dev2:
            self.assertEqual(user.must('manager', 'banger', 'vm', 'exec', 'own', '--', 'uname'), 'Linux\n')
            user.must('manager', 'banger', 'vm', 'delete', '-f', 'own')


class Names(unittest.TestCase):
    """Of dev2's machine, on the host."""

    def setUp(self):
        dev2.must('manager', 'banger', 'vm', 'run', '-d', '--network', 'host', '--name', 'web')
        self.addCleanup(dev2.must, 'manager', 'banger', 'vm', 'delete', '-f', 'web')

    @staticmethod
    def doctor():
        return {row['check']: row for row in json.loads(dev2.run('manager', 'banger', '--json', 'doctor').stdout)}

    def take_bridge_away(self):
        dev2.must('manager', 'banger', 'vm', 'stop', 'web')
        dev2.must('manager', 'busctl', 'call', *HELPER, 'RemoveBridge', 's', '')

    def test_names_when_the_host_has_a_resolver_then_it_finds_machines_by_them_and_otherwise_by_address(self):
        address = json.loads(dev2.must('manager', 'banger', '--json', 'vm', 'show', 'web'))['address']
        self.assertIn(f'web.dev2.vm: {address}', host.must('resolvectl', 'query', 'web.dev2.vm'))
        # Also for who must not reach it, and nobody is told of other names.
        self.assertEqual(outsider.must('unit', 'getent', 'hosts', 'web.dev2.vm').split(), [address, 'web.dev2.vm'])
        for name in 'web', 'web.dev.vm', 'no.dev2.vm':
            self.assertNotEqual(host.run('resolvectl', 'query', name).returncode, 0, name)
        bridge = f'bgr-u{dev2.uid}'
        self.assertRegex(host.must('resolvectl', 'domain', bridge), r': ~dev2\.vm\n')
        self.assertRegex(host.must('resolvectl', 'default-route', bridge), ': no\n')
        row = self.doctor()['names']
        self.assertEqual((row['result'], row['finding']), ('PASS', 'this computer finds VMs as NAME.dev2.vm'))
        self.take_bridge_away()
        self.assertNotEqual(host.run('resolvectl', 'query', 'web.dev2.vm').returncode, 0)
        host.must('systemctl', 'mask', '--runtime', '--now', 'systemd-resolved')
        self.addCleanup(host.must, 'systemctl', 'start', 'systemd-resolved')
        self.addCleanup(host.must, 'systemctl', 'unmask', '--runtime', 'systemd-resolved')
        dev2.must('manager', 'banger', 'vm', 'start', 'web')
        self.assertEqual(dev2.must('manager', 'banger', 'vm', 'exec', 'web', '--', 'getent', 'hosts', 'web').split()[0],
                         address)
        row = self.doctor()['names']
        self.assertEqual(row['result'], 'WARN')
        self.assertIn('systemd-resolved does not run here', row['finding'])
        self.assertIn("with the package 'systemd-resolved' this computer knows them, too", row['remedy'])


if __name__ == '__main__':
    machine.tap.main()
