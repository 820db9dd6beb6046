# SPDX-License-Identifier: MIT
"""The real daemon with a list of two phones, which are connected: what tests of what phones ask for have in common.

The arguments of the program are SMARTBMSD SMARTBMSCTL [...]."""

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import rig
from rig import Phone, harness

SMARTBMSD, SMARTBMSCTL = (os.path.abspath(a) for a in sys.argv[1:3])

CONTROL = "bdfe0018-d380-4bb9-9d5e-d850cd6a319e"
RX, TX = ("6e40000%d-b5a3-f393-e0a9-e50e24dcca9e" % n for n in (2, 3))
ADDRESS, OTHER = "C0:11:22:33:44:55", "C0:11:22:33:44:66"
BY = "phone 44:55 over Bluetooth"

# docs/bluetooth.md, control point
LOG_IN, CHANGE_PIN, CLEAR_ENERGY, SET_SOC, WRITE_SETTINGS = 0x01, 0x02, 0x03, 0x04, 0x11
WAITING, DONE, NOT_STORED, WRONG_PIN, LOCKED, NOT_DONE, DEFAULT_PIN = 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x07
VMIN, VMAX = 4, 5


def setting(number, value):
    return struct.pack("<Bi", number, value)


class Asking(unittest.TestCase):
    def start(self, config="", lock=None, settings="  capacity: 1920Wh\n", **options):
        """lock: what the file pin-lock has. options: of the daemon."""
        directory = tempfile.TemporaryDirectory(prefix="smartbms-test-")
        self.addCleanup(directory.cleanup)
        self.state = directory.name
        with open(self.path("phones"), "w", encoding="utf-8") as f:
            f.write(f"{ADDRESS} random - - Ann's phone\n{OTHER} random - - Bob\n")
        if lock is not None:
            with open(self.path("pin-lock"), "w", encoding="utf-8") as f:
                f.write(lock)
        self.options = options
        self.config = f"cells: 4\nsettings:\n{settings}ble:\n  enabled: on\n{config}"
        self.r = harness.Rig(SMARTBMSD, period=0.5, config=self.config, args=["--state", self.state], **options)
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
                                       args=["--state", self.state], **self.options)
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
