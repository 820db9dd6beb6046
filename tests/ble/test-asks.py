# SPDX-License-Identifier: MIT
"""What phones ask the real daemon for: log in, change the PIN, settings, state of charge, energy; wrong PINs.

Usage: test-asks.py SMARTBMSD SMARTBMSCTL [TEST...]"""

import json
import os
import struct
import sys
import time
import unittest

from rig import NOT_AUTHORIZED, harness

if len(sys.argv) < 3:
    sys.exit(__doc__)

from asking import (ADDRESS, BY, CHANGE_PIN, CLEAR_ENERGY, DEFAULT_PIN, DONE, LOCKED, LOG_IN, NOT_DONE, NOT_STORED, OTHER,
                    SET_SOC, TX, VMAX, VMIN, WRITE_SETTINGS, WRONG_PIN, Asking, setting)


class Asks(Asking):
    # ---- changes

    def test_the_first_pin_changes_nothing_but_itself(self):
        self.start()
        self.assertEqual(NOT_AUTHORIZED, self.send(self.one, CHANGE_PIN, b"24680"))
        self.log_in(self.one, "1234")
        for operation, rest in ((WRITE_SETTINGS, setting(VMAX, 3600)), (SET_SOC, b"\x88\x13"), (CLEAR_ENERGY, b"")):
            self.assertEqual((DEFAULT_PIN, b""), self.ask(self.one, operation, rest))
        self.assertEqual("3.650 V", self.ctl("get", "vmax"))
        self.assertEqual([], self.events(by=BY))

        self.assertEqual((DONE, b""), self.ask(self.one, CHANGE_PIN, b"24680"))
        self.assertEqual((DONE, b""), self.ask(self.one, WRITE_SETTINGS, setting(VMAX, 3600)))
        self.assertEqual("3.600 V", self.ctl("get", "vmax"))
        # and when it is the first one again, whoever set it
        self.ctl("set", "pin", "1234")
        self.assertEqual(NOT_AUTHORIZED, self.send(self.one, CLEAR_ENERGY))
        self.log_in(self.one, "1234")
        self.assertEqual((DEFAULT_PIN, b""), self.ask(self.one, CLEAR_ENERGY))

    def test_change_the_pin(self):
        self.start("  allow_default_pin: on\n")
        self.log_in(self.one, "1234")
        self.log_in(self.two, "1234")
        self.assertEqual((DONE, b""), self.ask(self.one, CHANGE_PIN, b"24680"))
        # whoever changed it stays logged in, and nobody else
        self.assertEqual((DONE, b""), self.ask(self.one, CLEAR_ENERGY))
        self.assertEqual(NOT_AUTHORIZED, self.send(self.two, CLEAR_ENERGY))
        self.log_in(self.two, "1234", WRONG_PIN)
        self.log_in(self.two, "24680")
        self.assertEqual([BY], [e["by"] for e in self.events(kind="setting", key="pin")])
        self.assertIn('pin_hash: "$y$', self.file("settings.yaml"))
        for text in (self.r.daemon.text(), self.file("settings.yaml"), json.dumps(self.events())):
            self.assertNotIn("24680", text)
        self.again()
        self.one, self.two = self.phone(ADDRESS), self.phone(OTHER)
        self.log_in(self.one, "1234", WRONG_PIN)
        self.log_in(self.one, "24680")
        self.log_in(self.two, "24680")
        # by D-Bus: all of them
        self.ctl("set", "pin", "13579")
        for phone in (self.one, self.two):
            self.assertEqual(NOT_AUTHORIZED, self.send(phone, CLEAR_ENERGY))
            self.log_in(phone, "24680", WRONG_PIN)
            self.log_in(phone, "13579")

    def test_settings_state_of_charge_and_energy(self):
        self.start("  allow_default_pin: on\n")
        self.assertEqual(NOT_AUTHORIZED, self.send(self.one, WRITE_SETTINGS, setting(VMAX, 3600)))
        self.log_in(self.one, "1234")
        self.assertEqual((DONE, b""), self.ask(self.one, WRITE_SETTINGS, setting(VMAX, 3600) + setting(VMIN, 2900)))
        self.assertEqual("3.600 V", self.ctl("get", "vmax"))
        self.assertEqual("2.900 V", self.ctl("get", "vmin"))
        self.assertRegex(self.file("settings.yaml"), r"(?m)^  vmax: 3.600 V$")
        self.assertIn(f'changed_by: "{BY}"\n', self.file("settings.yaml"))
        e, = self.events(kind="setting", key="vmax")
        self.assertEqual((BY, "3.650 V", "3.600 V"), (e["by"], e["before"], e["after"]))
        # all or nothing
        n = len(self.events())
        result, sentence = self.ask(self.one, WRITE_SETTINGS, setting(VMAX, 3550) + setting(VMIN, 9999))
        self.assertEqual(NOT_DONE, result)
        self.assertIn(b"vmin", sentence)
        self.assertEqual("3.600 V", self.ctl("get", "vmax"))
        self.assertEqual(n, len(self.events()))

        self.assertEqual((DONE, b""), self.ask(self.one, SET_SOC, struct.pack("<H", 6100)))
        self.assertAlmostEqual(self.json("status")["soc"]["soc_percent"], 61, delta=0.2)
        e, = self.events(kind="command")
        self.assertEqual((BY, "state of charge set to 61.00 %"), (e["by"], e["text"]))

        self.r.stream.fields = {"i_in": 200000}  # 2.6 kW: 1.5 Wh in 2 s
        time.sleep(4)
        self.r.stream.at_next_frame(fields={"i_in": 0})
        self.r.stream.frame_time(len(self.r.stream.sent))
        self.assertGreater(self.collected(), 1)
        self.assertEqual((DONE, b""), self.ask(self.one, CLEAR_ENERGY))
        self.assertLess(self.collected(), 0.5)
        self.assertEqual([BY], [e["by"] for e in self.events(kind="energy-cleared")])

    def collected(self):
        return self.json("energy")["energy"]["energy_collected_total_wh"]

    def test_the_card_takes_nothing(self):
        self.start("  allow_default_pin: on\n")
        self.log_in(self.one, "1234")
        self.log_in(self.two, "1234")
        away = self.state + "-away"
        os.rename(self.state, away)
        with open(self.state, "w", encoding="utf-8"):
            pass  # nor can the directory be made again
        self.assertEqual((NOT_STORED, b""), self.ask(self.one, WRITE_SETTINGS, setting(VMAX, 3600)))
        self.assertEqual("3.600 V", self.ctl("get", "vmax"))
        self.assertEqual((NOT_STORED, b""), self.ask(self.one, CHANGE_PIN, b"24680"))
        self.assertEqual(NOT_AUTHORIZED, self.send(self.two, CLEAR_ENERGY))
        self.log_in(self.two, "1234", WRONG_PIN)
        self.r.daemon.wait_line("wrong PINs cannot be kept")
        self.log_in(self.two, "24680")
        since = harness.now()
        os.unlink(self.state)
        os.rename(away, self.state)
        self.r.daemon.wait_line("settings: the file can be written again", since)
        self.assertRegex(self.file("settings.yaml"), r"(?m)^  vmax: 3.600 V$")
        self.assertIn('pin_hash: "$y$', self.file("settings.yaml"))

    # ---- the line protocol

    def test_the_line_protocol(self):
        self.start("  allow_default_pin: on\n")
        self.assertEqual(0, self.one.subscribe(TX))
        self.assertEqual("NA", self.say(self.one, "C6-051!"))
        self.assertEqual("NA", self.say(self.one, "PW9999!"))
        self.assertEqual("NA", self.say(self.one, "C6-051!"))
        self.assertEqual("OK", self.say(self.one, "PW1234!"))
        self.assertEqual("OK", self.say(self.one, "02-050!"))  # 0x2C6 * 5 mV
        self.assertEqual("OK", self.say(self.one, "C6-051!"))
        self.assertEqual("3.550 V", self.ctl("get", "vmax"))
        self.assertRegex(self.file("settings.yaml"), r"(?m)^  vmax: 3.550 V$")
        self.assertEqual([BY], [e["by"] for e in self.events(kind="setting", key="vmax")])
        # wrong PINs of both doors are counted together
        self.wrong(self.one, 3)
        for _ in range(2):
            self.assertEqual("NA", self.say(self.one, "PW9999!"))
        self.log_in(self.one, "1234", LOCKED)
        self.assertEqual("NA", self.say(self.one, "PW1234!"))

    def test_the_line_protocol_with_the_first_pin(self):
        self.start()
        self.assertEqual(0, self.one.subscribe(TX))
        self.assertEqual("OK", self.say(self.one, "PW1234!"))
        self.assertEqual("KO", self.say(self.one, "02-050!"))
        self.assertEqual("KO", self.say(self.one, "C6-051!"))
        self.assertEqual("3.650 V", self.ctl("get", "vmax"))

    # ---- wrong PINs

    def test_wrong_pins_lock_also_after_a_restart(self):
        self.start("  allow_default_pin: on\n")
        self.log_in(self.two, "1234")
        self.wrong(self.one, 4)
        self.assertFalse(self.r.daemon.has_line("wrong PINs"))
        self.wrong(self.one, 1)
        begun = harness.now()
        self.assertEqual(f"5 {ADDRESS}=5\n", self.file("pin-lock"))
        sentence = "5 wrong PINs in a row from the phone that ends in 44:55: it cannot log in for 30 s"
        self.assertEqual([sentence], [e["text"] for e in self.events(kind="phone")])
        wait = self.log_in(self.one, "1234", LOCKED)  # also the right one
        self.assertLess(30 - wait, harness.now() - begun + 2)
        self.assertLessEqual(wait, 30)
        # nobody else is
        self.ctl("set", "vmin", "2.85V")
        self.assertEqual((DONE, b""), self.ask(self.two, CLEAR_ENERGY))
        self.log_in(self.two, "1234")
        # the full time again
        time.sleep(max(0, begun + 8 - harness.now()))
        self.assertLessEqual(self.log_in(self.one, "1234", LOCKED), 23)
        since = harness.now()
        self.again()
        self.one, self.two = self.phone(ADDRESS), self.phone(OTHER)
        wait = self.log_in(self.one, "1234", LOCKED)
        self.assertGreaterEqual(wait, 29 - (harness.now() - since))
        self.log_in(self.two, "1234")
        time.sleep(wait + 0.1)
        self.wrong(self.one, 1)
        self.assertGreater(self.log_in(self.one, "1234", LOCKED), 50)  # doubled
        self.assertEqual(f"6 {ADDRESS}=6\n", self.file("pin-lock"))

    def test_a_phone_that_leaves_is_counted(self):
        self.start()
        for _ in range(5):
            self.assertEqual(0, self.send(self.one, LOG_IN, b"9999"))
            self.one.disconnect()
            time.sleep(0.5)  # compared, and kept
            self.one.connect()
        self.log_in(self.one, "1234", LOCKED)
        self.log_in(self.two, "1234")
        # nor does an answer that comes too late log in who came back
        self.two.disconnect()
        self.two.connect()
        for _ in range(20):
            self.assertEqual(0, self.send(self.two, LOG_IN, b"1234"))
            self.two.disconnect()
            self.two.connect()
            self.assertEqual(NOT_AUTHORIZED, self.send(self.two, CLEAR_ENERGY))
        time.sleep(1)
        self.assertEqual(NOT_AUTHORIZED, self.send(self.two, CLEAR_ENERGY))
        self.log_in(self.two, "1234")

    def test_the_end_comes_before_the_answer(self):
        self.start("  allow_default_pin: on\n")
        self.ctl("set", "pin", "24680")  # the first one is compared at once
        for n in range(1, 4):
            self.log_in(self.two, "24680")
            self.assertEqual(0, self.send(self.two, WRITE_SETTINGS, setting(VMAX, 3600 + n)))
            self.assertEqual(0, self.send(self.one, LOG_IN, b"9999"))
            self.assertEqual(0, self.r.daemon.stop())
            self.assertEqual(f"{n} {ADDRESS}={n}\n", self.file("pin-lock"))
            self.assertRegex(self.file("settings.yaml"), rf"(?m)^  vmax: 3.60{n} V$")
            self.again()
            self.one, self.two = self.phone(ADDRESS), self.phone(OTHER)

    def test_what_is_kept_of_them_cannot_be_read(self):
        for lock in ("nonsense\n", "x" * 600, ""):
            with self.subTest(lock[:10]):
                self.start(lock=lock)
                self.r.daemon.wait_line("pin-lock: .* No phone can log in for an hour")
                self.assertGreater(self.log_in(self.one, "1234", LOCKED), 3500)
                self.assertEqual("20\n", self.file("pin-lock"))
                self.ctl("set", "vmin", "2.85V")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
