# SPDX-License-Identifier: MIT
"""What phones ask for while the card hangs: who is answered, who is told to ask again, and when; and how many can wait.

Usage: test-slow-card.py SMARTBMSD SMARTBMSCTL SLOW-CARD.SO [TEST...]"""

import os
import subprocess
import sys
import time
import unittest

from rig import NOT_AUTHORIZED, harness

if len(sys.argv) < 4:
    sys.exit(__doc__)

from asking import (ADDRESS, CLEAR_ENERGY, CONTROL, DONE, LOCKED, LOG_IN, NOT_STORED, SMARTBMSCTL, TX, VMAX, WAITING,
                    WRITE_SETTINGS, WRONG_PIN, Asking, setting)

SLOW_CARD = os.path.abspath(sys.argv[3])
BUSY = 0x06
LATE = 3  # s, docs/bluetooth.md
OUTSTANDING = 32  # asks of phones


class SlowCard(Asking):
    def begin(self, config="  allow_default_pin: on\n"):
        directory = harness.tempfile.mkdtemp(prefix="smartbms-test-")
        self.addCleanup(harness.shutil.rmtree, directory)
        self.slow = os.path.join(directory, "slow")
        env = {"LD_PRELOAD": SLOW_CARD, "SLOW_CARD": self.slow, "SLOW_DIRECTORY": os.path.join(directory, "none")}
        self.start(config, env=env)
        # where the card is, is known only now
        self.assertEqual(0, self.r.daemon.stop())
        env["SLOW_DIRECTORY"] = self.state
        self.again()
        self.r.daemon.both("closed", self.r.daemon.started, 30)
        self.one, self.two = self.phone(self.one.address), self.phone(self.two.address)

    def hang(self):
        with open(self.slow, "w", encoding="utf-8"):
            pass

    def go_on(self):
        os.unlink(self.slow)

    def test_log_in(self):
        self.begin()
        self.ctl("set", "pin", "24680")  # a hash, not the first one
        self.log_in(self.two, "9999", WRONG_PIN)
        self.wait_for(lambda: self.file("pin-lock").startswith("1 "))
        self.hang()
        # a wrong PIN: not told, but counted
        began = harness.now()
        self.assertEqual(0, self.send(self.one, LOG_IN, b"9999"))
        # meanwhile another phone is not held up by it, though a row of its own ends with that
        self.log_in(self.two, "24680")
        self.assertLess(harness.now() - began, 1.5)
        end = began + 10
        while self.one.read(CONTROL)[2] == WAITING:
            self.assertLess(harness.now(), end)
            time.sleep(0.01)
        self.assertAlmostEqual(LATE, harness.now() - began, delta=0.7)
        self.assertEqual(BUSY, self.one.read(CONTROL)[2])
        self.assertEqual(NOT_AUTHORIZED, self.send(self.one, CLEAR_ENERGY))
        # five of them lock, whatever the card does; all four at once, for each left before its answer
        for _ in range(4):
            self.assertEqual(0, self.send(self.one, LOG_IN, b"9999"))
            time.sleep(0.4)  # compared
            self.one.disconnect()
            self.one.connect()
        self.log_in(self.one, "24680", LOCKED)
        self.log_in(self.two, "24680")
        # the line protocol has no word for it but that one
        self.assertEqual(0, self.two.subscribe(TX))
        self.assertEqual("NA", self.say(self.two, "PW9999!"))
        self.assertEqual("1 ", self.file("pin-lock")[:2])
        self.go_on()
        self.wait_for(lambda: f"{ADDRESS}=5" in self.file("pin-lock"))
        self.assertTrue(self.file("pin-lock").startswith("7 "), self.file("pin-lock"))
        # and answers come at once again
        self.log_in(self.two, "9999", WRONG_PIN)
        self.assertFalse(self.r.daemon.has_line("relay opens", began))

    def wait_for(self, condition):
        end = harness.now() + 10
        while not condition():
            self.assertLess(harness.now(), end)
            time.sleep(0.01)

    def test_only_so_many_wait(self):
        """Those of phones that left before their answer count, too. D-Bus is not affected, and all is well again after it."""
        self.begin()
        self.hang()
        began, n = harness.now(), 0
        # each log-in has an answer at once, and so takes a place only if there is one
        while (result := self.ask(self.one, LOG_IN, b"1234")[0]) == DONE:
            self.assertEqual(0, self.send(self.one, WRITE_SETTINGS, setting(VMAX, 3600 + n)))
            self.assertEqual(WAITING, self.one.read(CONTROL)[2])
            n += 1
            self.one.disconnect()
            self.one.connect()
        self.assertEqual((BUSY, OUTSTANDING), (result, n))
        self.assertEqual(BUSY, self.ask(self.two, LOG_IN, b"1234")[0])
        self.assertLess(harness.now() - began, LATE, "too slow a machine for this test")
        # all are in force; and somebody at the machine still may change things
        self.assertEqual(f"3.{600 + n - 1} V", self.ctl("get", "vmax"))
        done = subprocess.run([SMARTBMSCTL, "--bus", self.r.bus.address, "set", "vmin", "2.85V"], capture_output=True, text=True,
                              timeout=30)
        self.assertIn("applied, not stored", done.stderr + done.stdout)
        # those have been told by now that it is not stored, as far as they were there
        self.log_in(self.two, "1234")
        self.assertEqual((NOT_STORED, b""), self.ask(self.two, WRITE_SETTINGS, setting(VMAX, 3650)))
        self.go_on()
        self.assertEqual((DONE, b""), self.ask(self.two, WRITE_SETTINGS, setting(VMAX, 3640)))
        self.assertFalse(self.r.daemon.has_line("relay opens", began))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
