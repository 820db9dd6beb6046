# SPDX-License-Identifier: MIT
"""Who gets in, what is registered, and that it comes back: the Bluetooth door against a stand-in for bluetoothd.

Usage: test-door.py BLE-ALONE"""

import sys
import time
import unittest

import rig
from rig import NOT_AUTHORIZED, NOT_ENCRYPTED, Phone, Rig

PROGRAM = sys.argv[1]

BATTERY, BATTERY_LEVEL = "0000180f-0000-1000-8000-00805f9b34fb", "00002a19-0000-1000-8000-00805f9b34fb"
NUS = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
ADDRESS = "C0:11:22:33:44:55"


class Thin(unittest.TestCase):
    def test_register_read_notify_refuse(self):
        with Rig(PROGRAM) as r:
            r.ready()
            state = r.bluetoothd.state()
            self.assertIn(BATTERY_LEVEL, state["services"])
            self.assertFalse(state["pairable"])
            self.assertEqual("NoInputNoOutput", state["agents"][-1][2])
            r.say("soc 7250")
            phone = r.paired()
            self.assertEqual(b"\x48", phone.read(BATTERY_LEVEL))  # 72 %
            self.assertEqual(0, phone.subscribe(BATTERY_LEVEL))
            phone.received()
            r.say("soc 7100")
            time.sleep(0.2)
            self.assertEqual([b"\x47"], phone.received(BATTERY_LEVEL))
            stranger = Phone(r.bluetoothd, "C0:00:00:00:00:01").connect()
            self.assertEqual(NOT_ENCRYPTED, stranger.read(BATTERY_LEVEL))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    unittest.main(argv=sys.argv[:1])
