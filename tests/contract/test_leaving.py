#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the helper gives its name back, against a bus that lets calls and signals in at the worst moment.

Environment: see scripted_helper.py.
"""

import os
import signal

import scripted_helper
import tap


class Stack(scripted_helper.Stack):
    # Idle at once: the name is hardly taken when it is given back.
    idle_ms = 0

    def setUp(self):
        super().setUp()
        self.release = self.bus.expect('ReleaseName')

    def released(self):
        self.bus.answer(self.release, '(u)', 1)

    def call_while_leaving(self):
        """A call that the bus had passed on before the name was given back: its number, and the wish for the name."""
        call = self.call()
        self.released()
        who = self.bus.expect('GetConnectionUnixUser')
        again = self.bus.expect('RequestName')
        self.bus.answer(who, '(u)', 1000)
        return call, again

    def terminate(self):
        os.kill(self.helper.pid, signal.SIGTERM)
        self.catch_up()

    def expect_served(self, call):
        self.tell_uid()
        self.decide(self.bus.expect('CheckAuthorization'), True)
        self.assertEqual(self.bus.expect_answer(call), '')

    def expect_end(self):
        """It gives the name back, for the last time."""
        self.release = self.bus.expect('ReleaseName')
        self.released()
        self.assertEqual(self.helper.wait(), 0)

    def expect_abortion(self, call, question):
        cancelled = self.bus.expect('CancelCheckAuthorization')
        self.assertEqual(cancelled.get_body().unpack()[0], question.get_body().unpack()[-1])
        self.assertEqual(self.bus.expect_answer(call), 'org.banger.Error.Aborted')
        self.expect_end()


class Leaving(Stack):
    def test_nobody_when_leaving_then_ends(self):
        self.released()
        self.assertEqual(self.helper.wait(), 0)

    def test_term_when_leaving_and_nobody_called_then_ends_all_the_same(self):
        self.terminate()
        self.released()
        self.assertEqual(self.helper.wait(), 0)

    def test_call_when_it_came_while_leaving_then_name_is_taken_again_and_call_served(self):
        call, again = self.call_while_leaving()
        question = self.ask_person()
        # The bus brings what had waited for a successor first.
        other = self.call()
        self.bus.answer(again, '(u)', 1)
        self.expect_served(other)
        self.decide(question, True)
        self.assertEqual(self.bus.expect_answer(call), '')
        self.expect_end()

    def test_call_when_done_before_the_name_is_back_then_the_name_is_waited_for(self):
        call, again = self.call_while_leaving()
        self.decide(self.bus.expect('CheckAuthorization'), True)
        self.assertEqual(self.bus.expect_answer(call), '')
        self.catch_up()
        other = self.call()
        self.bus.answer(again, '(u)', 1)
        self.expect_served(other)
        self.expect_end()

    def test_name_when_it_is_somebody_elses_by_then_then_call_is_served_and_helper_ends(self):
        call, again = self.call_while_leaving()
        question = self.ask_person()
        self.bus.answer(again, '(u)', 3)
        self.catch_up()
        self.decide(question, True)
        self.assertEqual(self.bus.expect_answer(call), '')
        self.assertEqual(self.helper.wait(), 0)

    def test_term_when_a_call_came_while_leaving_then_its_person_is_waited_for(self):
        call, again = self.call_while_leaving()
        question = self.ask_person()
        # systemd has seen the name go.
        self.terminate()
        self.bus.answer(again, '(u)', 1)
        other = self.call(ask=False)
        self.expect_served(other)
        self.decide(question, True)
        self.assertEqual(self.bus.expect_answer(call), '')
        self.expect_end()

    def test_term_when_it_is_late_then_taken_for_the_same(self):
        call, again = self.call_while_leaving()
        question = self.ask_person()
        self.bus.answer(again, '(u)', 1)
        self.catch_up()
        self.terminate()
        self.decide(question, True)
        self.assertEqual(self.bus.expect_answer(call), '')
        self.expect_end()

    def test_term_when_it_comes_twice_then_aborts(self):
        call, again = self.call_while_leaving()
        question = self.ask_person()
        self.bus.answer(again, '(u)', 1)
        self.terminate()
        os.kill(self.helper.pid, signal.SIGTERM)
        self.expect_abortion(call, question)


class TooLong(Stack):
    last_ms = 0

    def test_term_when_a_persons_time_is_over_then_aborts(self):
        call, again = self.call_while_leaving()
        question = self.ask_person()
        self.bus.answer(again, '(u)', 1)
        self.catch_up()
        os.kill(self.helper.pid, signal.SIGTERM)
        self.expect_abortion(call, question)


if __name__ == '__main__':
    tap.main()
