# SPDX-License-Identifier: LGPL-2.1-or-later
"""Without somebody to ask the answer is no, without hanging; and all is well again as soon as there is somebody."""

import json
import os
import signal
import unittest

import machine

POLKIT, HELPER = 'polkit.service', 'banger-helper.service'
RUN = ['banger', 'vm', 'run', '--rm', '--', 'echo', 'ran']
HOSTNAME = ['banger', 'vm', 'exec', 'box', '--', 'hostname']

FORBID = """polkit.addRule(function(action, subject) {
    if (action.id == "org.banger.helper.launch-vmm") return polkit.Result.NO;
});
"""

host = machine.make()
dev2 = machine.User(host, 'dev2')


def setUpModule():
    host.boot()
    unittest.addModuleCleanup(host.show_journal)
    dev2.linger()
    dev2.must('manager', 'banger', 'vm', 'run', '-d', '--name', 'box')


class Authority(unittest.TestCase):
    def tearDown(self):
        """Nobody had to do anything."""
        self.assertEqual(dev2.must('manager', *HOSTNAME), 'box\n')
        self.assertEqual(dev2.must('manager', *RUN), 'ran\n')

    def check_refused(self, *argv):
        done = dev2.run('manager', *argv)
        self.assertEqual(done.returncode, 125, done.stdout)
        self.assertIn('polkit did not answer about action org.banger.helper.', done.stderr)
        # What needs no root needs no polkit.
        self.assertEqual(dev2.must('manager', *HOSTNAME), 'box\n')

    def test_polkit_when_stopped_then_refused_after_its_limit(self):
        pid = host.pids(POLKIT)[0]
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        self.check_refused(*RUN)
        done = dev2.run('manager', 'gdbus', 'call', '--system', '--dest', 'org.banger.Helper', '--object-path',
                        '/org/banger/Helper', '--method', 'org.banger.Helper.ProbeKvm')
        self.assertIn('org.banger.Error.NotAuthorized', done.stderr)
        self.doCleanups()

    def test_polkit_when_killed_then_started_again_and_asked(self):
        host.kill(POLKIT)
        self.assertEqual(dev2.must('manager', *RUN), 'ran\n')

    def test_polkit_when_killed_while_asked_then_asked_once_more(self):
        pid = host.pids(POLKIT)[0]
        os.kill(pid, signal.SIGSTOP)
        match = "type='method_call',destination='org.freedesktop.PolicyKit1',path_namespace='/org/freedesktop/PolicyKit1'"
        with host.start('busctl', 'monitor', '--match', match) as monitor:
            self.assertIn(b'Monitoring', monitor.stderr.readline())
            client = dev2.start('manager', *RUN)
            while b'CheckAuthorization' not in monitor.stdout.readline():
                pass
            machine.kill(pid)
            out, err = client.communicate()
            monitor.kill()
        self.assertEqual((client.returncode, out), (0, b'ran\n'), err)

    def test_polkit_when_masked_then_refused_at_once(self):
        host.must('systemctl', 'mask', '--runtime', '--now', POLKIT)
        try:
            self.check_refused(*RUN)
        finally:
            host.must('systemctl', 'unmask', '--runtime', POLKIT)

    def test_doctor_when_a_rule_forbids_to_start_then_it_names_the_action(self):
        self.assertIn('polkit allows what VMs need', dev2.must('manager', 'banger', 'doctor'))
        rule = '/etc/polkit-1/rules.d/10-no.rules'
        host.write(rule, FORBID)
        host.must('systemctl', 'restart', POLKIT)
        try:
            done = dev2.run('manager', 'banger', 'doctor')
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertRegex(done.stdout, 'FAIL +authorization +org.banger.helper.launch-vmm is not allowed')
        finally:
            host.must('rm', rule)
            host.must('systemctl', 'restart', POLKIT)

    def test_polkit_when_away_then_a_machine_cannot_be_deleted_and_later_can(self):
        dev2.must('manager', 'banger', 'vm', 'run', '-d', '--name', 'held')
        host.must('systemctl', 'mask', '--runtime', '--now', POLKIT)
        try:
            done = dev2.run('manager', 'banger', 'vm', 'delete', '-f', 'held')
            self.assertNotEqual(done.returncode, 0)
        finally:
            host.must('systemctl', 'unmask', '--runtime', POLKIT)
        self.assertEqual(json.loads(dev2.must('manager', 'banger', '--json', 'vm', 'show', 'held'))['state'], 'error')
        dev2.must('manager', 'banger', 'vm', 'delete', '-f', 'held')


class Helper(unittest.TestCase):
    def test_configuration_when_wrong_then_named_and_what_runs_is_served(self):
        host.must('systemctl', 'stop', HELPER)
        host.must('mkdir', '/etc/banger')
        host.write('/etc/banger/helper.conf', 'nonsense\n')
        done = dev2.run('manager', *RUN)
        self.assertEqual(done.returncode, 125, done.stdout)
        self.assertIn('/etc/banger/helper.conf: line 1: ', done.stderr)
        machine.kill(machine.pid_of('bangerd', dev2.uid))
        self.assertEqual(dev2.must('manager', *HOSTNAME), 'box\n')
        host.must('rm', '-r', '/etc/banger')
        # It is read again by the next, which soon comes.
        host.wait_state(HELPER, 'inactive')
        self.assertEqual(dev2.must('manager', *RUN), 'ran\n')

    def test_helper_when_it_cannot_start_then_named_and_back_when_it_can(self):
        host.must('systemctl', 'stop', HELPER)
        host.must('chmod', 'a-x', '/usr/libexec/banger-helper')
        done = dev2.run('manager', *RUN)
        self.assertEqual(done.returncode, 125, done.stdout)
        self.assertIn('banger-helper does not answer', done.stderr)
        self.assertIn('banger doctor', done.stderr)
        host.must('chmod', 'a+x', '/usr/libexec/banger-helper')
        self.assertEqual(dev2.must('manager', *RUN), 'ran\n')


class Bus(unittest.TestCase):
    def test_system_bus_when_restarted_then_bangerd_comes_back_to_it(self):
        pid = machine.pid_of('bangerd', dev2.uid)
        host.must('systemctl', 'start', HELPER)
        host.must('systemctl', 'restart', 'dbus.service')
        host.connect()
        host.wait_state(HELPER, 'inactive', 'failed')
        self.assertEqual(host.state(HELPER), 'inactive')
        self.assertEqual(dev2.must('unit', *HOSTNAME), 'box\n')
        self.assertEqual(dev2.must('unit', *RUN), 'ran\n')
        self.assertEqual(machine.pid_of('bangerd', dev2.uid), pid)

    def test_system_bus_when_stopped_then_named_and_back_when_started(self):
        host.must('systemctl', 'stop', 'dbus.socket', 'dbus.service')
        command = ['setpriv', f'--reuid={dev2.uid}', f'--regid={dev2.uid}', '--init-groups', '/usr/bin/env',
                   f'XDG_RUNTIME_DIR=/run/user/{dev2.uid}', 'HOME=/home/dev2']
        try:
            done = host.run(*command, *RUN)
            self.assertEqual(done.returncode, 125, done.stdout)
            self.assertIn('there is no system bus', done.stderr)
            self.assertEqual(machine.checked(host.run(*command, *HOSTNAME)), 'box\n')
        finally:
            host.must('systemctl', 'start', 'dbus.socket', 'dbus.service')
        host.connect()
        self.assertEqual(machine.checked(host.run(*command, *RUN)), 'ran\n')


if __name__ == '__main__':
    machine.tap.main()
