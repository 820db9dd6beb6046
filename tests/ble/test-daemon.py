# SPDX-License-Identifier: MIT
"""The real daemon with Bluetooth, without it, and where it must not start.

Usage: test-daemon.py SMARTBMSD [TEST...]"""

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

import rig
from rig import Phone, dbus, harness

SMARTBMSD = os.path.abspath(sys.argv[1])

PACK_STATE, BATTERY_LEVEL = "bdfe0010-d380-4bb9-9d5e-d850cd6a319e", "00002a19-0000-1000-8000-00805f9b34fb"
CONTROL = "bdfe0018-d380-4bb9-9d5e-d850cd6a319e"
ADDRESS = "C0:11:22:33:44:55"
BAD_CONFIG = 78


class Daemon(unittest.TestCase):
    def daemon(self, config, phones=()):
        """With a list of phones and bonds of an earlier run."""
        self.directory = tempfile.TemporaryDirectory(prefix="smartbms-test-")
        self.addCleanup(self.directory.cleanup)
        with open(os.path.join(self.directory.name, "phones"), "w", encoding="utf-8") as f:
            f.writelines(f"{p} random - - a phone\n" for p in phones)
        r = harness.Rig(SMARTBMSD, period=0.5, config="cells: 4\n" + config, args=["--state", self.directory.name])
        self.enterContext(r)
        with open(os.path.join(r.directory, "bonds.json"), "w", encoding="utf-8") as f:
            json.dump([{"address": p, "random": True, "identity": p, "identity_random": True, "io": "KeyboardDisplay",
                        "subscribed": []} for p in phones], f)
        bluetoothd = rig.Bluetoothd(r.bus.address, r.directory).start()
        self.addCleanup(bluetoothd.kill)
        return r, bluetoothd

    def phone(self, bluetoothd):
        phone = Phone.__new__(Phone)  # it is one that the stand-in knows already
        phone.bluetoothd, phone.address, phone.identity = bluetoothd, ADDRESS, ADDRESS
        return phone.connect()

    def test_a_phone_sees_each_cycle(self):
        r, bluetoothd = self.daemon("ble:\n  enabled: on\n", [ADDRESS])
        r.live()
        r.daemon.wait_line(rig.READY)
        phone = self.phone(bluetoothd)
        self.assertGreater(len(phone.read(PACK_STATE)), 10)
        self.assertEqual(0, phone.subscribe(PACK_STATE))
        phone.received()
        time.sleep(5)
        n = len(phone.received(PACK_STATE))
        self.assertGreaterEqual(n, 9)  # a message each half second
        # bluetoothd ends: the relays do not care, and it is registered again
        since = harness.now()
        bluetoothd.kill()
        r.daemon.wait_line("bluetoothd is gone", since)
        bluetoothd.start()
        self.assertLess(r.daemon.wait_line(rig.READY, since) - since, 5)
        phone = self.phone(bluetoothd)
        time.sleep(2)
        self.assertGreaterEqual(len(phone.received(PACK_STATE)), 3)  # without subscribing again
        self.assertFalse(r.daemon.has_line("relay opens", since))

    def test_a_stranger_is_an_event(self):
        r, bluetoothd = self.daemon("ble:\n  enabled: on\n")
        r.daemon.wait_line(rig.READY)
        with open(os.path.join(r.directory, "bonds.json"), "w", encoding="utf-8") as f:
            json.dump([{"address": ADDRESS, "random": True, "identity": ADDRESS, "identity_random": True,
                        "io": "KeyboardDisplay", "subscribed": []}], f)
        since = harness.now()
        bluetoothd.kill()
        bluetoothd.start()
        r.daemon.wait_line(rig.READY, since)
        self.assertEqual(rig.NOT_AUTHORIZED, self.phone(bluetoothd).read(PACK_STATE))
        r.daemon.wait_line("device that ends in 44:55 was paired outside a pairing window")
        c = dbus.bus.BusConnection(r.bus.address)
        events = c.call_blocking("org.smartbms1", "/org/smartbms1", "org.smartbms1.Events", "Recent", "", ())
        self.assertIn("phone", [str(e[1]) for e in events])

    def test_without_it_nothing_is_registered(self):
        for config in ("", "ble:\n  enabled: off\n"):
            r, bluetoothd = self.daemon(config)
            r.live()
            time.sleep(1)
            state = bluetoothd.state()
            self.assertEqual([], state["agents"])
            self.assertIsNone(state["services"])
            self.assertFalse(r.daemon.has_line("Bluetooth"))

    def test_two_packs_and_one_adapter(self):
        with tempfile.TemporaryDirectory(prefix="smartbms-test-") as directory:
            def path(name):
                return os.path.join(directory, name)
            for name in ("smartbms.yaml", "boat.yaml"):
                with open(path(name), "w", encoding="utf-8") as f:
                    f.write("port: {path: /dev/null}\nble: {enabled: on, adapter: hci0}\n")
            good = subprocess.run([SMARTBMSD, "--check-config", "--config", path("smartbms.yaml")], capture_output=True,
                                  text=True, timeout=20)
            self.assertEqual((0, path("smartbms.yaml") + ": good\n"), (good.returncode, good.stdout))
            for args, status in ((["--check-config"], 1), (["--bus", "unix:path=/nonexistent"], BAD_CONFIG)):
                bad = subprocess.run([SMARTBMSD, *args, "--config", path("boat.yaml")], capture_output=True, text=True,
                                     timeout=20)
                self.assertEqual(status, bad.returncode, bad.stderr)
                self.assertIn(f"but {path('smartbms.yaml')} has it with adapter hci0", bad.stderr)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
