# SPDX-License-Identifier: MIT
"""What phones ask the real daemon for: log in, change the PIN, settings, state of charge, energy; wrong PINs.

Usage: test-asks.py SMARTBMSD SMARTBMSCTL [TEST...]"""

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import rig
from rig import NOT_AUTHORIZED, Phone, harness

SMARTBMSD, SMARTBMSCTL = (os.path.abspath(a) for a in sys.argv[1:3])

CONTROL = "bdfe0018-d380-4bb9-9d5e-d850cd6a319e"
RX, TX = ("6e40000%d-b5a3-f393-e0a9-e50e24dcca9e" % n for n in (2, 3))
ADDRESS, OTHER = "C0:11:22:33:44:55", "C0:11:22:33:44:66"
BY = f"{ADDRESS} (Ann's phone) over Bluetooth"

# docs/bluetooth.md, control point
LOG_IN, CHANGE_PIN, CLEAR_ENERGY, SET_SOC, WRITE_SETTINGS = 0x01, 0x02, 0x03, 0x04, 0x11
WAITING, DONE, NOT_STORED, WRONG_PIN, LOCKED, NOT_DONE, DEFAULT_PIN = 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x07
VMIN, VMAX = 4, 5


def setting(number, value):
    return struct.pack("<Bi", number, value)


class Asks(unittest.TestCase):
    def start(self, config="", lock=None):
        directory = tempfile.TemporaryDirectory(prefix="smartbms-test-")
        self.addCleanup(directory.cleanup)
        self.state = directory.name
        with open(self.path("phones"), "w", encoding="utf-8") as f:
            f.write(f"{ADDRESS} random - - Ann's phone\n{OTHER} random - - Bob\n")
        if lock is not None:
            with open(self.path("pin-lock"), "w", encoding="utf-8") as f:
                f.write(lock)
        self.config = "cells: 4\nsettings:\n  capacity: 1920Wh\nble:\n  enabled: on\n" + config
        self.r = harness.Rig(SMARTBMSD, period=0.5, config=self.config, args=["--state", self.state])
        self.enterContext(self.r)
        with open(os.path.join(self.r.directory, "bonds.json"), "w", encoding="utf-8") as f:
            json.dump([{"address": p, "random": True, "identity": p, "identity_random": True, "io": "KeyboardDisplay",
                        "subscribed": []} for p in (ADDRESS, OTHER)], f)
        self.bluetoothd = rig.Bluetoothd(self.r.bus.address, self.r.directory).start()
        self.addCleanup(self.bluetoothd.kill)
        self.r.live()
        self.r.daemon.wait_line(rig.READY)
        self.tag = 0
        self.one, self.two = self.phone(ADDRESS), self.phone(OTHER)

    def phone(self, address):
        phone = Phone.__new__(Phone)  # it is one that the stand-in knows already
        phone.bluetoothd, phone.address, phone.identity = self.bluetoothd, address, address
        return phone.connect()

    def again(self):
        """Killed, and started again."""
        if self.r.daemon.process.poll() is None:
            self.r.daemon.process.kill()
            self.r.daemon.process.wait()
            self.r.daemon.stop()
        since = harness.now()
        self.r.daemon = harness.Daemon(SMARTBMSD, self.r.directory, self.r.bus.address, self.config,
                                       args=["--state", self.state])
        self.r.daemon.wait_line(rig.READY, since)

    def path(self, name):
        return os.path.join(self.state, name)

    def file(self, name):
        with open(self.path(name), encoding="utf-8") as f:
            return f.read()

    def ctl(self, *words):
        run = subprocess.run([SMARTBMSCTL, "--bus", self.r.bus.address, *words], capture_output=True, text=True, timeout=30)
        self.assertEqual(0, run.returncode, run.stderr)
        return run.stdout.strip()

    def json(self, *words):
        return json.loads(self.ctl("--json", *words))

    def events(self, **fields):
        """Those in the database that have all these fields."""
        return [e for e in self.json("events")["events"]
                if all(e.get(k) == v for k, v in fields.items())]

    def send(self, phone, operation, rest=b""):
        """The ATT error."""
        self.tag = self.tag % 255 + 1
        return phone.write(CONTROL, bytes([self.tag, operation]) + rest)

    def ask(self, phone, operation, rest=b""):
        """(result, what follows it)"""
        self.assertEqual(0, self.send(phone, operation, rest))
        end = harness.now() + 10
        while True:
            answer = phone.read(CONTROL)
            self.assertEqual(bytes([self.tag, operation]), answer[:2])
            if answer[2] != WAITING:
                return answer[2], answer[3:]
            self.assertLess(harness.now(), end, "no answer")
            time.sleep(0.01)

    def log_in(self, phone, pin, result=DONE):
        got, rest = self.ask(phone, LOG_IN, pin.encode())
        self.assertEqual(result, got)
        return struct.unpack("<I", rest)[0] if got == LOCKED else None

    def wrong(self, phone, n):
        for _ in range(n):
            self.log_in(phone, "9999", WRONG_PIN)

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

    def say(self, phone, command):
        """The reply, without its end."""
        phone.received(TX)
        self.assertEqual(0, phone.write(RX, command.encode() + b"\r", command=True))
        end, reply = harness.now() + 10, b""
        while not reply.endswith(b"\r"):
            self.assertLess(harness.now(), end, reply)
            time.sleep(0.01)
            reply += b"".join(phone.received(TX))
        return reply.strip().decode()

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
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
