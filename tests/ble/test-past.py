# SPDX-License-Identifier: MIT
"""What the line protocol tells of the past, by the real daemon: faults L0 to L9, the state of charge by the hour H0 to HD;
before and after a restart.

Usage: test-past.py SMARTBMSD SMARTBMSCTL WALL-CLOCK.SO SLOW-CARD.SO [TEST...]"""

import os
import sqlite3
import sys
import time
import unittest

from rig import harness

if len(sys.argv) < 5:
    sys.exit(__doc__)

from asking import TX, Asking

WALL_CLOCK, SLOW_CARD = (os.path.abspath(a) for a in sys.argv[3:5])

# Of the published protocol
NONE, V_LOW, V_HIGH, T_LOW, T_HIGH, COMMUNICATION, T_LOW_DISCHARGING = range(7)
HOUR = 3600


def raw(degc):
    return f"{round((degc + 232.1) / 0.857):04X}"


class Past(Asking):
    def begin(self, **env):
        clock = harness.tempfile.mkdtemp(prefix="smartbms-test-")
        self.addCleanup(harness.shutil.rmtree, clock)
        offset = os.path.join(clock, "offset")
        with open(offset + ".synchronised", "w", encoding="utf-8"):
            pass
        preload = ":".join([WALL_CLOCK, *([SLOW_CARD] if env else [])])
        self.start("  allow_default_pin: on\n", env={"LD_PRELOAD": preload, "WALL_CLOCK_OFFSET": offset, **env})
        self.assertEqual(0, self.one.subscribe(TX))

    def back(self):
        """The phone, after a restart of the daemon."""
        self.again()
        self.one = self.phone(self.one.address)

    def fields(self, query):
        reply = self.say(self.one, query)
        self.assertNotIn("\r", reply, reply)
        body, total = reply.rsplit("_", 1)
        self.assertEqual(int(total, 16), sum(body.replace("_", "").encode()) & 0xFF)
        return body.split("_")

    def fault(self, n):
        """(kind, value, cell, age in s)"""
        seconds, kind, value, cell = self.fields(f"L{n}@")
        age = None if seconds[0] == "X" else time.time() - int(seconds, 16)
        return int(kind, 16), value, cell, age

    def faults(self):
        return [f for f in (self.fault(n) for n in range(10)) if f[0] != NONE]

    def wait_faults(self, *kinds):
        end = harness.now() + 15
        while [f[0] for f in self.faults()] != list(kinds):
            self.assertLess(harness.now(), end, (kinds, self.faults()))
            time.sleep(0.1)
        return self.faults()

    def hours(self):
        """(hour's place, the 168 values; None = none)"""
        blocks = [self.fields(f"H{n:X}@") for n in range(14)]
        newest, = {b[0] for b in blocks}
        self.assertEqual({24}, {len(b[1]) for b in blocks})
        text = "".join(b[1] for b in blocks)
        values = [int(text[i:i + 2], 16) for i in range(0, 336, 2)]
        return newest, [None if v == 0xFF else v for v in values]

    def test_faults(self):
        self.begin()
        self.assertEqual((NONE, "XXXX", "XX", None), self.fault(0))
        good = list(self.r.stream.mv)
        # V-min is 2.8 V: 2.75 V = 550 = 0x226 steps of 5 mV
        self.r.stream.at_next_frame(mv=[3300, 3300, 2750, 3300])
        (_, value, cell, age), = self.wait_faults(V_LOW)
        self.assertEqual(("0226", "03"), (value, cell))
        self.assertLess(abs(age), 6)
        self.r.stream.at_next_frame(mv=good)
        # T-max is 55 degC: 60 degC = 341 (raw * 0.857 - 232.1)
        self.r.stream.at_next_frame(degc=[20, 60, 20, 20])
        newest, _ = self.wait_faults(T_HIGH, V_LOW)
        self.assertEqual(("02", raw(60)), (newest[2], newest[1]))
        self.r.stream.at_next_frame(degc=[20] * 4)
        time.sleep(1.5)
        # T-min is 0 degC, for both relays: -5 degC is one fault
        self.r.stream.at_next_frame(degc=[20, 20, 20, -5])
        newest, *_ = self.wait_faults(T_LOW, T_HIGH, V_LOW)
        self.assertEqual(("04", raw(-5)), (newest[2], newest[1]))
        self.r.stream.at_next_frame(degc=[20] * 4)
        time.sleep(1.5)
        self.r.stream.at_next_frame(fields={"status": harness.COMMUNICATION_ERROR})
        newest, *_ = self.wait_faults(COMMUNICATION, T_LOW, T_HIGH, V_LOW)
        self.assertEqual(("XXXX", "XX"), newest[1:3])
        self.r.stream.at_next_frame(fields={})
        time.sleep(2)
        before = self.faults()
        # killed: what was told is known again, with its time
        self.back()
        after = self.wait_faults(COMMUNICATION, T_LOW, T_HIGH, V_LOW)
        for a, b in zip(before, after, strict=True):
            self.assertEqual(a[:3], b[:3])
            self.assertLess(a[3], b[3])
            self.assertLess(b[3] - a[3], 30)
        # newer ones come before
        self.r.stream.at_next_frame(mv=[3300, 3700, 3300, 3300])
        newest, *_ = self.wait_faults(V_HIGH, COMMUNICATION, T_LOW, T_HIGH, V_LOW)
        self.assertEqual((f"{3700 // 5:04X}", "02"), newest[1:3])

    def test_hours(self):
        self.begin()
        self.ctl("soc", "set", "61")
        time.sleep(2.5)
        now = time.time()
        newest, values = self.hours()
        if int(now) // HOUR == int(time.time()) // HOUR:
            self.assertEqual(f"{int(now) // HOUR % 168:02X}", newest)
        self.assertEqual([61], [v for v in values if v is not None])
        self.assertEqual(61, values[int(newest, 16)])
        # an earlier boot's hours, and one fault of it
        self.assertEqual(0, self.r.daemon.stop())
        first = (int(time.time()) // HOUR - 200) * HOUR
        with sqlite3.connect(self.path("smartbms.db")) as db:
            db.execute("INSERT INTO boots (boot_id, zero_usec) VALUES ('an earlier one', ?)", (first * 10**6,))
            boot, = db.execute("SELECT max(id) FROM boots").fetchone()
            own, = db.execute("SELECT count(*) FROM hours").fetchone()
            for hour, soc in ((31, 1100), (33, 3399), (100, 5000), (199, 9999)):
                db.execute("INSERT INTO hours (boot, from_usec, until_usec, covered_sec, soc_permyriad, collected_mwh, "
                           "consumed_mwh, charged_mwh, discharged_mwh) VALUES (?, ?, ?, 3600, ?, 0, 0, 0, 0)",
                           (boot, hour * HOUR * 10**6, (hour + 1) * HOUR * 10**6, soc))
        db.close()
        self.back()
        end = harness.now() + 10
        while len([v for v in self.hours()[1] if v is not None]) < 3 + own:
            self.assertLess(harness.now(), end, self.hours())
            time.sleep(0.2)
        _, values = self.hours()
        for hour, value in ((33, 33), (100, 50), (199, 99)):  # 31 is more than a week ago
            self.assertEqual(value, values[(first // HOUR + hour) % 168], hour)

    def test_a_card_that_hangs_at_the_start(self):
        """No phone waits for it, and the past comes when the card answers."""
        slow = os.path.join(harness.tempfile.mkdtemp(prefix="smartbms-test-"), "slow")
        self.addCleanup(harness.shutil.rmtree, os.path.dirname(slow))
        self.begin(SLOW_CARD=slow)
        self.r.stream.at_next_frame(mv=[3300, 3300, 2750, 3300])
        self.wait_faults(V_LOW)
        self.r.stream.at_next_frame(mv=[3300] * 4)
        time.sleep(1)
        self.r.daemon.process.kill()
        self.r.daemon.stop()
        self.options["env"]["SLOW_DIRECTORY"] = self.path("smartbms.db")
        with open(slow, "w", encoding="utf-8"):
            pass
        self.back()
        since = harness.now()
        self.assertEqual(NONE, self.fault(0)[0])
        self.assertEqual(24, len(self.fields("H0@")[1]))
        self.assertLess(harness.now() - since, 2)
        os.unlink(slow)
        self.wait_faults(V_LOW)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[5:]])
