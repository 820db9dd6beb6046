# SPDX-License-Identifier: MIT
"""What the daemon remembers, from its doors: with a state directory, across restarts and kills.

Usage: test-storage.py SMARTBMSD SMARTBMSCTL"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

import client
import harness

PROGRAM, SMARTBMSCTL = (os.path.abspath(p) for p in sys.argv[1:3])
CONFIG = "cells: 4\nsettings:\n  capacity: 1280Wh\n"
Int64 = client.dbus.Int64


class Storage(unittest.TestCase):
    def setUp(self):
        self.state = tempfile.TemporaryDirectory(prefix="smartbms-test-state-")
        self.addCleanup(self.state.cleanup)
        self.rig = harness.Rig(PROGRAM, period=0.5, config=CONFIG, args=("--state", self.state.name))
        self.rig.__enter__()
        self.addCleanup(self.rig.__exit__, None, None, None)
        self.rig.stream.fields = {"i_in": 10000, "i_out": 4000}
        self.join()
        self.rig.live()

    def join(self):
        self.client = client.Client(self.rig.bus.address)
        self.client.wait_name()

    def again(self, how=signal.SIGTERM):
        """Ends the daemon and starts it on the same state."""
        process = self.rig.daemon.process
        process.send_signal(how)
        process.wait(10)
        self.rig.daemon.stop()
        self.rig.daemon = harness.Daemon(PROGRAM, self.rig.directory, self.rig.bus.address, CONFIG,
                                         args=("--state", self.state.name))
        self.join()

    def until(self, fact, what, timeout=20):
        end = harness.now() + timeout
        while True:
            value = fact()
            if value:
                return value
            self.assertLess(harness.now(), end, what)
            time.sleep(0.1)

    def total(self):
        known, mwh = self.client.get("Energy", "CollectedTotal")
        return mwh if known else None

    def events(self, after=0):
        return self.client.call("Events", "Read", Int64(after), 1000, signature="xu")

    def known_total(self):
        return self.until(lambda: self.total() is not None and (self.total(),), "the counters are not restored")[0]

    # ---- counters and state ----

    def test_energy_goes_on_after_a_restart(self):
        before = self.until(lambda: (self.total() or 0) > 100 and self.total(), "nothing is counted")
        self.again()
        self.assertGreaterEqual(self.known_total(), before)
        self.rig.daemon.both("closed", timeout=30)
        counted = self.known_total()
        self.until(lambda: self.total() > counted, "nothing more is counted")

    def test_state_of_charge_survives_a_kill(self):
        self.client.call("Pack", "SetSOC", Int64(8000), signature="x")  # answered: it is on the card
        self.again(signal.SIGKILL)
        _, soc = self.until(lambda: self.client.get("Pack", "SOC")[0] and self.client.get("Pack", "SOC"), "no SOC")
        self.assertAlmostEqual(8000, soc, delta=30)

    def test_clear(self):
        self.until(lambda: (self.total() or 0) > 30, "nothing is counted")
        today = self.client.get("Energy", "CollectedToday")[1]
        self.client.call("Energy", "Clear")
        self.assertLess(self.total(), today)
        self.assertGreaterEqual(self.client.get("Energy", "CollectedToday")[1], today)
        last = self.events()[-1]
        self.assertEqual("energy-cleared", last[4])
        self.assertEqual(f"uid {os.geteuid()} over D-Bus", last[6])
        self.again(signal.SIGKILL)
        self.assertLess(self.known_total(), today)

    # ---- settings ----

    def test_settings_survive_a_kill(self):
        self.client.set(vmin="2.90V", mode="critical")
        self.again(signal.SIGKILL)
        values = self.client.get("Settings", "Values")
        self.assertEqual((2900, "critical"), (values["vmin"], values["mode"]))
        self.assertEqual(2800, self.client.get("Settings", "Defaults")["vmin"])

    def test_a_change_is_an_event(self):
        after = self.events()[-1][0]
        self.client.set(vmin="2.90V", vmax="3.60V")
        events = {e[7]: e for e in self.events(after) if e[4] == "setting"}
        self.assertEqual({"vmin", "vmax"}, set(events))
        event = events["vmin"]
        self.assertEqual((f"uid {os.geteuid()} over D-Bus", "2.800 V", "2.900 V"), (event[6], event[8], event[9]))
        self.assertTrue(event[2])  # this boot
        self.assertLess(abs(event[3] / 1e6 - harness.now()), 5)
        # by the signal, too, and at the same time
        self.client.turn(0.5)
        signals = [a for i, m, a in self.client.signals if m == "Event" and a[1] == "setting"]
        self.assertIn([event[3], "setting", event[5]], signals)

    def test_the_pin_is_kept_as_a_hash(self):
        self.client.call("Settings", "SetPin", "71903846", signature="s")
        with open(os.path.join(self.state.name, "settings.yaml")) as f:
            text = f.read()
        self.assertIn("pin_hash", text)
        self.assertNotIn("71903846", text + self.rig.daemon.text() + repr(self.events()))

    def test_damaged_settings_hold_the_relays_until_confirmed(self):
        self.client.set(vmin="2.90V")
        self.client.set(vmin="2.95V")
        self.rig.daemon.stop()
        for name in ("settings.yaml", "settings.yaml.previous"):
            with open(os.path.join(self.state.name, name), "r+b") as f:
                f.seek(20)
                f.write(b"\xff\xff\xff")
        started = harness.now()
        self.again()
        self.assertEqual(2800, self.client.get("Settings", "Values")["vmin"])  # the config's
        self.until(lambda: "settings" in [a[0] for a in self.client.get("Manager", "Alarms")], "no alarm")
        self.until(lambda: self.client.get("Pack", "LinkState") == "live", "not live")
        time.sleep(3)
        self.assertFalse(self.rig.daemon.has_line("relay closes", since=started))
        self.assertIn("settings", [h[0] for h in self.client.call("Relays", "Why", "charge")[7]])
        self.client.call("Settings", "Confirm")
        self.rig.daemon.both("closed", since=started, timeout=90)
        self.assertIn("settings-confirmed", [e[4] for e in self.events()])
        self.assertEqual("org.smartbms1.Error.Refused", self.client.refusal("Settings", "Confirm")[0])  # nothing is left
        self.again(signal.SIGKILL)
        self.assertNotIn("settings", [a[0] for a in self.client.get("Manager", "Alarms")])

    # ---- records ----

    def test_events_are_numbered_across_restarts(self):
        first = self.until(lambda: [e for e in self.events() if e[4] == "relay-closed"], "no closing is kept")
        before = self.events()
        self.again(signal.SIGKILL)
        self.until(lambda: [e for e in self.events(before[-1][0]) if e[4] == "started"], "no start is kept")
        ids = [e[0] for e in self.events()]
        self.assertEqual(sorted(set(ids)), ids)
        self.assertEqual(before, self.events()[:len(before)])
        self.assertIn(first[0], self.events())
        self.assertEqual(ids[3:], [e[0] for e in self.events(ids[2])])
        self.assertEqual(ids[-2:], [e[0] for e in self.client.call("Events", "Read", Int64(0), 2, signature="xu")])

    def test_history_has_minutes(self):
        def rows():
            return self.client.call("History", "Read", "minutes", Int64(0), Int64((time.time() + 60) * 1e6), 1000,
                                    signature="sxxu")
        row = self.until(rows, "no minute is kept", timeout=150)[0]
        _, length, covered, _, power, pack, lowest, highest, *_ = row
        self.assertLessEqual(length, 61e6)
        self.assertGreater(covered, 30)
        volts = sum(self.rig.stream.mv)
        self.assertEqual((True, volts), pack)
        self.assertAlmostEqual(volts * 6, power[1], delta=volts * 6 // 100)  # 6 A
        self.assertEqual(((True, min(self.rig.stream.mv)), (True, max(self.rig.stream.mv))), (lowest, highest))
        # 10 A for `covered` seconds at that voltage, as collected
        self.assertAlmostEqual(volts * 10 * covered / 3600, row[10], delta=volts * 10 * 2 / 3600)

    def test_a_backup_is_a_database(self):
        self.client.set(vmin="2.90V")
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "copy.db")
            subprocess.run([SMARTBMSCTL, "--bus", self.rig.bus.address, "backup", path], check=True, timeout=60)
            copy = sqlite3.connect(path)
            self.assertEqual([("ok",)], copy.execute("PRAGMA integrity_check").fetchall())
            self.assertNotEqual([], copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall())
            copy.close()

    def test_storage_says_what_it_costs(self):
        self.client.set(vmin="2.90V")
        run = subprocess.run([SMARTBMSCTL, "--bus", self.rig.bus.address, "storage", "--json"], check=True, timeout=10,
                             stdout=subprocess.PIPE, text=True)
        s = json.loads(run.stdout)
        self.assertTrue(s["open"])
        self.assertTrue(s["path"].startswith(self.state.name))
        self.assertEqual("", s["fault"])
        self.assertGreater(s["file_bytes"] + s["wal_bytes"], 0)
        self.assertGreater(s["syncs"], 0)
        self.assertLess(s["commit_age_s"], 60)
        self.assertIsNone(s["syncs_per_day"])  # too short a run


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
