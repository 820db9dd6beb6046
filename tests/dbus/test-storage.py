#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What outlives smartbmsd, asked for with smartbmsctl: settings, state of charge, latches, counters, events; after an orderly
end and after kill -9. The pack is fed frames made here, so that what must come back is known by arithmetic."""

import json
import os
import sqlite3
import subprocess
import sys
import time
import unittest

import harness

PROGRAM, CTL = sys.argv[1], sys.argv[2]
CONFIG = "cells: 4\nsettings:\n  capacity: 5120Wh\n"


class Storage(unittest.TestCase):
    def setUp(self):
        self.rig = harness.Rig(PROGRAM, cells=4, period=0.5, config=CONFIG)
        self.state = os.path.join(self.rig.directory, "state")
        self.rig.daemon.stop()  # the rig's own has nowhere to keep anything
        self.start()
        self.rig.stream.start()

    def tearDown(self):
        self.rig.__exit__(None, None, None)

    def start(self):
        self.rig.daemon = harness.Daemon(PROGRAM, self.rig.directory, self.rig.bus.address, CONFIG,
                                         args=("--state", self.state))

    def again(self, how):
        """Ends the daemon and starts it; returns when both relays could have closed."""
        if how == "kill":
            self.rig.daemon.process.kill()
            self.rig.daemon.stop()
        else:
            self.assertEqual(self.rig.daemon.stop(), 0)
        self.start()
        self.rig.daemon.wait_line("started again after", timeout=15)
        self.rig.daemon.wait_line("link live", timeout=15)
        time.sleep(2)

    def ctl(self, *words, status=0):
        r = subprocess.run([CTL, "--bus", self.rig.bus.address, *words], capture_output=True, text=True, check=False,
                           timeout=20)
        self.assertEqual(r.returncode, status, r.stdout + r.stderr)
        return r.stdout

    def json(self, *words):
        return json.loads(self.ctl(*words, "--json"))

    def collected(self):
        return self.json("energy")["energy"]["energy_collected_total_wh"]

    def test_all_comes_back(self):
        """P14, S8: a full pack waits for 95 %, whatever ended the daemon."""
        self.rig.daemon.both("closed", timeout=20)
        self.ctl("set", "vmax", "3.60V", "tmax", "50degC")
        # Full: three messages with every cell at V-bypass.
        since = harness.now()
        self.rig.stream.mv = [3500] * 4
        self.rig.daemon.relay("charge", "open", since, timeout=10)
        self.rig.stream.mv = [3340] * 4
        end = harness.now() + 10  # nobody was told yet that it is kept
        while "full-sync" not in [e["kind"] for e in self.json("events")["events"]]:
            self.assertLess(harness.now(), end)
        for how in ("kill", "stop"):
            self.again(how)
            self.assertEqual(self.ctl("get", "vmax").strip(), "3.600 V")
            self.assertEqual(self.ctl("get", "tmax").strip(), "50.0 degC")
            soc = self.json("status")["soc"]
            self.assertTrue(soc["soc_calibrated"], soc)
            self.assertGreater(soc["soc_percent"], 99)
            why = self.json("why", "charge")
            self.assertFalse(why["closed"])
            self.assertIn("soc", [h["hold"] for h in why["holds"]], why)
            self.assertEqual(why["rule"], "full")
            self.assertTrue(self.json("why", "load")["closed"])
        # 94 % is below charge restart, and its delay is long over.
        since = harness.now()
        self.ctl("soc", "set", "94%")
        self.rig.daemon.relay("charge", "closed", since, timeout=70)

    def test_acknowledged_is_kept(self):
        """Each answer is a promise, though the daemon dies with it."""
        self.rig.daemon.both("closed", timeout=20)
        for n, words in enumerate([("set", "vmin", "2.90V"), ("soc", "set", "61%"), ("energy", "clear", "--yes"),
                                   ("set", "pin", "13579"), ("reset", "vmin")]):
            self.ctl(*words)
            self.again("kill")
            self.rig.daemon.both("closed", timeout=20)
            if words[0] == "soc":
                self.assertAlmostEqual(self.json("status")["soc"]["soc_percent"], 61, delta=0.2)
            self.assertEqual(self.ctl("get", "vmin").strip(), "2.800 V" if n == 4 else "2.900 V")
        kinds = [(e["kind"], e["key"]) for e in self.json("events")["events"] if e["by"]]
        self.assertEqual(kinds, [("setting", "vmin"), ("command", ""), ("energy-cleared", ""), ("setting", "pin"),
                                 ("setting", "vmin")])
        with open(os.path.join(self.state, "settings.yaml"), encoding="utf-8") as f:
            self.assertNotIn("13579", f.read())

    def test_counters_go_on(self):
        """Two amperes into 13.2 V: never less than before, and what lies between is stated, not counted."""
        self.rig.stream.fields = {"i_in": 200000}  # 2.6 kW, so that seconds are watt hours
        self.rig.daemon.both("closed", timeout=20)
        time.sleep(5)
        self.ctl("soc", "set", "50%")  # carries the counters with it
        before = self.collected()
        self.assertGreater(before, 1)
        self.again("kill")
        after = self.collected()
        self.assertGreaterEqual(after, before)
        self.assertLess(after, before + 20)
        self.again("stop")
        self.assertGreaterEqual(self.collected(), after)

    def damage(self, name):
        with open(os.path.join(self.state, name), "r+b") as f:
            f.seek(60)
            f.write(b"\0")

    def test_only_the_owner_confirms(self):
        """After a loss neither what is written meanwhile nor a restart makes the settings the owner's own."""
        self.rig.daemon.both("closed", timeout=20)
        self.ctl("set", "vmax", "3.60V")
        self.ctl("set", "vmin", "2.90V")
        self.assertEqual(self.rig.daemon.stop(), 0)
        self.damage("settings.yaml")
        self.start()
        for words, vmax in (((), "3.600 V"), (("set", "vmax", "3.55V"), "3.550 V"), ((), "3.550 V")):
            self.rig.daemon.wait_line("link live", timeout=15)
            time.sleep(5)
            status = self.json("status")
            self.assertIn("settings", [a["name"] for a in status["alarms"]], status["alarms"])
            for relay in ("charge", "load"):
                self.assertIn("settings", [h["hold"] for h in self.json("why", relay)["holds"]])
            if words:
                self.ctl(*words)
            self.assertEqual(self.ctl("get", "vmax").strip(), vmax)
            self.assertEqual(self.ctl("get", "vmin").strip(), "2.800 V")  # it was the change that got lost
            self.again("kill")
        since = harness.now()
        self.ctl("settings", "confirm")
        self.rig.daemon.both("closed", since, timeout=10)
        self.again("kill")
        self.rig.daemon.both("closed", timeout=20)
        self.assertEqual(self.ctl("get", "vmax").strip(), "3.550 V")
        # An owner's copy of the file, mended by hand, is taken whatever else stands in it.
        self.ctl("settings", "import", os.path.join(self.state, "settings.yaml.bad"), status=1)  # a NUL in it
        self.ctl("settings", "import", os.path.join(self.state, "settings.yaml.previous"))

    def test_the_file_for_people(self):
        """Another program may look while the daemon writes; a copy is whole."""
        self.rig.daemon.both("closed", timeout=20)
        self.ctl("soc", "set", "50%")
        database = sqlite3.connect("file:" + os.path.join(self.state, "smartbms.db") + "?mode=ro", uri=True, timeout=5)
        texts = [row[0] for row in database.execute("SELECT text FROM events_shown")]
        self.assertIn("state of charge set to 50.00 %", texts)
        database.close()
        copy = os.path.join(self.rig.directory, "copy.db")
        self.ctl("backup", copy)
        self.assertEqual(os.stat(copy).st_mode & 0o777, 0o600)
        database = sqlite3.connect(copy)
        self.assertEqual(database.execute("PRAGMA integrity_check").fetchone()[0], "ok")
        self.assertEqual(database.execute("SELECT count(*) FROM events").fetchone()[0], len(texts))
        database.close()
        self.ctl("backup", copy, status=1)  # is there already
        storage = self.json("storage")
        self.assertTrue(storage["open"], storage)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:])
